//! The operands `PORT[:PROTO]` of both programs.

use std::path::PathBuf;
use std::{env, fmt, fs};

use klopf_wire::{Port, Proto};

/// One hit to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Where to, never port 0.
    pub(crate) port: Port,
    /// The port as typed, a number or a service name.
    pub(crate) typed: String,
}

impl Hit {
    /// The same port over another protocol.
    pub(crate) fn over(mut self, proto: Proto) -> Self {
        self.port.proto = proto;
        self
    }
}

/// Why an operand is no hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHit {
    NoPort,
    OutOfRange,
    UnknownProtocol,
    UnknownService,
}

impl fmt::Display for BadHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "the port is missing; write PORT or PORT:PROTO, such as 7000:udp",
            Self::OutOfRange => "a port is a number from 1 to 65535",
            Self::UnknownProtocol => "the protocol after the port is tcp or udp",
            Self::UnknownService => "this is neither a port number nor a service this machine knows; write the number",
        })
    }
}

impl std::error::Error for BadHit {}

/// Reads `PORT`, `PORT:PROTO` or `PORT/PROTO`. The port is a number or a service name, the protocol `tcp` or `udp`
/// in any case, `tcp` when not given.
pub(crate) fn parse(operand: &str) -> Result<Hit, BadHit> {
    parse_with(operand, |name| find_service(&fs::read_to_string(services_file()).ok()?, name))
}

fn parse_with(operand: &str, service: impl Fn(&str) -> Option<u16>) -> Result<Hit, BadHit> {
    let (typed, proto) = operand.split_once([':', '/']).unwrap_or((operand, ""));
    let proto = match proto.to_ascii_lowercase().as_str() {
        "" | "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        _ => return Err(BadHit::UnknownProtocol),
    };
    let digits = typed.strip_prefix(['+', '-']).unwrap_or(typed);
    let number = if typed.is_empty() {
        return Err(BadHit::NoPort);
    } else if digits.bytes().all(|b| b.is_ascii_digit()) {
        typed.parse().ok().filter(|&n| n != 0).ok_or(BadHit::OutOfRange)?
    } else {
        service(typed).ok_or(BadHit::UnknownService)?
    };
    Ok(Hit { port: Port { proto, number }, typed: typed.to_owned() })
}

fn services_file() -> PathBuf {
    if cfg!(windows) {
        let root = env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
        PathBuf::from(root).join(r"System32\drivers\etc\services")
    } else {
        PathBuf::from("/etc/services")
    }
}

/// The port of the first line of a services(5) file with this name or alias. The line's protocol does not matter,
/// as it did not to knock 0.8.
fn find_service(services: &str, name: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let official = words.next()?;
        let (port, _proto) = words.next()?.split_once('/')?;
        if official == name || words.any(|alias| alias == name) { port.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: &str =
        "# name port/proto aliases\n\nssh\t22/tcp\t\t# SSH\ntftp 69/udp\nbroken\nhttp 80/tcp www web#x\n";

    fn read(operand: &str) -> Result<(u16, Proto), BadHit> {
        let hit = parse_with(operand, |name| find_service(SERVICES, name))?;
        assert!(operand.starts_with(&hit.typed), "{operand}");
        Ok((hit.port.number, hit.port.proto))
    }

    #[test]
    fn operands_are_read() {
        use Proto::{Tcp, Udp};
        for (operand, number, proto) in [
            ("1", 1, Tcp),
            ("65535", 65535, Tcp),
            ("7000:tcp", 7000, Tcp),
            ("7000:TCP", 7000, Tcp),
            ("7000:udp", 7000, Udp),
            ("7000:UDP", 7000, Udp),
            ("7000/Udp", 7000, Udp),
            ("7000:", 7000, Tcp),
            ("+5", 5, Tcp),
            ("010", 10, Tcp),
            ("ssh", 22, Tcp),
            ("ssh:udp", 22, Udp),
            ("tftp:udp", 69, Udp),
            ("www", 80, Tcp),
            ("web", 80, Tcp),
        ] {
            assert_eq!(read(operand), Ok((number, proto)), "{operand}");
        }
    }

    #[test]
    fn what_is_no_hit_is_refused() {
        for (operand, why) in [
            ("", BadHit::NoPort),
            (":udp", BadHit::NoPort),
            ("0", BadHit::OutOfRange),
            ("-1", BadHit::OutOfRange),
            ("-", BadHit::OutOfRange),
            ("65536", BadHit::OutOfRange),
            ("70000", BadHit::OutOfRange),
            ("99999999999999999999999", BadHit::OutOfRange),
            ("5:icmp", BadHit::UnknownProtocol),
            ("5:udp:x", BadHit::UnknownProtocol),
            ("5: udp", BadHit::UnknownProtocol),
            ("12abc", BadHit::UnknownService),
            (" 5", BadHit::UnknownService),
            ("SSH", BadHit::UnknownService),
            ("broken", BadHit::UnknownService),
            ("#", BadHit::UnknownService),
        ] {
            assert_eq!(read(operand), Err(why), "{operand}");
        }
    }
}
