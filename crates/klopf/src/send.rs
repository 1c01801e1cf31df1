//! The engine of both programs: find the host once, then send one packet a hit.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;
use std::{fmt, io, thread};

use klopf_wire::Proto;
use socket2::{Domain, Socket, Type};

use crate::hits::Hit;

/// Which addresses of a host may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    pub(crate) fn fits(self, addr: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => addr.is_ipv4(),
            Self::V6 => addr.is_ipv6(),
        }
    }
}

/// Why a knock was not sent, or not to its end.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The name does not resolve.
    UnknownHost { host: String, reason: io::Error },
    /// It resolves, but not to an address of this family.
    NoAddress { host: String, family: Family },
    /// This machine could not send a hit.
    Unreachable { to: SocketAddr, reason: io::Error },
}

impl SendError {
    /// The exit code after sysexits(3).
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownHost { .. } | Self::NoAddress { .. } => 68,
            Self::Unreachable { .. } => 69,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost { host, reason } => {
                write!(f, "host '{host}' is unknown: {reason}; check the spelling or give the address itself")
            }
            Self::NoAddress { host, family } => {
                let (has_not, option) = if *family == Family::V6 { ("IPv6", "-6") } else { ("IPv4", "-4") };
                write!(f, "host '{host}' has no {has_not} address; leave out {option}")
            }
            Self::Unreachable { to, reason } => write!(
                f,
                "cannot send to {} port {}: {reason}; check this machine's network and firewall",
                to.ip(),
                to.port()
            ),
        }
    }
}

/// The first address of the host that fits, in the order in which the system prefers them; its port is 0.
pub(crate) fn resolve(host: &str, family: Family) -> Result<SocketAddr, SendError> {
    let mut found =
        (host, 0).to_socket_addrs().map_err(|reason| SendError::UnknownHost { host: host.to_owned(), reason })?;
    found.find(|addr| family.fits(addr)).ok_or_else(|| SendError::NoAddress { host: host.to_owned(), family })
}

/// Sends the hits in order and waits for `delay` after each, the last included, so that what runs next finds the
/// door open. `before` is told of each hit before it is sent. Ends at the first hit that cannot be sent.
pub(crate) fn knock(
    host: SocketAddr,
    hits: &[Hit],
    delay: Duration,
    mut before: impl FnMut(&Hit),
) -> Result<(), SendError> {
    for hit in hits {
        before(hit);
        let mut to = host;
        to.set_port(hit.port.number);
        let sent = match hit.port.proto {
            Proto::Tcp => send_syn(to),
            Proto::Udp => send_datagram(to),
        };
        sent.map_err(|reason| SendError::Unreachable { to, reason })?;
        thread::sleep(delay);
    }
    Ok(())
}

/// How long to wait at least after a knock, so that what runs next finds the door open. A server opens in less than one
/// millisecond, and under attack in some more; who connects too soon waits a second for TCP to try again.
pub(crate) const SETTLE: Duration = Duration::from_millis(10);

/// How long a connection under way is kept before it is closed, which keeps the kernel from sending the SYN again.
/// On Unix the SYN has left when connect returns, or waits for the neighbour's link address without its socket.
/// Windows documents that closing cancels what is pending and does not say that the SYN is out, so it gets time to
/// learn a link address, well under the half second after which the SYN could be repeated.
const KEEP: Duration = Duration::from_millis(if cfg!(unix) { 0 } else { 20 });

fn send_syn(to: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    match socket.connect_timeout(&to.into(), KEEP) {
        // A knock port refuses when it is closed, and is silent when it is filtered.
        Err(e) if matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::ConnectionRefused) => Ok(()),
        other => other,
    }
}

/// What a socket is bound to that sends there from any address and port.
pub(crate) fn unspecified(to: SocketAddr) -> SocketAddr {
    let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, 0)
}

