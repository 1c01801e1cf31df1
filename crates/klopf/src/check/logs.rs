//! What the patterns of logs find in their last lines. What is in a log, strangers may have written.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use klopf_config::native::{Log, LogFrom};
use klopf_wire::line::{LONGEST, Miss, Patterns, Preset, looks_like_a_firewalls};
use klopf_wire::text;

/// So many lines are looked at.
const LINES: usize = 1000;
/// And so many bytes.
const BYTES: u64 = 1 << 20;
/// How long journalctl may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More is not shown of a line, in characters.
const SHOWN: usize = 200;
/// More reasons are not shown.
const MOST_REASONS: usize = 3;
/// A code of paper, which counts in no log.
const CODE: usize = 11;

/// What is to be said of a log, in lines without an end, and whether that is a warning.
pub(super) fn examine(log: &Log) -> (String, bool) {
    let name = &log.name;
    let (place, read) = match &log.from {
        LogFrom::File(path) => (path.clone(), of_file(path)),
        LogFrom::Journal(what) => (format!("the journal of {what}"), of_journal(what)),
        LogFrom::Nflog(group) => {
            return (format!("log `{name}`, group {group} of NFLOG: packets, and nothing to show"), false);
        }
    };
    match read {
        Ok(bytes) => (format!("log `{name}`, {}: {}", escaped(&place), found(log, &bytes)), false),
        Err(error) => {
            let help = match (error.kind(), &log.from) {
                (ErrorKind::PermissionDenied, _) => "run it as a user who may read it, such as root",
                (_, LogFrom::Journal(_)) => "klopfd needs journalctl, too: is systemd here?",
                (ErrorKind::NotFound, _) => "fine if it is yet to come; else name another file",
                _ => "name a readable file",
            };
            let text = format!("warning: cannot read log `{name}`, {}: {error}\n  help: {help}", escaped(&place));
            (text, true)
        }
    }
}

/// The end of a file.
fn of_file(path: &str) -> io::Result<Vec<u8>> {
    // To open a pipe would wait for who writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    if from > 0 {
        let whole = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
        bytes.drain(..whole);
    }
    // The last line may be in the making.
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    Ok(bytes)
}

