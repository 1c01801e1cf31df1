//! The command line of `klopf knock-encoded`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use klopf_config::native::{Wrong, encoded};
use klopf_config::profile::Allow;
use klopf_spa::encoded::{Fields, Span, Template as Known, Transport, Whom};

use super::hits::Request;
use crate::cli::delay;
use crate::person::{Families, Waiting, What};
use crate::times::duration;

/// How long after each hit, unless told otherwise.
pub(super) const PACE: Duration = Duration::from_millis(10);
/// How often all hits are sent, unless told otherwise: two passes make up for each other's losses.
pub(super) const PASSES: u8 = 2;

#[derive(Args)]
pub(crate) struct Options {
    /// The profile, if there are several, and the door, if it is not the usual one
    #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    what: Option<What>,
    /// For how long, as 30s, 10m, 2h or 1d; as long as the door says if not given
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// For whom: an address, a network as 192.0.2.0/24, auto (as a STUN server sees this device), or observed (the
    /// address that the hits leave with); as the profile says if not given
    #[arg(long, value_name = "auto|observed|ADDRESS|NETWORK", value_parser = LetIn::parse)]
    allow: Option<LetIn>,
    /// To which of the door's ports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// A flag to be set, 0 to 3; may be given more than once
    #[arg(long = "flag", value_name = "N", value_parser = clap::value_parser!(u8).range(..4))]
    flags: Vec<u8>,
    #[command(flatten)]
    template: Template,
    /// Pause after each hit: milliseconds, or a number with ms or s
    #[arg(long, value_name = "TIME", default_value = "10", value_parser = delay)]
    pace: Duration,
    /// How often all hits are sent; what is lost once may arrive the second time
    #[arg(long, value_name = "N", default_value_t = PASSES, value_parser = clap::value_parser!(u8).range(1..=10))]
    passes: u8,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    families: Families,
    /// Send nothing; show the hits and what they say, bit by bit
    #[arg(long, conflicts_with_all = ["wait", "to_log"])]
    dry_run: bool,
    #[command(flatten)]
    log: Log,
}

/// Hits as lines of a log.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Log {
    /// Send nothing; append the hits to this file, as lines of a firewall's log; - for standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "wait")]
    pub(super) to_log: Option<PathBuf>,
    /// From where the hits in these lines come; from the address that is let in if not given
    #[arg(long, value_name = "ADDRESS", requires = "to_log")]
    pub(super) log_source: Option<IpAddr>,
    /// What the firewall's rule puts before each line, as "KNOCK "
    #[arg(long, value_name = "TEXT", requires = "to_log", default_value = "", hide_default_value = true)]
    pub(super) log_prefix: String,
}

/// On which ports, and what is said; what is not given here is as in the profile.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Template {
    /// The ports, as `ports` of the door says on the server: 40000-40255
    #[arg(long, value_name = "FIRST-LAST", value_parser = ports)]
    pub(crate) ports: Option<Span>,
    /// How they are hit, as `proto` says: tcp or udp
    #[arg(long, value_name = "PROTO", value_parser = proto)]
    pub(crate) proto: Option<Transport>,
    /// What is said, as `fields` says: some of addr, addr6, net, port, for, flag; or none
    #[arg(long, value_name = "FIELD,...|none", value_parser = fields)]
    pub(crate) fields: Option<Fields>,
}

impl Template {
    /// With what a profile says, or the other sayings of a configuration, where nothing is said here; none without ports.
    pub(crate) fn over(&self, known: Option<Known>) -> Option<Known> {
        let span = self.ports.or_else(|| known.map(|known| known.span))?;
        let usual = Fields { whom: Whom::V4, port: false, hold: false, flags: false };
        Some(Known {
            span,
            transport: self.proto.or_else(|| known.map(|known| known.transport)).unwrap_or(Transport::Tcp),
            fields: self.fields.or_else(|| known.map(|known| known.fields)).unwrap_or(usual),
        })
    }
}

impl Options {
    /// What is asked for.
    pub(super) fn request(&self) -> Request<'_> {
        Request {
            what: self.what.clone().unwrap_or_default(),
            time: self.time,
            allow: self.allow,
            port: self.port,
            flags: self.flags.iter().fold(0, |flags, flag| flags | 1 << flag),
            template: self.template.clone(),
            pace: self.pace,
            passes: self.passes,
            waiting: &self.waiting,
            families: self.families,
            dry_run: self.dry_run,
            log: self.log.clone(),
        }
    }
}

/// Whom to let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetIn {
    /// One address.
    One(Allow),
    /// A network: its first address, and the length of the prefix.
    Network(IpAddr, u8),
}

impl LetIn {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((address, prefix)) = text.split_once('/') else {
            return Allow::parse(text).map(Self::One).map_err(str::to_owned);
        };
        let read = address.parse::<IpAddr>().ok().zip(prefix.parse::<u8>().ok());
        let (address, bits) = read
            .map(|(address, prefix)| (address, prefix, if address.is_ipv4() { 32 } else { 128 }))
            .filter(|(_, prefix, most)| (1..=*most).contains(prefix))
            .map(|(address, prefix, _)| (address, prefix))
            .ok_or("write a network like 192.0.2.0/24 or 2001:db8::/56")?;
        let first = first_of(address, bits);
        if first != address {
            return Err(format!("write {first}/{bits} for the network, or {address} for the address"));
        }
        Ok(Self::Network(address, bits))
    }
}

/// The first address of a network.
fn first_of(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

fn ports(text: &str) -> Result<Span, String> {
    encoded::ports(text).map_err(told)
}

fn proto(text: &str) -> Result<Transport, String> {
    encoded::proto(text).map_err(told)
}

fn told(wrong: Wrong) -> String {
    format!("{}: {}", wrong.text, wrong.help)
}

fn fields(text: &str) -> Result<Fields, String> {
    encoded::fields(text.split(',').map(str::trim).filter(|word| !matches!(*word, "none" | ""))).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_network_is_let_in() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, expected) in [
            ("192.0.2.0/24", LetIn::Network(address("192.0.2.0"), 24)),
            ("2001:db8::/56", LetIn::Network(address("2001:db8::"), 56)),
            ("192.0.2.7/32", LetIn::Network(address("192.0.2.7"), 32)),
            ("192.0.2.7", LetIn::One(Allow::Address(address("192.0.2.7")))),
            ("auto", LetIn::One(Allow::Auto)),
        ] {
            assert_eq!(LetIn::parse(text), Ok(expected), "{text}");
        }
        for text in ["", "192.0.2.0/0", "192.0.2.0/33", "192.0.2.7/24", "here/24", "2001:db8::/129", "auto/24"] {
            assert!(LetIn::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn there_may_be_no_field_at_all() {
        assert_eq!(fields("none"), fields(""));
        assert!(fields("addr, for").is_ok_and(|fields| fields.hold) && fields("adr").is_err());
    }
}
