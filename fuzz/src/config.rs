//! Both formats of configuration.

use std::time::Duration;

use klopf_config::knockd::{self, Sequence, one_time_lines};
use klopf_config::native::Source;
use klopf_config::{Fault, check, check_files, native};

const MOST_PORTS: usize = 32;
const MOST_FAULTS: usize = 100;

/// Reads the input as a `klopf.toml`.
pub fn klopf_toml(input: &[u8]) {
    let read = native::parse_bytes("klopf.toml", input);
    let checked = check("klopf.toml", input);
    assert_eq!(read.is_ok(), checked.faults.is_empty(), "check says what the daemon does");
    shown(&checked.faults, input);
    shown(&checked.warnings, input);
    match read {
        Ok(read) => {
            assert_eq!(read.warnings, checked.warnings);
            sensible(&read.config);
        }
        Err(faults) => {
            assert!(faults.iter().eq(&checked.faults));
        }
    }
}

/// A `klopf.toml` beside the keys, with doors of all kinds.
const BESIDE_KEYS: &str = r#"
[door.ssh]
guard = ["tcp/22"]

[door.web]
guard = ["tcp/443"]
keys = ["*"]
second-factor = "totp"
via = ["packet"]

[door.named]
on-open = ["/bin/true"]
sequence = [7000, 9000, 8000]
keys = ["laptop"]

[key.first]
public = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
psk = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
"#;

/// Reads the input as files of `keys.d`; a line `---` ends one. Whether they are taken.
pub fn keys_toml(input: &[u8]) -> bool {
    let main = Source { name: "klopf.toml", bytes: BESIDE_KEYS.as_bytes() };
    let names = ["keys.d/laptop.toml", "keys.d/phone.toml", "keys.d/first.toml", "keys.d/no key.toml"];
    let keys: Vec<Source<'_>> =
        names.into_iter().zip(parts(input)).map(|(name, bytes)| Source { name, bytes }).collect();
    let read = native::parse_files(main, &keys);
    let checked = check_files(main, &keys);
    assert_eq!(read.is_ok(), checked.faults.is_empty(), "check says what the daemon does");
    for fault in checked.faults.iter().chain(&checked.warnings) {
        let file = keys.iter().chain([&main]).find(|file| file.name == fault.file);
        shown(std::slice::from_ref(fault), file.expect("a file that was given").bytes);
    }
    let secrets = secrets(input);
    for fault in checked.faults.iter().chain(&checked.warnings).take(10) {
        let text = fault.to_string();
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "a secret is shown: {text}");
    }
    let Ok(read) = read else { return false };
    assert_eq!(read.warnings, checked.warnings);
    sensible(&read.config);
    assert_eq!(read.config.keys.len(), 1 + keys.len());
    true
}

/// What stands between lines `---`.
fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut begin = 0;
    let ends = input.windows(5).enumerate().filter(|(_, window)| *window == b"\n---\n").map(|(at, _)| at);
    for end in ends {
        parts.push(input.get(begin..end + 1).unwrap_or_default());
        begin = end + 5;
    }
    parts.push(&input[begin.min(input.len())..]);
    parts
}

/// What is written as the value of a secret, on a line of its own and nowhere else, and is long enough to be one.
fn secrets(input: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(input);
    let value = |line: &str| -> Option<String> {
        let rest = line.strip_prefix("psk = \"").or_else(|| line.strip_prefix("totp = \""))?;
        let value = rest.strip_suffix('"')?;
        let plain = value.len() >= 16 && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (plain && text.matches(value).count() == 1).then(|| value.to_owned())
    };
    text.lines().filter_map(value).collect()
}

/// Holds for each file without faults.
fn sensible(config: &native::Config) {
    for range in &config.daemon.service_ports {
        assert!(range.first <= range.last);
    }
    for (place, door) in config.doors.iter().enumerate() {
        assert!((1..=64).contains(&door.name.len()) && door.name.is_ascii() && !door.name.contains(char::is_control));
        assert!(config.doors.iter().skip(place + 1).all(|other| other.name != door.name));
        assert!(door.sequence.len() <= MOST_PORTS);
        assert!(door.sequence.iter().all(|port| port.number > 0));
        assert!(!door.within.is_zero() && door.within <= Duration::from_secs(3600));
        let longest = Duration::from_secs(30 * 86400);
        assert!(door.open_for.is_none_or(|time| !time.is_zero() && time <= longest));
        for command in [&door.on_open, &door.on_close].into_iter().flatten() {
            assert!(command.first().is_some_and(|program| program.starts_with('/')));
        }
        guarded(door);
        for network in &door.always_allow {
            assert!(network.contains(network.address), "no host bits");
            assert!(network.prefix <= if network.address.is_ipv4() { 32 } else { 128 });
        }
    }
    keyed(config);
}

