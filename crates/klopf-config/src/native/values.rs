//! The values of `klopf.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use klopf_wire::{Port, Proto};

use super::report::Wrong;
use super::{Forward, Network, PortRange};

/// The longest name systemd has for a unit.
const UNIT_BYTES: usize = 255;

/// `42000` or `23000/udp`.
pub(super) fn port(text: &str) -> Result<Port, Wrong> {
    let (number, proto) = text.split_once('/').map_or((text, Some(Proto::Tcp)), |(n, p)| (n, protocol(p)));
    match (port_number(number), proto) {
        (Some(number), Some(proto)) => Ok(Port { proto, number }),
        _ => Err(Wrong::new(format!("`{text}` is not a port"), port_help(text))),
    }
}

/// A port written as a TOML integer.
pub(super) fn plain_port(number: Option<i64>) -> Result<Port, Wrong> {
    match number.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0) {
        Some(number) => Ok(Port::tcp(number)),
        None => Err(Wrong::new("a port is 1 to 65535", "write another number")),
    }
}

/// `tcp/443` or `udp/60000-61000`.
pub(super) fn port_range(text: &str) -> Result<PortRange, Wrong> {
    let wrong = |help: String| Err(Wrong::new(format!("`{text}` is not a protocol and its ports"), help));
    let Some((proto, ports)) = text.split_once('/') else {
        return wrong("write `tcp/443` or `udp/60000-61000`".into());
    };
    let Some(proto) = protocol(proto) else {
        return match port(text) {
            Ok(Port { proto, number }) => wrong(format!("write `{proto}/{number}`")),
            Err(_) => wrong("the protocol is `tcp` or `udp`, written first: `tcp/443`".into()),
        };
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (port_number(first), port_number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(PortRange { proto, first, last }),
        (Some(first), Some(last)) => wrong(format!("write `{proto}/{last}-{first}`")),
        _ => wrong("ports are 1 to 65535".into()),
    }
}

/// `30s`, `500ms`, `5m`, `2h` or `1d`, more than nothing and at most `most`.
pub(super) fn duration(text: &str, most: Duration) -> Result<Duration, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text.get(..digits).and_then(|n| n.parse::<u64>().ok());
    let factor = match text.get(digits..) {
        Some("ms") => Some(1),
        Some("s") => Some(1000),
        Some("m") => Some(60_000),
        Some("h") => Some(3_600_000),
        Some("d") => Some(86_400_000),
        _ => None,
    };
    let duration = match (number, factor) {
        (Some(number), Some(factor)) => Duration::from_millis(number.saturating_mul(factor)),
        (Some(number), None) if digits == text.len() => {
            return Err(Wrong::new(format!("`{text}` has no unit"), format!("write `{number}s` for seconds")));
        }
        _ => {
            let help = "write a whole number and one of ms, s, m, h, d: `30s`";
            return Err(Wrong::new(format!("`{text}` is not a duration"), help));
        }
    };
    if duration.is_zero() {
        return Err(Wrong::new(format!("`{text}` is no time at all"), "write a duration above zero"));
    }
    if duration > most {
        let days = most.as_secs() / 86400;
        let most = if days > 0 { format!("{days}d") } else { format!("{}h", most.as_secs() / 3600) };
        return Err(Wrong::new(format!("`{text}` is too long"), format!("write `{most}` or less")));
    }
    Ok(duration)
}

/// As [`duration`], and no less than `least`, which is whole seconds.
pub(super) fn duration_from(text: &str, least: Duration, most: Duration) -> Result<Duration, Wrong> {
    let duration = duration(text, most)?;
    if duration < least {
        let seconds = least.as_secs();
        let least = if seconds.is_multiple_of(60) { format!("{}m", seconds / 60) } else { format!("{seconds}s") };
        return Err(Wrong::new(format!("`{text}` is too short"), format!("write `{least}` or more")));
    }
    Ok(duration)
}

/// `192.0.2.0/24`, `2001:db8::/32`, or an address alone.
pub(super) fn network(text: &str) -> Result<Network, Wrong> {
    let wrong = |help: &str| Err(Wrong::new(format!("`{text}` is not a network"), help));
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong("write it like `192.0.2.0/24` or `2001:db8::/32`");
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix.map(|prefix| (prefix.parse::<u8>(), prefix)) {
        None => most,
        Some((Ok(length), digits)) if length <= most && digits.bytes().all(|b| b.is_ascii_digit()) => length,
        Some(_) => return wrong(if most == 32 { "the prefix is 0 to 32" } else { "the prefix is 0 to 128" }),
    };
    let network = Network { address: masked(address, prefix), prefix };
    if network.address == address {
        return Ok(network);
    }
    let text = format!("`{text}` is an address within a network");
    Err(Wrong::new(text, format!("write `{}/{prefix}` for the network, or `{address}` alone", network.address)))
}

