//! A packet, byte by byte, for people. The offsets are those of `docs/PROTOCOL.md`.

use std::fmt::Write;

use klopf_spa::{KeyId, Knock, Shape};

use super::knocker::Packet;

/// Bytes of a nonce, and of a tag.
const NONCE: usize = 12;
const TAG: usize = 16;
/// Bytes of the middle before HPKE's ciphertext.
const MIDDLE: usize = 42;
/// Bytes of a knock before the door's name, and of its signature.
const BEFORE_DOOR: usize = 60;
const SIGNATURE: usize = 64;

/// What is sent, layer by layer, and the bytes themselves. No key is in it.
pub(crate) fn explain(packet: &Packet, key: KeyId, shape: Shape) -> String {
    let Packet { to, knock, bytes } = packet;
    let head = format!("To {} port {}, UDP, {} bytes:\n", to.ip(), to.port(), bytes.len());
    let mut dump = String::from("As it would be on the wire:\n");
    for (line, part) in bytes.chunks(24).enumerate() {
        let hex: String = part.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, " {byte:02x}");
            text
        });
        let _ = writeln!(dump, "  {:>4} {hex}", line * 24);
    }
    format!("{head}{}{dump}", layers(bytes, Some(knock), key, shape))
}

/// The layers of a packet; the inner ones only if it is known what is in them.
pub(crate) fn layers(bytes: &[u8], knock: Option<&Knock>, key: KeyId, shape: Shape) -> String {
    let mut out = Lines::default();
    let Some(parts) = shape.undress(bytes) else { return out.0 };
    let before = parts.before.len();
    let end = before + parts.sealed.len();
    if before > 0 {
        out.span(0, before, format_args!("looks like {}; sealed with the rest", shape.name()));
    }
    out.span(before, NONCE, "nonce, random");
    let middle = parts.sealed.len().saturating_sub(NONCE + TAG);
    out.span(before + NONCE, middle, "sealed for those who were invited (ChaCha20-Poly1305), in it:");
    out.inner(1, 0, 8, format_args!("which key it is: {key}"));
    out.inner(1, 8, 32, "HPKE's encapsulated key, new for each packet");
    match knock {
        Some(knock) => inside(&mut out, knock, middle),
        None => out.inner(1, 40, middle.saturating_sub(40), "sealed for the server (HPKE), and zeros"),
    }
    out.span(end - TAG.min(end), TAG, "tag of the outer seal");
    if !parts.after.is_empty() {
        out.span(end, parts.after.len(), "the end of what it looks like");
    }
    out.0
}

/// What the server alone can open.
fn inside(out: &mut Lines, knock: &Knock, middle: usize) {
    let length = BEFORE_DOOR + knock.door.len() + SIGNATURE + TAG;
    out.inner(1, 40, 2, format_args!("{length}, the length of what follows"));
    out.inner(1, MIDDLE, length, "sealed for the server (HPKE, by your key and the shared one), in it:");
    out.inner(2, 0, 1, "1, the version");
    out.inner(2, 1, 1, "1, which asks for a door to be opened");
    match knock.time {
        0 => out.inner(2, 2, 8, "0: this device has no clock"),
        time => out.inner(2, 2, 8, format_args!("{time}, the time: {}", date(time / 1000))),
    }
    out.inner(2, 10, 8, format_args!("{}, the number of this knock; none counts twice", knock.counter));
    let device: String = knock.device.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    out.inner(2, 18, 16, format_args!("{device}, which device this is"));
    match knock.allow {
        None => out.inner(2, 34, 17, "0: whom to let in is where the packet comes from"),
        Some(address) => {
            let kind = if address.is_ipv4() { 4 } else { 6 };
            out.inner(2, 34, 1, format_args!("{kind}: whom to let in is an IPv{kind} address,"));
            out.inner(2, 35, 16, format_args!("{address}"));
        }
    }
    match knock.hold {
        0 => out.inner(2, 51, 4, "0: for as long as the door says"),
        hold => out.inner(2, 51, 4, format_args!("{hold}: for so many seconds")),
    }
    match knock.code {
        None => out.inner(2, 55, 4, "no code of a second factor"),
        Some(_) => out.inner(2, 55, 4, "the code of the second factor"),
    }
    out.inner(2, 59, 1, format_args!("{}, the length of", knock.door.len()));
    out.inner(2, BEFORE_DOOR, knock.door.len(), format_args!("\"{}\", the door", knock.door));
    out.inner(2, BEFORE_DOOR + knock.door.len(), SIGNATURE, "your signature (Ed25519) of all that");
    out.inner(2, length - TAG, TAG, "tag: nobody has changed a bit of it");
    out.inner(1, MIDDLE + length, middle.saturating_sub(MIDDLE + length), "zeros, so that the length says nothing");
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn span(&mut self, first: usize, length: usize, what: impl std::fmt::Display) {
        self.inner(0, first, length, what);
    }

    fn inner(&mut self, depth: usize, first: usize, length: usize, what: impl std::fmt::Display) {
        if length == 0 {
            return;
        }
        let last = first + length - 1;
        let bytes = if length == 1 { first.to_string() } else { format!("{first}-{last}") };
        let _ = writeln!(self.0, "  {:indent$}{bytes:>9}  {what}", "", indent = depth * 2);
    }
}

/// A moment in UTC, as `2026-07-01 12:30:05 UTC`. Days are counted as in the proleptic Gregorian calendar, in which 400 years
/// have 146,097 days.
pub(crate) fn date(unix_seconds: u64) -> String {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Years begin in March, so that a leap day is the last one.
    let days = days + 719_468;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use klopf_spa::{Knock, Name, Psk, Seed, ServerKey, seal};

    use super::*;

    #[test]
    fn a_moment_is_told_by_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_800_000_000, "2027-01-15 08:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn every_byte_is_explained_and_no_key_is_shown() {
        let (seed, psk, server) = (Seed::new([7; 32]), Psk::new([8; 32]), ServerKey::new([9; 32]).public());
        for (shape, allow, code) in Shape::ALL
            .into_iter()
            .flat_map(|shape| [(shape, None, None), (shape, Some([192, 0, 2, 7].into()), Some(123_456))])
        {
            let door = Name::new("ssh").unwrap();
            let knock = Knock { time: 1_800_000_000_000, counter: 77, device: [0xa5; 16], allow, hold: 60, code, door };
            let bytes = seal((&server, shape), (&seed, &psk), &knock, 1_800_000_000_000, &mut |bytes| bytes.fill(0x5a));
            let length = bytes.len();
            let text =
                explain(&Packet { to: "192.0.2.1:51900".parse().unwrap(), knock, bytes }, seed.public().id(), shape);
            let (parts, dump) = text.split_once("As it would be on the wire:").unwrap();
            // Each layer goes on where it has ended.
            let mut ends = [0, 0, 0];
            for line in parts.lines().skip(1) {
                let bytes = line.trim_start().split("  ").next().unwrap();
                let (first, last) = bytes.split_once('-').unwrap_or((bytes, bytes));
                let first: usize = first.parse().unwrap();
                let layer = ends.iter().position(|end| *end == first).unwrap_or_else(|| panic!("{line}\n{text}"));
                ends[layer] = last.parse::<usize>().unwrap() + 1;
            }
            assert_eq!(ends[0], length, "{text}");
            let shown: usize = dump.lines().map(|line| line.split_whitespace().skip(1).count()).sum();
            assert_eq!(shown, length, "{dump}");
            for secret in [seed.text(), psk.text(), server.text()] {
                assert!(!text.contains(&secret[..8]));
            }
            assert!(!text.contains("123456"), "a code opens doors");
        }
    }
}
