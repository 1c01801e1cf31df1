//! Doors as a ruleset of nftables that does plain sequences by itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use klopf_config::native::{Closed, Door, Network, PortRange};
use klopf_wire::{Port, Proto};

/// How long a door without `open-for` is open, as with the daemon.
const OPEN_FOR: Duration = Duration::from_secs(30);
/// Addresses that may be in the middle of a sequence, or let in.
const MOST: u32 = 65_536;

const HEAD: &str = "\
# Port knocking by the kernel alone, without a daemon.
#
#   nft -c -f FILE                     is it right?
#   nft -f FILE                        load it: what it had before is replaced, and who was let in must knock again
#   nft list table inet klopf_knock    who has got how far, and who is let in
#   nft delete table inet klopf_knock  take it away
#
# A set holds who has made a hit of a sequence, with the time that is left for the next one. Another holds who is let in,
# until when. A wrong hit does not end an attempt. Connections that are up are never cut. What is let in here
# still has to pass the host's other rules.

# Made if it is not there, so that it can be deleted if it is.
table inet klopf_knock
delete table inet klopf_knock

table inet klopf_knock {
";

const CHAIN: &str = "\
	chain prerouting {
		# Right after connection tracking, before addresses are rewritten: ports that are forwarded are guarded, too.
		type filter hook prerouting priority -199; policy accept;
		ct state established,related accept
		iif lo accept
		# What this host only passes on.
		fib daddr type unicast accept
		meta nfproto vmap { ipv4 : jump knock_v4, ipv6 : jump knock_v6 }
		jump guard
	}
";

const GUARD: &str = "
	chain guard {
		# A connection from before the kernel tracked any. To anybody else the host answers such a packet with a reset,
		# whether something listens there or not.
		tcp flags & (fin | syn | rst | ack) == ack accept
";

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

/// The ruleset, if a door guards anything. Each door has a sequence.
pub(super) fn ruleset(doors: &[Door]) -> Option<String> {
    let doors: Vec<_> = doors.iter().filter(|door| !door.guard.is_empty()).collect();
    if doors.is_empty() {
        return None;
    }
    let mut text = HEAD.to_owned();
    for door in &doors {
        comment(&mut text, door);
        sets(&mut text, door, Family::V4);
        sets(&mut text, door, Family::V6);
    }
    text.push_str(CHAIN);
    for family in [Family::V4, Family::V6] {
        let _ = writeln!(text, "\n\tchain knock_{} {{", family.suffix());
        for door in &doors {
            hits(&mut text, door, family);
        }
        text.push_str("\t}\n");
    }
    guard(&mut text, &doors);
    text.push_str("}\n");
    Some(text)
}

/// What the door is, and what of it is not here.
fn comment(text: &mut String, door: &Door) {
    let sequence: Vec<_> = door.sequence.iter().map(ToString::to_string).collect();
    let guard: Vec<_> = door.guard.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "\t# Door {}: {} opens {}.", door.name, sequence.join(", "), guard.join(", "));
    let left_out = [
        ("on-open", !door.on_open.is_empty()),
        ("on-close", !door.on_close.is_empty()),
        ("extend-while-connected", door.extend_while_connected),
        ("close-on-disconnect", door.close_on_disconnect),
        ("forward", door.forward.is_some()),
        ("start", door.start.is_some()),
        ("keys", door.keys.is_some()),
    ];
    let left_out: Vec<_> = left_out.into_iter().filter(|(_, is)| *is).map(|(key, _)| key).collect();
    if !left_out.is_empty() {
        let _ = writeln!(text, "\t# Only klopfd can do its {}.", left_out.join(", "));
    }
}

fn sets(text: &mut String, door: &Door, family: Family) {
    let kind = family.kind();
    for hit in 1..door.sequence.len() {
        let name = hit_set(door, hit, family);
        let within = time(door.within);
        let _ =
            writeln!(text, "\tset {name} {{ type {kind}; flags dynamic, timeout; size {MOST}; timeout {within}; }}");
    }
    let (size, time) = (door.max_leases.unwrap_or(MOST), time(door.open_for.unwrap_or(OPEN_FOR)));
    let name = open_set(door, family);
    let _ = writeln!(text, "\tset {name} {{ type {kind}; flags dynamic, timeout; size {size}; timeout {time}; }}");
    let always = always(door, family);
    if !always.is_empty() {
        let name = always_set(door, family);
        let _ = writeln!(
            text,
            "\tset {name} {{ type {kind}; flags interval; auto-merge; elements = {{ {} }}; }}",
            always.join(", ")
        );
    }
    if matches!(family, Family::V6) {
        text.push('\n');
    }
}

