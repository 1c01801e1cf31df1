//! Several attempts at once, of which the first that succeeds counts.
//!
//! A SYN that comes before the door is open is lost, and the kernel sends the next one only after a second. So each attempt
//! is a new connection, and the earlier ones stay under way, for their answer may just take long.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// More attempts are not kept under way; the oldest one is given up.
const MOST: usize = 24;

/// Attempts under way.
#[derive(Default)]
pub(super) struct Race(Vec<(SocketAddr, Socket)>);

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    Connected(TcpStream),
    Failed(SocketAddr, io::Error),
}

impl Race {
    /// Begins one.
    ///
    /// # Errors
    /// If it fails at once, as without a route.
    pub(super) fn start(&mut self, to: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(error) if is_under_way(&error) => {}
            Err(error) => return Err(error),
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push((to, socket));
        Ok(())
    }

    /// Gives all of them up.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits until something has come of one, for so long at most.
    pub(super) fn next(&mut self, patience: Duration) -> Option<Outcome> {
        self.ended().or_else(|| {
            self.wait(patience);
            self.ended()
        })
    }

    fn ended(&mut self) -> Option<Outcome> {
        for (index, (_, socket)) in self.0.iter().enumerate() {
            let failed = socket.take_error().unwrap_or_else(Some);
            if failed.is_none() && socket.peer_addr().is_err() {
                continue;
            }
            let (to, socket) = self.0.remove(index);
            return Some(match failed.map_or_else(|| socket.set_nonblocking(false), Err) {
                Ok(()) => Outcome::Connected(socket.into()),
                Err(error) => Outcome::Failed(to, error),
            });
        }
        None
    }

    #[cfg(unix)]
    fn wait(&self, patience: Duration) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut all: Vec<PollFd<'_>> = self.0.iter().map(|(_, socket)| PollFd::new(socket, PollFlags::OUT)).collect();
        // A signal only makes it return earlier.
        let _ = poll(&mut all, Timespec::try_from(patience).ok().as_ref());
    }

    /// There is no safe way to wait for several sockets on Windows without a further crate, and this is soon over.
    #[cfg(not(unix))]
    fn wait(&self, patience: Duration) {
        std::thread::sleep(patience.min(Duration::from_millis(2)));
    }
}

#[cfg(unix)]
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

#[cfg(not(unix))]
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_first_that_succeeds_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let mut race = Race::default();
        race.start(to).unwrap();
        race.start(to).unwrap();
        let Some(Outcome::Connected(stream)) = race.next(Duration::from_secs(5)) else { panic!("not connected") };
        assert_eq!(stream.peer_addr().unwrap(), to);
    }

    #[test]
    fn a_closed_port_refuses() {
        let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut race = Race::default();
        let outcome = match race.start(to) {
            Ok(()) => race.next(Duration::from_secs(5)),
            Err(error) => Some(Outcome::Failed(to, error)),
        };
        let Some(Outcome::Failed(_, error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(race.next(Duration::ZERO).is_none(), "nothing is left");
    }

    #[test]
    fn there_are_never_too_many() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut race = Race::default();
        (0..MOST * 2).for_each(|_| race.start(listener.local_addr().unwrap()).unwrap());
        assert_eq!(race.0.len(), MOST);
    }
}