fn send_datagram(to: SocketAddr) -> io::Result<()> {
    UdpSocket::bind(unspecified(to))?.send_to(&[0], to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpListener};
    use std::time::Instant;

    use super::*;
    use crate::hits;

    /// A port that listens, and how to look whether a hit came.
    enum Ear {
        Tcp(TcpListener),
        Udp(UdpSocket),
    }

    impl Ear {
        fn operand(&self) -> String {
            match self {
                Self::Tcp(listener) => listener.local_addr().unwrap().port().to_string(),
                Self::Udp(socket) => format!("{}:udp", socket.local_addr().unwrap().port()),
            }
        }

        fn heard(&self) -> bool {
            match self {
                Self::Tcp(listener) => listener.accept().is_ok(),
                Self::Udp(socket) => {
                    let mut buffer = [1; 16];
                    socket.recv(&mut buffer).is_ok_and(|length| {
                        assert_eq!(buffer[..length], [0]);
                        true
                    })
                }
            }
        }

        fn wait(&self) {
            let end = Instant::now() + Duration::from_secs(10);
            while !self.heard() {
                assert!(Instant::now() < end, "no hit on {}", self.operand());
                thread::yield_now();
            }
        }
    }

    fn tcp(ip: IpAddr) -> Ear {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Ear::Tcp(listener)
    }

    fn udp(ip: IpAddr) -> Ear {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Ear::Udp(socket)
    }

    fn hits_come_in_order(ip: IpAddr) {
        let ears = [tcp(ip), udp(ip), udp(ip), tcp(ip)];
        let hits: Vec<Hit> = ears.iter().map(|ear| hits::parse(&ear.operand()).unwrap()).collect();
        let mut sent = 0_usize;
        knock(SocketAddr::new(ip, 0), &hits, Duration::ZERO, |_| {
            if let Some(last) = sent.checked_sub(1) {
                ears[last].wait();
            }
            assert!(!ears.iter().any(Ear::heard), "more than one packet a hit, or too early");
            sent += 1;
        })
        .unwrap();
        ears[3].wait();
        assert!(!ears.iter().any(Ear::heard));
    }

    #[test]
    fn hits_come_in_order_over_ipv4() {
        hits_come_in_order(Ipv4Addr::LOCALHOST.into());
    }

    #[test]
    fn hits_come_in_order_over_ipv6() {
        hits_come_in_order(Ipv6Addr::LOCALHOST.into());
    }

    #[test]
    fn a_refusing_port_is_no_error() {
        let hit = hits::parse(&tcp(Ipv4Addr::LOCALHOST.into()).operand()).unwrap();
        knock(SocketAddr::from(([127, 0, 0, 1], 0)), &[hit], Duration::ZERO, |_| ()).unwrap();
    }

    #[test]
    fn what_cannot_be_sent_ends_the_knock() {
        // The kernel connects to no multicast address, so no packet leaves.
        let hits = [hits::parse("7").unwrap(), hits::parse("8").unwrap()];
        let mut tried = 0;
        let error = knock(SocketAddr::from(([224, 0, 0, 1], 0)), &hits, Duration::ZERO, |_| tried += 1).unwrap_err();
        assert_eq!((tried, error.exit_code()), (1, 69), "{error}");
    }

    #[test]
    fn the_delay_follows_each_hit() {
        let ear = udp(Ipv4Addr::LOCALHOST.into());
        let hit = hits::parse(&ear.operand()).unwrap();
        let began = Instant::now();
        knock(SocketAddr::from(([127, 0, 0, 1], 0)), &[hit], Duration::from_millis(30), |_| ()).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn the_family_chooses_the_address() {
        assert!(resolve("127.0.0.1", Family::Any).unwrap().is_ipv4());
        assert!(resolve("127.0.0.1", Family::V4).unwrap().is_ipv4());
        assert!(resolve("::1", Family::V6).unwrap().is_ipv6());
        for (host, family) in [("127.0.0.1", Family::V6), ("::1", Family::V4)] {
            assert!(matches!(resolve(host, family), Err(SendError::NoAddress { .. })), "{host}");
        }
        assert!(matches!(resolve("", Family::Any), Err(SendError::UnknownHost { .. })));
    }
}