/// The last messages of the journal.
fn of_journal(what: &str) -> io::Result<Vec<u8>> {
    let unit = if what == "kernel" { "--dmesg".to_owned() } else { format!("--unit={what}") };
    let mut command = Command::new("journalctl");
    command.args([&unit, "--lines=1000", "--output=cat", "--no-pager", "--quiet"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let read = output(&mut child);
    let _ = child.kill();
    let _ = child.wait();
    read
}

fn output(child: &mut Child) -> io::Result<Vec<u8>> {
    let stdout = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
    let (to, from) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(BYTES).read_to_end(&mut bytes);
        let _ = to.send(read.map(|_| bytes));
    });
    from.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// What is found in the last of these lines.
fn found(log: &Log, bytes: &[u8]) -> String {
    let all: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let lines = all.get(all.len().saturating_sub(LINES)..).unwrap_or_default();
    let Some(patterns) = log.reader() else { return String::new() };
    let mut out = match lines.len() {
        0 => return "no line yet".to_owned(),
        1 => "its only line".to_owned(),
        number if number < all.len() || number == LINES => format!("the last {number} lines"),
        number => format!("its {number} lines"),
    };
    let hits: Vec<_> = lines.iter().filter_map(|line| Some((patterns.read(line)?, line))).collect();
    for index in 0..patterns.len() {
        let own: Vec<_> = hits.iter().filter(|((which, _), _)| *which == index).collect();
        let shown = shown_pattern(log, &patterns, index);
        match own.last() {
            None => drop(write!(out, "\n  {shown}: no line")),
            Some(((_, hit), line)) => {
                let (number, last) = match own.len() {
                    1 => ("1 line".to_owned(), ""),
                    number => (format!("{number} lines"), "the last one "),
                };
                let _ = write!(out, "\n  {shown}: {number}, {last}of a hit by {} at {}", hit.src, hit.port);
                let _ = write!(out, "\n    {}", shortened(line));
            }
        }
    }
    if log.tokens {
        let has_token = |line: &&&[u8]| {
            let line = line.get(..line.len().min(LONGEST)).unwrap_or_default();
            text::find(&String::from_utf8_lossy(line)).any(|found| found.body.len() != CODE)
        };
        let _ = match lines.iter().filter(has_token).count() {
            0 => write!(out, "\n  tokens: no line"),
            1 => write!(out, "\n  tokens: 1 line that may hold one"),
            number => write!(out, "\n  tokens: {number} lines that may hold one"),
        };
    }
    out + &missed(log, &patterns, lines)
}

fn shown_pattern(log: &Log, patterns: &Patterns, index: usize) -> String {
    let text = patterns.shown(index).map(escaped).unwrap_or_default();
    match (log.preset, &log.prefix) {
        (Some(_), Some(prefix)) if index == 0 => format!("preset {text}, prefix \"{}\"", escaped(prefix)),
        (Some(_), None) if index == 0 => format!("preset {text}"),
        _ => format!("pattern {text}"),
    }
}

/// Helps with lines that look like a firewall's and are no hits.
fn missed(log: &Log, patterns: &Patterns, lines: &[&[u8]]) -> String {
    let mut reasons: Vec<(Miss, usize, &[u8])> = Vec::new();
    for line in lines.iter().filter(|line| looks_like_a_firewalls(line)) {
        let Some(miss) = patterns.miss(line) else { continue };
        match reasons.iter_mut().find(|(other, ..)| *other == miss) {
            Some((_, number, last)) => (*number, *last) = (*number + 1, line),
            None => reasons.push((miss, 1, line)),
        }
    }
    reasons.sort_by_key(|(_, number, _)| std::cmp::Reverse(*number));
    let mut out = String::new();
    for (miss, number, last) in reasons.into_iter().take(MOST_REASONS) {
        let (lines, are, the) =
            if number == 1 { ("line looks", "is no hit", "") } else { ("lines look", "are no hits", "the last one ") };
        let _ = write!(out, "\n  {number} {lines} like a firewall's and {are}: {}", miss.text());
        let _ = write!(out, "\n    {}", shortened(last));
        if log.preset.is_none() && is_kernels(last) {
            let _ = write!(out, "\n  help: {the}is as the kernel writes them: add `preset = \"nft\"`");
        } else if miss == Miss::Prefix && log.prefix.is_some() {
            let _ = write!(
                out,
                "\n  help: have the firewall's rule put the prefix there, with its blank at the end, or remove `prefix`"
            );
        }
    }
    out
}

fn is_kernels(line: &[u8]) -> bool {
    Patterns::new(Some(Preset::Nft), None, &[]).is_ok_and(|kernels| kernels.read(line).is_some())
}

/// The beginning of a line.
fn shortened(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line.get(..line.len().min(4 * SHOWN)).unwrap_or_default());
    let mut shown = escaped(&line.chars().take(SHOWN).collect::<String>());
    if line.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Without what a terminal would obey: control characters, and those that turn the direction or are not seen.
fn escaped(text: &str) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() || c == char::REPLACEMENT_CHARACTER;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if plain(c) { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const LINE: &str = "IN=eth0 OUT= MAC= SRC=192.0.2.7 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=1 DPT=40000 \
        WINDOW=1 RES=0x00 SYN URGP=0 ";

    fn log(lines: &str) -> Log {
        let text = format!("[log.l]\n{lines}");
        klopf_config::native::parse("klopf.toml", &text).unwrap().config.logs.remove(0)
    }

    #[test]
    fn each_pattern_says_what_it_has_found() {
        let log = log(r#"file = "/l"
            preset = "nft"
            prefix = "KNOCK "
            patterns = ['^x (?<src>\S+) (?<dport>\d+)$', 'never (?<src>\S+) (?<dport>\d+)']"#);
        let lines = format!("KNOCK {LINE}\nother\nkernel: KNOCK {}\nx 192.0.2.9 7\n", LINE.replace("40000", "40001"));
        insta::assert_snapshot!(found(&log, lines.as_bytes()), @"");
    }

    #[test]
    fn a_line_that_was_meant_is_helped_with() {
        let prefixed = log("file = \"/l\"\npreset = \"nft\"\nprefix = \"KNOCK \"");
        let sent = LINE.replace("IN=eth0 OUT= ", "IN= OUT=eth0 ");
        let lines = format!("KNOCK:{LINE}\n{LINE}\nKNOCK {sent}\nKNOCK {}\n", LINE.replace("DPT=40000", "DPT="));
        insta::assert_snapshot!(found(&prefixed, lines.as_bytes()), @"");
        insta::assert_snapshot!(found(&log("file = \"/l\""), LINE.as_bytes()), @"");
    }

    #[test]
    fn hostile_bytes_do_not_reach_the_terminal() {
        let log = log(r#"file = "/l"
            patterns = ['(?<src>192\S+) (?<dport>\d+)']"#);
        let line = [b"192.0.2.7 1 \x1b]0;x\x07\r\xff\xc2\x9b\xe2\x80\xae", "ü".repeat(300).as_bytes(), b"\n"].concat();
        let shown = found(&log, &line);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
        assert!(shown.contains("\\u{1b}]0;x\\u{7}") && shown.ends_with("ü…"), "{shown}");
    }

    #[test]
    fn tokens_are_counted() {
        let token = text::write(&[7; 61], text::Shape::Plain, &mut |out| out.fill(0)).unwrap();
        let lines = format!("192.0.2.7 \"GET /x?{token} HTTP/1.1\" 404\n192.0.2.7 \"GET / HTTP/1.1\" 200\n");
        assert_eq!(found(&log("file = \"/l\""), lines.as_bytes()), "its 2 lines\n  tokens: 1 line that may hold one");
    }

    #[test]
    fn of_a_file_only_the_last_whole_lines_are_read() {
        let scratch = Scratch::new();
        let path = scratch.path("log");
        let long = "x".repeat(999) + "\n";
        fs::write(&path, long.repeat(2000) + "in the making").unwrap();
        let bytes = of_file(path.to_str().unwrap()).unwrap();
        assert!(bytes.len() <= 1 << 20 && bytes.len() > 1000 * 1000 && bytes.len() % 1000 == 0, "{}", bytes.len());
        let log = log(&format!("file = {path:?}"));
        assert_eq!(
            examine(&log),
            (format!("log `l`, {}: the last 1000 lines\n  tokens: no line", path.display()), false)
        );
        fs::write(&path, "").unwrap();
        assert!(examine(&log).0.ends_with(": no line yet"));
        fs::remove_file(&path).unwrap();
        let (text, warns) = examine(&log);
        assert!(warns && text.starts_with("warning: cannot read log `l`") && text.contains("yet to come"), "{text}");
        fs::create_dir(&path).unwrap();
        assert!(examine(&log).0.contains("it is no file"));
    }

    #[test]
    fn of_packets_there_is_nothing_to_show() {
        assert_eq!(
            examine(&log("nflog = 5")),
            ("log `l`, group 5 of NFLOG: packets, and nothing to show".to_owned(), false)
        );
    }
}