/// The last hit comes first, so that a packet counts as one hit of the sequence.
fn hits(text: &mut String, door: &Door, family: Family) {
    let source = family.source();
    let leased = leased(door, family);
    for (before, port) in door.sequence.iter().enumerate().rev() {
        let mut rule = format!("\t\t{}", matches(*port));
        // The first hit's time is that of the whole sequence.
        if before > 0 {
            let _ = write!(rule, " {source} @{}", hit_set(door, 1, family));
        }
        if before > 1 {
            let _ = write!(rule, " {source} @{}", hit_set(door, before, family));
        }
        let _ = if before + 1 == door.sequence.len() {
            write!(rule, " update @{} {{ {leased} }}", open_set(door, family))
        } else {
            write!(rule, " update @{} {{ {source} }}", hit_set(door, before + 1, family))
        };
        text.push_str(&rule);
        text.push('\n');
    }
}

/// First everything that may pass by some door, then everything that may not.
fn guard(text: &mut String, doors: &[&Door]) {
    text.push_str(GUARD);
    for door in doors {
        for ports in by_protocol(&door.guard) {
            for family in [Family::V4, Family::V6] {
                let (source, leased) = (family.source(), leased(door, family));
                let _ = writeln!(text, "\t\t{ports} {leased} @{} accept", open_set(door, family));
                if !always(door, family).is_empty() {
                    let _ = writeln!(text, "\t\t{ports} {source} @{} accept", always_set(door, family));
                }
            }
        }
    }
    for door in doors {
        for ports in by_protocol(&door.guard) {
            let verdict = match (door.closed, ports.starts_with("tcp")) {
                (Closed::Drop, _) => "drop",
                (Closed::Reject, true) => "reject with tcp reset",
                (Closed::Reject, false) => "reject with icmpx port-unreachable",
            };
            let _ = writeln!(text, "\t\t{ports} {verdict}");
        }
    }
    text.push_str("\t}\n");
}

impl Family {
    fn suffix(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::V4 => "ipv4_addr",
            Self::V6 => "ipv6_addr",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::V4 => "ip saddr",
            Self::V6 => "ip6 saddr",
        }
    }
}

fn hit_set(door: &Door, hit: usize, family: Family) -> String {
    format!("door_{}_hit{hit}_{}", door.name, family.suffix())
}

fn open_set(door: &Door, family: Family) -> String {
    format!("door_{}_open_{}", door.name, family.suffix())
}

fn always_set(door: &Door, family: Family) -> String {
    format!("door_{}_always_{}", door.name, family.suffix())
}

/// What of a packet is a lease: its source, or the network that it is in.
fn leased(door: &Door, family: Family) -> String {
    let source = family.source();
    match family {
        Family::V4 if door.allow_prefix < 32 => {
            let bits = u32::MAX.checked_shl(32 - u32::from(door.allow_prefix)).unwrap_or(0);
            format!("{source} & {}", Ipv4Addr::from_bits(bits))
        }
        Family::V6 if door.allow_prefix6 < 128 => {
            let bits = u128::MAX.checked_shl(128 - u32::from(door.allow_prefix6)).unwrap_or(0);
            format!("{source} & {}", Ipv6Addr::from_bits(bits))
        }
        Family::V4 | Family::V6 => source.to_owned(),
    }
}

fn always(door: &Door, family: Family) -> Vec<String> {
    let fits = |network: &&Network| network.address.is_ipv4() == matches!(family, Family::V4);
    let write = |network: &Network| match network {
        Network { address: IpAddr::V4(address), prefix: 32 } => address.to_string(),
        Network { address: IpAddr::V6(address), prefix: 128 } => address.to_string(),
        Network { address, prefix } => format!("{address}/{prefix}"),
    };
    door.always_allow.iter().filter(fits).map(write).collect()
}

fn matches(Port { proto, number }: Port) -> String {
    match proto {
        Proto::Tcp => format!("tcp flags & (syn | ack) == syn tcp dport {number}"),
        Proto::Udp => format!("udp dport {number}"),
    }
}

/// A match for the ports of each protocol that has some.
fn by_protocol(guard: &[PortRange]) -> Vec<String> {
    let mut protocols: BTreeMap<Proto, Vec<String>> = BTreeMap::new();
    for PortRange { proto, first, last } in guard {
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        protocols.entry(*proto).or_default().push(ports);
    }
    let write = |(proto, ports): (Proto, Vec<String>)| match ports.as_slice() {
        [single] => format!("{proto} dport {single}"),
        several => format!("{proto} dport {{ {} }}", several.join(", ")),
    };
    protocols.into_iter().map(write).collect()
}

/// In the largest unit that fits, for nft takes no large numbers.
fn time(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let (length, unit) = units.into_iter().find(|(length, _)| ms.is_multiple_of(*length)).unwrap_or((1, "ms"));
    format!("{}{unit}", ms / length)
}

#[cfg(test)]
mod tests;
