//! Both formats of configuration.

use std::time::Duration;

use klopf_config::knockd::{self, Sequence, one_time_lines};
use klopf_config::native::Source;
use klopf_config::{Check, Fault, check, check_files, native};

const MOST_PORTS: usize = 32;
const MOST_FAULTS: usize = 100;

/// Between the files in an input: first a `klopf.toml`, then those of `keys.d`.
const NEXT_FILE: &[u8] = b"\n#----\n";
/// What the seeds have where a secret belongs: no message may repeat it.
const SECRET: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const DAY: Duration = Duration::from_secs(86400);

/// Reads the input as a `klopf.toml`, with files of `keys.d` behind it if it is divided.
pub fn klopf_toml(input: &[u8]) {
    let mut parts = split(input);
    let input = parts.next().unwrap_or_default();
    let names: Vec<_> = (0..).map(|number: u32| format!("keys.d/{number}.toml")).take(8).collect();
    let keys: Vec<_> = parts.zip(&names).map(|(bytes, name)| Source { name, bytes }).collect();
    let main = Source { name: "klopf.toml", bytes: input };
    let read = native::parse_files(main, &keys);
    let checked = check_files(main, &keys);
    let alone = check("klopf.toml", input);
    assert!(!keys.is_empty() || alone == checked);
    unrepeated(&checked);
    assert_eq!(read.is_ok(), checked.faults.is_empty(), "check says what the daemon does");
    shown(&alone.faults, input);
    shown(&alone.warnings, input);
    match read {
        Ok(read) => {
            assert_eq!(read.warnings, checked.warnings);
            sensible(&read.config);
            sealed(&read.config);
            sourced(&read.config);
            assert!(!format!("{:?}", read.config).contains(SECRET));
        }
        Err(faults) => {
            assert!(faults.iter().eq(&checked.faults));
        }
    }
}

fn split(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let all = rest?;
        let at = all.windows(NEXT_FILE.len()).position(|window| window == NEXT_FILE);
        rest = at.map(|at| &all[at + NEXT_FILE.len()..]);
        Some(&all[..at.unwrap_or(all.len())])
    })
}

/// A secret stands in no message, but where it is written in the place of a name.
fn unrepeated(checked: &Check) {
    for fault in checked.faults.iter().chain(&checked.warnings).take(20) {
        let quoted = fault.text.contains(SECRET) || fault.help.contains(SECRET);
        assert!(quoted || !fault.to_string().contains(SECRET), "{fault}");
    }
}

/// Holds for what each configuration without faults says of sealed knocks.
fn sealed(config: &native::Config) {
    let window = config.packet.window;
    assert!(window >= Duration::from_secs(1) && window <= Duration::from_secs(3600));
    assert_ne!(config.packet.port, Some(klopf_spa::PacketPort::Fixed(0)));
    for (place, key) in config.keys.iter().enumerate() {
        let others = || config.keys.iter().skip(place + 1);
        assert!(others().all(|other| other.name != key.name && other.public != key.public));
        let doors = key.doors.iter().flatten();
        assert!(doors.clone().all(|name| config.doors.iter().any(|door| door.name == **name)));
        assert!(key.not_before.zip(key.expires).is_none_or(|(begin, end)| begin < end));
        assert!(key.hours.iter().all(|hours| hours.from < 1440 && hours.to <= 1440 && hours.from != hours.to));
        assert!(key.hours.iter().all(|hours| hours.days.contains(&true)));
        assert_ne!(key.max_uses, Some(0));
        assert!(key.totp.as_ref().is_none_or(|totp| (10..=64).contains(&totp.bytes().len())));
    }
    for door in &config.doors {
        assert!(door.via.as_ref().is_none_or(|ways| !ways.is_empty()));
        assert!(door.sequence.is_empty() || door.takes(native::Way::Sequence) || door.takes(native::Way::Log));
        if let Some(native::KeyList::Named(names)) = &door.keys {
            assert!(names.iter().all(|name| config.keys.iter().any(|key| key.name == *name)));
        }
        if door.keys.is_none() {
            let named = |key: &native::Key| key.doors.iter().flatten().any(|name| door.name == **name);
            assert!(config.keys.iter().all(|key| native::Config::may_open(key, door) == named(key)));
        }
    }
}

