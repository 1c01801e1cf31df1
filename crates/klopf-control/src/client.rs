//! The side that asks.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{LONGEST_REPLY, Lines, Reply, Request};

/// A connection with a request under way.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    lines: Lines,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// Nobody listens there.
    NoDaemon,
    /// This user may not ask.
    NotAllowed,
    /// Nothing came in time.
    NoAnswer,
    /// What came is no reply, or none that this version knows.
    Strange,
    /// The system refused something.
    System(io::Error),
}

impl Client {
    /// Connects and sends a request; each of the two may take so long.
    ///
    /// # Errors
    /// As [`AskError`], but for `Strange`.
    pub fn ask(socket: &Path, request: &Request, patience: Duration) -> Result<Self, AskError> {
        let connected = || {
            let stream = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // Holds for connecting, too, which has to wait when a daemon that hangs has a full queue.
            stream.set_write_timeout(Some(patience))?;
            stream.connect(&SockAddr::unix(socket)?)?;
            let mut stream = UnixStream::from(OwnedFd::from(stream));
            match stream.write_all(&request.line()) {
                // Sent away unheard; what the daemon said then can be read.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
                written => written?,
            }
            Ok(stream)
        };
        Ok(Self { stream: connected().map_err(AskError::of)?, lines: Lines::new(LONGEST_REPLY) })
    }

    /// The next reply, or nothing when the daemon has said everything.
    ///
    /// # Errors
    /// `NoAnswer` when nothing whole came in so much time, after which it can be asked again; `Strange`; `System`.
    pub fn reply(&mut self, patience: Duration) -> Result<Option<Reply>, AskError> {
        let end = Instant::now() + patience;
        let mut bytes = [0; 16 << 10];
        loop {
            if let Some(line) = self.lines.line().map_err(|_| AskError::Strange)? {
                return Reply::read(line).map(Some).map_err(|_| AskError::Strange);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AskError::NoAnswer);
            }
            self.stream.set_read_timeout(Some(left)).map_err(AskError::System)?;
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(None),
                Ok(length) => self.lines.push(bytes.get(..length).unwrap_or_default()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // A daemon that closes before it has read everything.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(AskError::of(error)),
            }
        }
    }
}

impl AskError {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Self::NoDaemon,
            ErrorKind::PermissionDenied => Self::NotAllowed,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::NoAnswer,
            _ => Self::System(error),
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDaemon => f.write_str("klopfd does not run"),
            Self::NotAllowed => f.write_str("klopfd answers only root"),
            Self::NoAnswer => f.write_str("klopfd does not answer"),
            Self::Strange => f.write_str("klopfd answers something this klopf does not know"),
            Self::System(error) => write!(f, "cannot ask klopfd: {error}"),
        }
    }
}

impl std::error::Error for AskError {}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(20);

    struct Socket(PathBuf);

    impl Socket {
        fn new(name: &str) -> (Self, UnixListener) {
            let path = std::env::temp_dir().join(format!("klopf-client-{name}-{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            (Self(path), listener)
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_daemon_that_hangs_is_not_waited_for_and_may_answer_later() {
        let (socket, listener) = Socket::new("hangs");
        let mut client = Client::ask(&socket.0, &Request::Status, LONG).unwrap();
        assert!(matches!(client.reply(SHORT), Err(AskError::NoAnswer)));
        let (mut stream, _) = listener.accept().unwrap();
        let reply = Reply::Done { text: "late".into() };
        let line = reply.line();
        let (first, last) = line.split_at(9);
        stream.write_all(first).unwrap();
        assert!(matches!(client.reply(SHORT), Err(AskError::NoAnswer)));
        stream.write_all(last).unwrap();
        assert_eq!(client.reply(LONG).unwrap(), Some(reply));
        // It has not read the request, and ends.
        drop(stream);
        assert_eq!(client.reply(LONG).unwrap(), None);
    }

    #[test]
    fn a_full_queue_is_not_waited_for() {
        let (socket, _listener) = Socket::new("full");
        let mut clients = Vec::new();
        let error = loop {
            match Client::ask(&socket.0, &Request::Status, SHORT) {
                Ok(client) => clients.push(client),
                Err(error) => break error,
            }
            assert!(clients.len() < 10_000, "the queue has no end");
        };
        assert!(matches!(error, AskError::NoAnswer), "{error}");
    }

    #[test]
    fn nobody_and_nonsense_are_told_apart() {
        let (socket, listener) = Socket::new("nobody");
        let mut client = Client::ask(&socket.0, &Request::Status, LONG).unwrap();
        listener.accept().unwrap().0.write_all(b"{}\n").unwrap();
        assert!(matches!(client.reply(LONG), Err(AskError::Strange)));
        drop(listener);
        assert!(matches!(Client::ask(&socket.0, &Request::Status, LONG), Err(AskError::NoDaemon)));
        let nowhere = socket.0.with_extension("not");
        assert!(matches!(Client::ask(&nowhere, &Request::Status, LONG), Err(AskError::NoDaemon)));
    }
}
