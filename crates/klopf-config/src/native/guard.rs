//! The keys of a door that guards ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use klopf_wire::Proto;

use super::report::{Entry, Report, Value, Wrong};
use super::{Closed, Door, Forward, IfKlopfdDies, PortRange, values};
use crate::fault::MAX_FAULTS;

/// The keys that say nothing without `guard`.
pub(super) const NEED_GUARD: [&str; 9] = [
    "closed",
    "if-klopfd-dies",
    "extend-while-connected",
    "close-on-disconnect",
    "max-leases",
    "allow-prefix",
    "allow-prefix6",
    "forward",
    "start",
];

/// The keys in which doors with a port in common must agree.
pub(super) const TERMS: [&str; 3] = ["closed", "if-klopfd-dies", "forward"];

const MOST_RANGES: usize = 64;

/// Where a host hears of its own address, which conntrack may not know for an answer, and from whom.
const ADDRESSES: [(u16, &str); 2] = [(68, "DHCP"), (546, "DHCPv6")];

/// The value of `guard`; nothing if there is a fault in it.
pub(super) fn ports(list: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<PortRange>> {
    let example = r#"["tcp/22", "udp/60000-61000"]"#;
    let elements = report.list("guard", list, example)?;
    if elements.is_empty() {
        let help = r#"write the ports to close, e.g. `guard = ["tcp/22"]`, or remove the line"#;
        report.fault(list.span(), Wrong::new("`guard` names no port", help));
        return None;
    }
    if let Some(first) = elements.get(MOST_RANGES) {
        let help = "leave out ports, or write neighbours as a range: `tcp/8000-8010`";
        report.fault(first.span(), Wrong::new("the door guards more than 64 ranges of ports", help));
        return None;
    }
    let mut guard = Vec::new();
    let mut sound = true;
    for element in elements {
        let text = report.string("guard", element, example);
        match text.and_then(|text| report.checked(element.span(), values::port_range(text))) {
            Some(range) => add(range, element, &mut guard, report),
            None => sound = false,
        }
    }
    sound.then_some(guard)
}

/// Adds a range, and makes one of those that have ports in common.
fn add(mut range: PortRange, element: &Value<'_>, guard: &mut Vec<PortRange>, report: &mut Report<'_>) {
    if guard.contains(&range) {
        return;
    }
    if let Some(other) = guard.iter().find(|other| other.common(&range).is_some()) {
        let text = format!("`{other}` and `{range}` overlap");
        report.warn(element.span(), Wrong::new(text, "both are guarded; write each port once"));
    }
    for (number, service) in ADDRESSES {
        if range.common(&PortRange { proto: Proto::Udp, first: number, last: number }).is_some() {
            let text = format!("a guard of udp/{number} shuts out {service}: this host may lose its address");
            report.warn(element.span(), Wrong::new(text, format!("leave out {number}, unless its address is fixed")));
        }
    }
    guard.retain(|other| {
        let apart = other.common(&range).is_none();
        if !apart {
            (range.first, range.last) = (range.first.min(other.first), range.last.max(other.last));
        }
        apart
    });
    guard.push(range);
}

/// Reads the value of one of [`NEED_GUARD`] into the door; nothing if there is a fault in it.
pub(super) fn read(key: &str, value: &Value<'_>, door: &mut Door, report: &mut Report<'_>) -> Option<()> {
    match key {
        "closed" => {
            let choices = [("drop", Closed::Drop), ("reject", Closed::Reject)];
            door.closed = report.choice(key, value, choices)?;
        }
        "if-klopfd-dies" => {
            let choices = [("stay-closed", IfKlopfdDies::StayClosed), ("open", IfKlopfdDies::Open)];
            door.if_klopfd_dies = report.choice(key, value, choices)?;
        }
        "extend-while-connected" => door.extend_while_connected = report.boolean(key, value)?,
        "close-on-disconnect" => door.close_on_disconnect = report.boolean(key, value)?,
        "max-leases" => door.max_leases = Some(report.integer(key, value, (1, u32::MAX.into()), "10")?),
        "allow-prefix" => door.allow_prefix = report.integer(key, value, (8, 32), "24")?,
        "allow-prefix6" => door.allow_prefix6 = report.integer(key, value, (16, 128), "56")?,
        "forward" => {
            let text = report.string(key, value, r#""10.0.0.5:22""#)?;
            door.forward = Some(report.checked(value.span(), values::forward(text))?);
        }
        "start" => {
            let text = report.string(key, value, r#""ssh.service""#)?;
            door.start = Some(report.checked(value.span(), values::unit(text))?);
        }
        _ => {}
    }
    Some(())
}

/// Whether the port of a forward is that of a single guarded one.
pub(super) fn check_forward(entries: &[Entry<'_, '_>], door: &Door, report: &mut Report<'_>) {
    let Some(Forward { address, port: Some(_) }) = door.forward else { return };
    if door.guard.len() > 1 || door.guard.iter().any(|range| range.first < range.last) {
        let at = entries.iter().find(|(key, _)| key.get_ref() == "forward").map(|(_, value)| value.span());
        let text = "`forward` names one port, and `guard` more than one";
        let help = format!("write `forward = \"{address}\"`, which keeps the port, or a door for each port");
        report.fault(at.unwrap_or_default(), Wrong::new(text, help));
    }
}

/// What [`TERMS`] say. A forward to the port that is asked for is one without a port.
type Terms = (Closed, IfKlopfdDies, Option<(IpAddr, Option<u16>)>);

fn terms(door: &Door) -> Terms {
    let kept = door.guard.first().map(|range| range.first);
    let forward = door.forward.map(|to| (to.address, to.port.filter(|port| Some(*port) != kept)));
    (door.closed, door.if_klopfd_dies, forward)
}

/// Ports by protocol and the last of them: the first of them, and who guards them.
type Guarded<'d> = BTreeMap<(Proto, u16), (u16, &'d Door)>;

/// The doors that do not agree with one before them, by index, and what is to be said.
pub(super) fn conflicts(doors: &[Door]) -> Vec<(usize, Wrong)> {
    let mut guarded = Guarded::new();
    let mut found = Vec::new();
    for (index, door) in doors.iter().enumerate() {
        if let Some((port, other)) = disagreeing(&guarded, door) {
            found.push((index, differing(other, door, port)));
            if found.len() == MAX_FAULTS {
                break;
            }
            continue;
        }
        for range in &door.guard {
            take(&mut guarded, *range, door);
        }
    }
    found
}

/// Another door that has ports in common with this one on other terms, and the first of them.
fn disagreeing<'d>(guarded: &Guarded<'d>, door: &Door) -> Option<(PortRange, &'d Door)> {
    let ours = terms(door);
    door.guard.iter().find_map(|range| {
        let (theirs, other) = sharing(guarded, *range).find(|(_, other)| terms(other) != ours)?;
        let first = range.first.max(theirs.first);
        Some((PortRange { first, last: first, ..theirs }, other))
    })
}

fn differing(other: &Door, door: &Door, port: PortRange) -> Wrong {
    let [closed, if_klopfd_dies, forward] = TERMS;
    let key = if door.closed != other.closed {
        closed
    } else if door.if_klopfd_dies != other.if_klopfd_dies {
        if_klopfd_dies
    } else {
        forward
    };
    let text = format!("doors `{}` and `{}` both guard {port}, and differ in `{key}`", other.name, door.name);
    Wrong::new(text, format!("write the same `{key}` in both, or guard other ports"))
}

/// Ranges that have ports in common with this one, and who guards them.
fn sharing<'d>(guarded: &Guarded<'d>, range: PortRange) -> impl Iterator<Item = (PortRange, &'d Door)> {
    let after = guarded.range((range.proto, range.first)..=(range.proto, u16::MAX));
    let theirs =
        after.map(|((proto, last), (first, door))| (PortRange { proto: *proto, first: *first, last: *last }, *door));
    theirs.take_while(move |(theirs, _)| theirs.first <= range.last)
}

/// Makes the door the only one of its ports: of doors that agree one will do, so that there are few to look at.
fn take<'d>(guarded: &mut Guarded<'d>, range: PortRange, door: &'d Door) {
    let PortRange { proto, first, last } = range;
    let shared: Vec<_> = sharing(guarded, range).collect();
    for (theirs, other) in shared {
        guarded.remove(&(proto, theirs.last));
        if theirs.first < first {
            guarded.insert((proto, first - 1), (theirs.first, other));
        }
        if theirs.last > last {
            guarded.insert((proto, theirs.last), (last + 1, other));
        }
    }
    guarded.insert((proto, last), (first, door));
}

#[cfg(test)]
mod tests;
