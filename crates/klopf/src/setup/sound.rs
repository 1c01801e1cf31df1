//! Whether the configuration takes an answer: `klopf check` itself is asked.

use klopf_config::native::{PortRange, Source, parse_files};
use klopf_config::{Fault, check_files};
use klopf_spa::{Psk, Seed};

use super::text::quoted;

/// More would not have room in a short file.
const MOST_GUARDED: usize = 8;
const MOST_ALLOWED: usize = 3;

/// What `klopf check` would say first of a file, beside keys that open its doors.
pub(super) fn complaint(text: &str) -> Option<String> {
    let (main, key) = (Source { name: "klopf.toml", bytes: text.as_bytes() }, key());
    let found = check_files(main, &[Source { name: "keys.d/anybody.toml", bytes: key.as_bytes() }]);
    found.faults.iter().chain(&found.warnings).next().map(said)
}

/// Reads ports to guard; its error says what is wrong.
pub(super) fn guard(texts: &[String]) -> Result<Vec<PortRange>, String> {
    let texts: Vec<String> = texts.iter().map(|text| plain(text)).collect();
    let text = format!("[door.a]\nkeys = [\"*\"]\nguard = [{}]\n", listed(&texts));
    if let Some(complaint) = complaint(&text) {
        return Err(complaint);
    }
    let key = key();
    let key = Source { name: "keys.d/anybody.toml", bytes: key.as_bytes() };
    let read = parse_files(Source { name: "klopf.toml", bytes: text.as_bytes() }, &[key]);
    let doors = read.map(|checked| checked.config.doors).unwrap_or_default();
    match doors.into_iter().next().map(|door| door.guard).unwrap_or_default() {
        guard if guard.len() > MOST_GUARDED => {
            Err(format!("more than {MOST_GUARDED} are too many for a short file: write the others into it then"))
        }
        guard => Ok(guard),
    }
}

/// Looks at addresses and networks that are never to be shut out; its error says what is wrong.
pub(super) fn networks(texts: &[String]) -> Result<(), String> {
    if texts.len() > MOST_ALLOWED {
        return Err(format!("more than {MOST_ALLOWED} are too many for a short file: write the others into it then"));
    }
    let text = format!("[door.a]\nkeys = [\"*\"]\nguard = [\"tcp/1\"]\nalways-allow = [{}]\n", listed(texts));
    complaint(&text).map_or(Ok(()), Err)
}

/// Looks at a time for which a door is open; its error says what is wrong.
pub(super) fn time(text: &str) -> Result<(), String> {
    let text = format!("[door.a]\nkeys = [\"*\"]\nguard = [\"tcp/1\"]\nopen-for = {}\n", quoted(text));
    complaint(&text).map_or(Ok(()), Err)
}

/// `22` is taken for `tcp/22`.
fn plain(text: &str) -> String {
    let digits = text.split('-').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if digits { format!("tcp/{text}") } else { text.to_owned() }
}

fn listed(texts: &[String]) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

fn said(fault: &Fault) -> String {
    format!("{}: {}", fault.text, fault.help)
}

/// A key of nobody, with which doors for keys have one.
fn key() -> String {
    let (public, psk) = (Seed::new([1; 32]).public().text(), Psk::new([1; 32]));
    format!("public = \"{public}\"\npsk = \"{}\"\n", *psk.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_the_configuration_reads_them() {
        let read = |texts: &[&str]| guard(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        let shown = |ports: Vec<PortRange>| ports.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            read(&["22", "udp/60000-61000", "8000-8010"]).map(shown).unwrap(),
            ["tcp/22", "udp/60000-61000", "tcp/8000-8010"]
        );
        for (wrong, why) in [
            ("22/tcp", "write `tcp/22`"),
            ("ssh", ""),
            ("tcp/0", ""),
            ("udp/68", "may lose its address"),
            ("tcp/\"22", ""),
            ("", ""),
        ] {
            assert!(read(&["tcp/443", wrong]).unwrap_err().contains(why), "{wrong}");
        }
        let many: Vec<String> = (1..=9).map(|number| format!("tcp/{}", number * 2)).collect();
        assert!(guard(&many).is_err() && guard(&many[1..]).is_ok());
    }

    #[test]
    fn networks_are_looked_at() {
        let look = |text: &str| networks(&[text.to_owned()]);
        assert!(look("192.0.2.0/24").is_ok() && look("2001:db8::7").is_ok());
        assert!(look("192.0.2.1/24").unwrap_err().contains("write `192.0.2.0/24`"));
        assert!(look("host").is_err() && look("\"]\nx = 1").is_err());
    }
}
