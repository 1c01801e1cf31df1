//! Programs that come to the proxy, each in a thread of its own.

use std::io::{self, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use klopf_wire::socks::{self, LONGEST, METHOD, NO_METHOD, Read, Reply, Request};

use crate::complain;
use crate::connect::join;

/// Connections at once; further ones are closed.
const MOST: usize = 256;
/// How long a program may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to where a program wants to.
pub(crate) trait Connector: Send + Sync + 'static {
    /// The connection, or the answer and why.
    fn connect(&self, request: &Request) -> Result<TcpStream, (Reply, String)>;
}

/// Serves until the listener fails.
pub(crate) fn serve(listener: &TcpListener, connector: &Arc<impl Connector>) -> io::Error {
    let now = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // Out of file descriptors, or somebody who has gone again: others may have more luck.
            Err(error) if is_passing(&error) => {
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            Err(error) => return error,
        };
        let guest = Guest(Arc::clone(&now));
        if now.fetch_add(1, Ordering::Relaxed) >= MOST {
            continue;
        }
        let connector = Arc::clone(connector);
        let serving = move || {
            let _guest = guest;
            if let Err(error) = attend(stream, &*connector) {
                complain(format_args!("a program's connection broke: {error}"));
            }
        };
        // A thread that cannot be started closes the connection.
        let _ = thread::Builder::new().name("socks".to_owned()).spawn(serving);
    }
}

fn is_passing(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected)
}

/// Counts a connection until it is dropped.
struct Guest(Arc<AtomicUsize>);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn attend(mut program: TcpStream, connector: &impl Connector) -> io::Result<()> {
    program.set_read_timeout(Some(PATIENCE))?;
    program.set_nodelay(true)?;
    let mut input = Input::default();
    match input.read(&mut program, socks::greeting)? {
        Ok(true) => program.write_all(&METHOD)?,
        Ok(false) => return program.write_all(&NO_METHOD),
        // Not a SOCKS5 client: nothing that it would understand.
        Err(_) => return Ok(()),
    }
    let request = match input.read(&mut program, socks::request)? {
        Ok(request) => request,
        Err(reply) => return program.write_all(&reply.bytes()),
    };
    let host = match connector.connect(&request) {
        Ok(host) => host,
        Err((reply, why)) => {
            complain(why);
            return program.write_all(&reply.bytes());
        }
    };
    program.write_all(&Reply::Succeeded.bytes())?;
    program.set_read_timeout(None)?;
    // What a program sends before the answer is for the host.
    (&host).write_all(&input.bytes)?;
    join(&program, &host)
}

/// What has come and is not used up.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
}

impl Input {
    fn read<T>(&mut self, from: &mut TcpStream, parse: impl Fn(&[u8]) -> Read<T>) -> io::Result<Result<T, Reply>> {
        loop {
            match parse(&self.bytes) {
                Read::Whole(value, length) => {
                    self.bytes.drain(..length.min(self.bytes.len()));
                    return Ok(Ok(value));
                }
                Read::Wrong(reply) => return Ok(Err(reply)),
                Read::Partial if self.bytes.len() >= LONGEST => return Ok(Err(Reply::Failed)),
                Read::Partial => {}
            }
            let mut buffer = [0; LONGEST];
            let length = from.read(&mut buffer)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes.extend(buffer.get(..length).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, SocketAddr};

    use super::*;
    use klopf_wire::socks::Host;

    /// Leads everybody to one place, except to `closed.example`.
    struct To(SocketAddr);

    impl Connector for To {
        fn connect(&self, request: &Request) -> Result<TcpStream, (Reply, String)> {
            if request.host == Host::Name("closed.example".into()) {
                return Err((Reply::Refused, "closed".into()));
            }
            TcpStream::connect(self.0).map_err(|error| (Reply::Failed, error.to_string()))
        }
    }

    fn proxy() -> SocketAddr {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = echo.local_addr().unwrap();
        thread::spawn(move || {
            for stream in echo.incoming().flatten() {
                thread::spawn(move || io::copy(&mut &stream, &mut &stream).map(|_| stream.shutdown(Shutdown::Write)));
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, &Arc::new(To(to))));
        at
    }

    fn answer(at: SocketAddr, said: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(said).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        got
    }

    fn ask(name: &str) -> Vec<u8> {
        [&[5, 1, 0, 3, u8::try_from(name.len()).unwrap()][..], name.as_bytes(), &[0, 22]].concat()
    }

    #[test]
    fn a_program_reaches_its_host() {
        let at = proxy();
        let said = [&[5, 1, 0][..], &ask("host.example"), b"hello"].concat();
        let expected = [&METHOD[..], &Reply::Succeeded.bytes(), b"hello"].concat();
        assert_eq!(answer(at, &said), expected);
        let closed = [&[5, 1, 0][..], &ask("closed.example")].concat();
        assert_eq!(answer(at, &closed), [&METHOD[..], &Reply::Refused.bytes()].concat());
    }

    #[test]
    fn who_speaks_otherwise_is_left_alone() {
        let at = proxy();
        assert_eq!(answer(at, &[5, 1, 2]), NO_METHOD);
        assert_eq!(answer(at, b"GET / HTTP/1.1\r\n\r\n"), b"");
        let bind = [&[5, 1, 0, 5, 2][..], &ask("host.example")[2..]].concat();
        assert_eq!(answer(at, &bind), [&METHOD[..], &Reply::CommandNotSupported.bytes()].concat());
    }
}