/// `10.0.0.5:22`, `[fd00::5]:22`, or an address alone.
pub(super) fn forward(text: &str) -> Result<Forward, Wrong> {
    let alone = text.parse::<IpAddr>().ok().map(|address| Forward { address, port: None });
    let with_port = || text.parse::<SocketAddr>().ok().filter(|to| to.port() > 0 && !text.contains('%'));
    let Some(Forward { address, port }) =
        alone.or_else(|| with_port().map(|to| Forward { address: to.ip(), port: Some(to.port()) }))
    else {
        let help = "write it like `10.0.0.5:22` or `[fd00::5]:22`, or the address alone";
        return Err(Wrong::new(format!("`{text}` is not an address and its port"), help));
    };
    let address = address.to_canonical();
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if broadcast || address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        let help = "write the address of a host behind this one; without `forward` a lease leads to this host";
        return Err(Wrong::new(format!("nothing can be forwarded to {address}"), help));
    }
    Ok(Forward { address, port })
}

/// The name of a systemd unit that can be started and stopped: `ssh.service`.
pub(super) fn unit(text: &str) -> Result<String, Wrong> {
    let wrong = |help: &str| Err(Wrong::new(format!("`{text}` is not a unit that can be started"), help));
    let name = "write a name as `systemctl` shows it: `ssh.service`";
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":_.@\\-".contains(&b);
    if text.len() > UNIT_BYTES || !text.bytes().all(plain) {
        return wrong(name);
    }
    match text.rsplit_once('.') {
        Some(("", _)) => wrong(name),
        Some((_, "service" | "socket" | "target")) => Ok(text.to_owned()),
        Some((_, "automount" | "device" | "mount" | "path" | "scope" | "slice" | "swap" | "timer")) => {
            wrong("name one that ends in `.service`, `.socket` or `.target`")
        }
        None if text.is_empty() => wrong(name),
        Some(_) | None => wrong(&format!("write `{text}.service`")),
    }
}

/// The address with all but the first `prefix` bits clear.
pub(super) fn masked(address: IpAddr, prefix: u8) -> IpAddr {
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

fn protocol(text: &str) -> Option<Proto> {
    [Proto::Tcp, Proto::Udp].into_iter().find(|proto| proto.name() == text)
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|n| *n > 0 && text.bytes().all(|b| b.is_ascii_digit()))
}