/// Holds for what each configuration without faults says of tokens.
fn sourced(config: &native::Config) {
    assert!(config.mails.len() + config.guestbooks.len() <= 32);
    assert!(config.logs.len() <= 16);
    for (place, log) in config.logs.iter().enumerate() {
        assert!(config.logs.iter().skip(place + 1).all(|other| other.name != log.name));
        assert!(log.reader().is_some() && (log.tokens || log.tells_of_hits()));
        assert!(!matches!(&log.from, native::LogFrom::File(path) if !path.starts_with('/')));
    }
    for (place, mail) in config.mails.iter().enumerate() {
        assert!(config.mails.iter().skip(place + 1).all(|other| other.name != mail.name));
        let fine = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        assert!(mail.require_dkim.iter().all(|domain| domain.is_ascii() && domain.contains('.')));
        match (&mail.mailbox, &mail.taken) {
            (native::Mailbox::Imap(imap), taken) => {
                assert!(fine(&imap.user) && fine(&imap.folder) && fine(&imap.host) && imap.port > 0);
                assert!(!imap.password_file.is_empty() && Duration::from_secs(5) <= imap.every && imap.every <= DAY);
                assert!(!matches!(taken, native::Taken::Move(to) if *to == imap.folder || !fine(to)));
            }
            (native::Mailbox::Maildir(maildir), taken) => {
                assert!(maildir.path.starts_with('/') && (!maildir.drop_box || *taken == native::Taken::Delete));
                let inside = |to: &str| fine(to) && !to.contains('/') && !to.starts_with('.');
                assert!(!matches!(taken, native::Taken::Move(to) if !inside(to)));
            }
        }
    }
    for (place, book) in config.guestbooks.iter().enumerate() {
        assert!(config.guestbooks.iter().skip(place + 1).all(|other| other.name != book.name));
        let url = book.url.as_str();
        assert!(url.starts_with("https://") || book.insecure && url.starts_with("http://"), "{url}");
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#'), "{url}");
        let authority = url.split(['/', '?']).nth(2).unwrap_or_default();
        assert!(!authority.is_empty() && !authority.contains('@'), "{url}");
        assert!(Duration::from_secs(1) <= book.every && book.every <= DAY);
        assert!(book.user_agent.as_ref().is_none_or(|text| fine_header(text)));
    }
    for door in &config.doors {
        assert!(Duration::from_secs(60) <= door.valid_for && door.valid_for <= 30 * DAY);
        assert!(!door.share_within.is_zero() && door.share_within <= Duration::from_secs(3600));
        let books = door.guestbooks.as_deref();
        assert!(books.is_none_or(|books| !books.is_empty()));
        assert!(books.into_iter().flatten().all(|name| config.guestbooks.iter().any(|book| book.name == *name)));
        let count = books.map_or(0, <[_]>::len);
        assert!(door.quorum == 1 || door.quorum > 1 && usize::from(door.quorum) <= count && count <= 8);
    }
    for sheets in config.keys.iter().map(|key| &key.revoked_sheets) {
        assert!(sheets.is_sorted_by(|sheet, next| sheet < next) && sheets.iter().all(|sheet| *sheet < 2048));
    }
}

fn fine_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
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
        for actions in [&door.on_open, &door.on_close] {
            assert!(actions.len() <= 16);
            assert!(actions.iter().all(|action| action.run.first().is_some_and(|program| program.starts_with('/'))));
            assert!(actions.iter().all(|action| action.after <= longest));
        }
        askable(door, longest);
        guarded(door);
        for network in &door.always_allow {
            assert!(network.contains(network.address), "no host bits");
            assert!(network.prefix <= if network.address.is_ipv4() { 32 } else { 128 });
        }
    }
}

/// Holds for what may be asked for at a door.
fn askable(door: &native::Door, longest: Duration) {
    let native::MayAsk { ports, hold, prefix, prefix6, flags } = &door.may_ask;
    let ports = ports.iter().flatten();
    let is_guarded = |range: &native::PortRange| door.guard.iter().any(|own| own.common(range) == Some(*range));
    assert!(ports.clone().count() <= 64 && ports.clone().all(|range| range.first > 0 && range.first <= range.last));
    assert!(door.guard.is_empty() || ports.clone().all(is_guarded));
    assert!(hold.is_none_or(|time| !time.is_zero() && time <= longest));
    assert!((8..=32).contains(prefix) && (32..=128).contains(prefix6) && *flags < 16);
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
