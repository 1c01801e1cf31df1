//! A connection, in plain or by TLS, of which every step has an end: whatever the server does, there is a time until which
//! it may, and a number of bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klopf_brief::Trouble;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{SockRef, TcpKeepalive};

/// To one address of a host.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of a host that are tried.
const ADDRESSES: usize = 4;
/// Bytes that are taken in at a time.
const PIECE: usize = 16 << 10;

/// A connection.
pub(super) struct Link {
    socket: Bounded,
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    /// Connects to one of a host's addresses.
    ///
    /// # Errors
    /// [`Trouble::UnknownHost`], [`Trouble::Unreachable`], [`Trouble::TooSlow`].
    pub(super) fn dial(host: &str, port: u16) -> Result<Self, Trouble> {
        let addresses = (host, port).to_socket_addrs().map_err(|_| Trouble::UnknownHost)?;
        let mut trouble = Trouble::UnknownHost;
        for address in addresses.take(ADDRESSES) {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(socket) => return Ok(Self::over(socket)),
                Err(error) if error.kind() == ErrorKind::TimedOut => trouble = Trouble::TooSlow,
                Err(_) => trouble = Trouble::Unreachable,
            }
        }
        Err(trouble)
    }

    pub(super) fn over(socket: TcpStream) -> Self {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
        // Both only help.
        let _ = SockRef::from(&socket).set_tcp_keepalive(&keepalive.with_retries(4));
        let _ = socket.set_nodelay(true);
        Self { socket: Bounded { socket, until: Instant::now(), left: 0 }, tls: None }
    }

    /// Until when all that follows has to be done, and how many bytes may come.
    pub(super) fn allow(&mut self, time: Duration, bytes: usize) {
        self.socket.until = Instant::now() + time;
        self.socket.left = bytes;
    }

    /// As [`Link::allow`], for as many bytes as are left.
    pub(super) fn allow_time(&mut self, time: Duration) {
        self.allow(time, self.socket.left);
    }

    /// How many bytes may come.
    pub(super) fn left(&self) -> usize {
        self.socket.left
    }

    /// Goes on by TLS with a server that has this name.
    ///
    /// # Errors
    /// [`Trouble::Tls`], or as the connection.
    pub(super) fn start_tls(&mut self, config: Arc<ClientConfig>, host: &str) -> Result<(), Trouble> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Trouble::Tls)?;
        let mut tls = ClientConnection::new(config, name).map_err(|_| Trouble::Tls)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket).map_err(|error| match trouble(&error) {
                // Who does not speak TLS ends.
                Trouble::Broken => Trouble::Tls,
                other => other,
            })?;
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// As the connection.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = match &mut self.tls {
            None => self.socket.write_all(bytes),
            Some(tls) => tls.writer().write_all(bytes).and_then(|()| flush(tls, &mut self.socket)),
        };
        sent.map_err(|error| trouble(&error))
    }

    /// Waits once for something to come, and takes it. It may be that nothing is in it.
    ///
    /// # Errors
    /// As the connection, also when the server has ended it.
    pub(super) fn take(&mut self, into: &mut Vec<u8>) -> Result<(), Trouble> {
        self.receive(into).map_err(|error| trouble(&error))
    }

    fn receive(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let mut piece = [0; PIECE];
        let Some(tls) = &mut self.tls else {
            let length = some(self.socket.read(&mut piece)?)?;
            into.extend(piece.get(..length).unwrap_or_default());
            return Ok(());
        };
        // Some may have come with what was taken before.
        if drain(tls, &mut piece, into)? == 0 {
            some(tls.read_tls(&mut self.socket)?)?;
            tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            flush(tls, &mut self.socket)?;
            drain(tls, &mut piece, into)?;
        }
        Ok(())
    }
}

/// How many bytes there were.
fn drain(tls: &mut ClientConnection, piece: &mut [u8], into: &mut Vec<u8>) -> io::Result<usize> {
    let before = into.len();
    loop {
        match tls.reader().read(piece) {
            Ok(length) => into.extend(piece.get(..some(length)?).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(into.len() - before),
            Err(error) => return Err(error),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.socket.as_fd()
    }
}

fn flush(tls: &mut ClientConnection, socket: &mut Bounded) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

/// Nothing is the end.
fn some(length: usize) -> io::Result<usize> {
    if length == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(length) }
}

fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Trouble::TooSlow,
        ErrorKind::FileTooLarge => Trouble::TooLong,
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Trouble::Tls,
        _ => Trouble::Broken,
    }
}

/// A socket that ends at a time, or after so many bytes.
struct Bounded {
    socket: TcpStream,
    until: Instant,
    left: usize,
}

impl Bounded {
    fn time(&self) -> io::Result<Option<Duration>> {
        let time = self.until.saturating_duration_since(Instant::now());
        if time.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(time)) }
    }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.time()?)?;
        let most = into.len().min(self.left);
        let Some(into) = into.get_mut(..most).filter(|into| !into.is_empty()) else {
            return Err(ErrorKind::FileTooLarge.into());
        };
        let length = self.socket.read(into)?;
        self.left = self.left.saturating_sub(length);
        Ok(length)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.time()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
