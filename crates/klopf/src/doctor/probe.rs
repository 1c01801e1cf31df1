//! Tries of a port, and knocks, from within the namespace.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use klopf_wire::Port;
use socket2::{Domain, Socket, Type};

use crate::hits::Hit;
use crate::send::{self, SendError};

/// How long an answer may take that is not to come.
pub(super) const SILENCE: Duration = Duration::from_millis(400);
/// How long one may take that is to come.
pub(super) const SOON: Duration = Duration::from_millis(1500);

/// What a connection met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Open,
    Refused,
    Silent,
}

/// Opens a TCP connection for a moment.
pub(super) fn connect(to: SocketAddr, patience: Duration) -> Answer {
    match TcpStream::connect_timeout(&to, patience) {
        Ok(_) => Answer::Open,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Answer::Refused,
        Err(_) => Answer::Silent,
    }
}

/// Sends hits.
pub(super) fn knock(to: SocketAddr, ports: &[Port]) -> Result<(), SendError> {
    let hits: Vec<Hit> = ports.iter().map(|port| Hit { port: *port, typed: port.number.to_string() }).collect();
    send::knock(to, &hits, Duration::ZERO, |_| {})
}

/// Tries again and again until it opens; how long that took.
pub(super) fn until_open(to: SocketAddr) -> Option<Duration> {
    /// The first pause between two tries; later ones are longer.
    const PAUSE: Duration = Duration::from_micros(100);
    /// Older tries are given up.
    const MOST: usize = 64;
    let begun = Instant::now();
    // A SYN that was dropped comes again only after a second, so each try is a new connection.
    let mut tries = VecDeque::new();
    while begun.elapsed() < SOON {
        tries.extend(begin(to));
        while tries.len() > MOST {
            tries.pop_front();
        }
        thread::sleep(PAUSE.max(begun.elapsed() / 50));
        if tries.iter().any(|socket| socket.peer_addr().is_ok()) {
            return Some(begun.elapsed());
        }
    }
    None
}

/// Begins a connection, and does not wait for it.
fn begin(to: SocketAddr) -> Option<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).ok()?;
    socket.set_nonblocking(true).ok()?;
    // Always refused: it is under way.
    let _ = socket.connect(&to.into());
    Some(socket)
}
