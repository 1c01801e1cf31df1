//! For whom a door is to be opened.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use klopf_wire::stun::{binding_request, mapped_address};

use super::target::towards;
use crate::failure::{Failure, code};
use crate::send::Family;

/// How long a STUN server may take, for each time it is asked (RFC 8489, section 6.2.1, begins with half a second).
const WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The public address of this device in the family of `like`, as a STUN server sees it. `help` says what to do without one.
pub(crate) fn public_address(server: &(String, u16), like: SocketAddr, help: &str) -> Result<IpAddr, Failure> {
    let (host, port) = server;
    let family = if like.is_ipv4() { Family::V4 } else { Family::V6 };
    let silent = |why: &dyn std::fmt::Display| {
        let why = format_args!("the STUN server {host} port {port} does not tell the public address: {why}\n{help}");
        Failure::new(code::UNAVAILABLE, why)
    };
    let target = super::resolve(host, family).map_err(|failure| silent(&failure))?;
    let to = target.addresses.first().copied().map(|mut to| {
        to.set_port(*port);
        to
    });
    let answered = to.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)).and_then(ask);
    let address = answered.map_err(|error| silent(&error))?.to_canonical();
    if address.is_ipv4() == like.is_ipv4() { Ok(address) } else { Err(silent(&"it answers with another family")) }
}

fn ask(server: SocketAddr) -> io::Result<IpAddr> {
    let socket = towards(server)?;
    let mut transaction = [0; 12];
    getrandom::fill(&mut transaction)?;
    for wait in WAITS {
        socket.send(&binding_request(transaction))?;
        socket.set_read_timeout(Some(wait))?;
        let mut answer = [0; 1500];
        // What is no answer is passed over, but not for ever.
        for _ in 0..8 {
            match socket.recv(&mut answer) {
                Ok(length) => {
                    let told = answer.get(..length).and_then(|answer| mapped_address(answer, transaction));
                    if let Some(seen) = told {
                        return Ok(seen.ip());
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use super::*;

    /// What a server of before STUN's first revision says, in the clear (section 14.1): 198.51.100.7 port 4711.
    fn answer(request: &[u8]) -> Vec<u8> {
        let mapped = [0, 1, 0, 8, 0, 1, 0x12, 0x67, 198, 51, 100, 7];
        [&[1, 1, 0, 12][..], &request[4..20], &mapped].concat()
    }

    #[test]
    fn the_server_says_which_address_it_sees() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let like = "192.0.2.1:0".parse().unwrap();
        let serving = thread::spawn(move || {
            let mut request = [0; 100];
            let (length, from) = server.recv_from(&mut request).unwrap();
            server.send_to(b"something else", from).unwrap();
            server.send_to(&answer(&request[..length]), from).unwrap();
        });
        assert_eq!(public_address(&("127.0.0.1".to_owned(), port), like, ""), Ok([198, 51, 100, 7].into()));
        serving.join().unwrap();
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error_at_once() {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let failure =
            public_address(&("127.0.0.1".to_owned(), port), "192.0.2.1:0".parse().unwrap(), "try this").unwrap_err();
        assert!(failure.code == 69 && failure.to_string().contains("try this"), "{failure}");
    }
}