/// The port in the right form, if it is one in another.
fn port_help(text: &str) -> String {
    let (mut number, mut proto) = (None, None);
    for word in text.split(['/', ':', ' ']) {
        number = number.or_else(|| port_number(word));
        proto = proto.or_else(|| protocol(&word.to_ascii_lowercase()));
    }
    match (number, proto) {
        (Some(number), Some(proto)) => format!("write `{number}/{proto}`"),
        _ => "write a number of 1 to 65535, with `/udp` behind it for UDP".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help<T>(read: Result<T, Wrong>) -> String {
        read.err().map_or_else(String::new, |wrong| wrong.help)
    }

    #[test]
    fn ports_are_read() {
        for (text, number, proto) in
            [("42000", 42000, Proto::Tcp), ("23000/udp", 23000, Proto::Udp), ("1/tcp", 1, Proto::Tcp)]
        {
            assert_eq!(port(text).ok(), Some(Port { proto, number }), "{text}");
        }
        for (text, what) in [
            ("udp/23000", "write `23000/udp`"),
            ("23000:UDP", "write `23000/udp`"),
            ("0", "write a number of 1 to 65535, with `/udp` behind it for UDP"),
            ("65536", "write a number of 1 to 65535, with `/udp` behind it for UDP"),
            ("", "write a number of 1 to 65535, with `/udp` behind it for UDP"),
            ("+5", "write a number of 1 to 65535, with `/udp` behind it for UDP"),
            ("5/icmp", "write a number of 1 to 65535, with `/udp` behind it for UDP"),
        ] {
            assert_eq!(help(port(text)), what, "{text}");
        }
        assert_eq!(plain_port(Some(1337)).ok(), Some(Port::tcp(1337)));
        for number in [Some(0), Some(-1), Some(65536), None] {
            assert!(plain_port(number).is_err(), "{number:?}");
        }
    }

    #[test]
    fn port_ranges_are_read() {
        for (text, proto, first, last) in
            [("tcp/443", Proto::Tcp, 443, 443), ("udp/60000-61000", Proto::Udp, 60000, 61000)]
        {
            assert_eq!(port_range(text).ok(), Some(PortRange { proto, first, last }), "{text}");
        }
        for (text, what) in [
            ("443", "write `tcp/443` or `udp/60000-61000`"),
            ("443/tcp", "write `tcp/443`"),
            ("icmp/1", "the protocol is `tcp` or `udp`, written first: `tcp/443`"),
            ("tcp/9-5", "write `tcp/5-9`"),
            ("tcp/0", "ports are 1 to 65535"),
            ("tcp/1-", "ports are 1 to 65535"),
        ] {
            assert_eq!(help(port_range(text)), what, "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        let hour = Duration::from_secs(3600);
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("60m", 3_600_000)] {
            assert_eq!(duration(text, hour).ok(), Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(duration("30d", hour * 24 * 30).ok(), Some(hour * 24 * 30));
        let form = "write a whole number and one of ms, s, m, h, d: `30s`";
        for (text, what) in [
            ("30", "write `30s` for seconds"),
            ("0s", "write a duration above zero"),
            ("2h", "write `1h` or less"),
            ("18446744073709551615d", "write `1h` or less"),
            ("99999999999999999999s", form),
            ("", form),
            ("s", form),
            ("-5s", form),
            ("1.5s", form),
            ("5 s", form),
            ("1h30m", form),
        ] {
            assert_eq!(help(duration(text, hour)), what, "{text}");
        }
        assert_eq!(help(duration("31d", hour * 24 * 30)), "write `30d` or less");
    }

    #[test]
    fn networks_are_read() {
        for (text, address, prefix) in [
            ("192.0.2.0/24", "192.0.2.0", 24),
            ("192.0.2.7", "192.0.2.7", 32),
            ("0.0.0.0/0", "0.0.0.0", 0),
            ("2001:db8::/32", "2001:db8::", 32),
            ("::1", "::1", 128),
            ("::/0", "::", 0),
        ] {
            let expected = Network { address: address.parse().unwrap(), prefix };
            assert_eq!(network(text).ok(), Some(expected), "{text}");
        }
        for (text, what) in [
            ("192.0.2.1/24", "write `192.0.2.0/24` for the network, or `192.0.2.1` alone"),
            ("2001:db8::1/32", "write `2001:db8::/32` for the network, or `2001:db8::1` alone"),
            ("192.0.2.0/33", "the prefix is 0 to 32"),
            ("192.0.2.0/+4", "the prefix is 0 to 32"),
            ("::/129", "the prefix is 0 to 128"),
            ("192.0.2.0/", "the prefix is 0 to 32"),
            ("host", "write it like `192.0.2.0/24` or `2001:db8::/32`"),
            ("192.0.2/24", "write it like `192.0.2.0/24` or `2001:db8::/32`"),
        ] {
            assert_eq!(help(network(text)), what, "{text}");
        }
    }

    #[test]
    fn forwards_are_read() {
        for (text, address, port) in [
            ("10.0.0.5:22", "10.0.0.5", Some(22)),
            ("10.0.0.5", "10.0.0.5", None),
            ("[fd00::5]:22", "fd00::5", Some(22)),
            ("fd00::5", "fd00::5", None),
            ("fd00::5:22", "fd00::5:22", None),
            ("::ffff:10.0.0.5", "10.0.0.5", None),
        ] {
            let expected = Forward { address: address.parse().unwrap(), port };
            assert_eq!(forward(text).ok(), Some(expected), "{text}");
        }
        let form = "write it like `10.0.0.5:22` or `[fd00::5]:22`, or the address alone";
        let here = "write the address of a host behind this one; without `forward` a lease leads to this host";
        for (text, what) in [
            ("", form),
            ("host:22", form),
            ("10.0.0.5:0", form),
            ("10.0.0.5:", form),
            ("10.0.0.5:65536", form),
            ("[fd00::5]", form),
            ("[fe80::1%2]:22", form),
            ("127.0.0.1:22", here),
            ("[::1]:22", here),
            ("::ffff:127.0.0.1", here),
            ("0.0.0.0", here),
            ("[::]:22", here),
            ("224.0.0.1", here),
            ("ff02::1", here),
            ("255.255.255.255", here),
        ] {
            assert_eq!(help(forward(text)), what, "{text}");
        }
    }

    #[test]
    fn units_are_read() {
        let longest = format!("{}.service", "n".repeat(247));
        for text in ["ssh.service", "a@b:c_d-e.socket", r"x\x2dy.target", "a.b.service", &longest] {
            assert_eq!(unit(text).ok().as_deref(), Some(text));
        }
        let form = "write a name as `systemctl` shows it: `ssh.service`";
        for (text, what) in [
            ("ssh", "write `ssh.service`"),
            ("org.example.daemon", "write `org.example.daemon.service`"),
            ("ssh.timer", "name one that ends in `.service`, `.socket` or `.target`"),
            ("", form),
            (".service", form),
            ("a b.service", form),
            ("../x.service", form),
            ("ssh.service\n", form),
            (&format!("n{longest}"), form),
        ] {
            assert_eq!(help(unit(text)), what, "{text}");
        }
    }

    #[test]
    fn networks_contain_their_addresses() {
        for (text, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.1", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::", false),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("::1", "::1", true),
            ("::1", "::2", false),
        ] {
            let network = network(text).ok().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{text} {address}");
        }
    }
}