/// Holds for what keys say.
fn keyed(config: &native::Config) {
    for (place, key) in config.keys.iter().enumerate() {
        let others = || config.keys.iter().skip(place + 1);
        assert!(others().all(|other| other.name != key.name && other.public != key.public));
        assert!(key.not_before.zip(key.expires).is_none_or(|(begin, end)| begin < end));
        assert!(key.hours.len() <= 64 && key.max_uses != Some(0));
        assert!(key.max_open_for.is_none_or(|time| time <= Duration::from_secs(30 * 86400)));
        let doors = || config.doors.iter().map(|door| door.name.as_str());
        assert!(key.doors.iter().flatten().all(|named| doors().any(|door| door == &**named)));
        assert!(key.networks.iter().all(|network| network.contains(network.address)), "no host bits");
        assert!(!format!("{key:?}").contains(&*key.psk.text()), "secrets are not shown");
    }
}

/// Holds for what a door says of its guard.
fn guarded(door: &native::Door) {
    assert!(door.guard.len() <= 64);
    for (place, range) in door.guard.iter().enumerate() {
        assert!(0 < range.first && range.first <= range.last);
        assert!(door.guard.iter().skip(place + 1).all(|other| range.common(other).is_none()));
    }
    assert!((8..=32).contains(&door.allow_prefix) && (16..=128).contains(&door.allow_prefix6));
    assert_ne!(door.max_leases, Some(0));
    if let Some(to) = door.forward {
        assert!(!to.address.is_loopback() && !to.address.is_unspecified() && !to.address.is_multicast());
        let single = door.guard.len() == 1 && door.guard.iter().all(|range| range.first == range.last);
        assert!(to.port.is_none_or(|port| port > 0 && single));
    }
    let kinds = [".service", ".socket", ".target"];
    assert!(door.start.as_ref().is_none_or(|unit| unit.len() < 256 && kinds.iter().any(|kind| unit.ends_with(kind))));
    assert!(!door.guard.is_empty() || door.forward.is_none() && door.start.is_none());
}

/// Reads the input as a `knockd.conf`, and as a file of one-time sequences.
pub fn knockd_conf(input: &[u8]) {
    let read = knockd::parse(input);
    let checked = check("knockd.conf", input);
    assert_eq!(read.is_ok(), checked.faults.is_empty(), "check says what the daemon does");
    shown(&checked.faults, input);
    shown(&checked.warnings, input);
    match read {
        Ok(read) => {
            assert_eq!(read.warnings.len(), checked.warnings.len());
            for door in &read.config.doors {
                assert!((1..=127).contains(&door.name.chars().count()), "at most 127 bytes of the file");
                match &door.sequence {
                    Sequence::Fixed(ports) => assert!((1..=MOST_PORTS).contains(&ports.len())),
                    Sequence::OneTime(path) => assert!(!path.is_empty()),
                }
            }
        }
        Err(faults) => assert_eq!(faults.len(), checked.faults.len()),
    }
    let _ = knockd::debug_lines(input);
    one_time(input);
}

/// A line whose first byte becomes `#` is used up, and no other.
fn one_time(input: &[u8]) {
    let lines = one_time_lines(input);
    assert!(lines.is_sorted_by(|line, next| line.offset < next.offset));
    assert!(lines.iter().all(|line| (1..=MOST_PORTS).contains(&line.ports.len())));
    let Some((first, rest)) = lines.split_first() else { return };
    let mut marked = input.to_vec();
    marked[first.offset] = b'#';
    assert_eq!(one_time_lines(&marked), rest);
}

/// Faults are few, in the file, and no harm to a terminal.
fn shown(faults: &[Fault], input: &[u8]) {
    assert!(faults.len() <= MOST_FAULTS);
    let lines = input.split(|byte| *byte == b'\n').count();
    for fault in faults {
        assert!((1..=lines).contains(&fault.line) && fault.column > 0, "{}:{}", fault.line, fault.column);
    }
    // Few, for it takes far longer than to find them.
    for fault in faults.iter().take(3) {
        let text = fault.to_string();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
}
