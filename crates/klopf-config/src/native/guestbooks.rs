//! The sections `[guestbook.NAME]`.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use klopf_spa::Name;
use toml::de::DeTable;

use super::report::{Entry, Key, Report, Value, Wrong, in_order};
use super::sources::{Written, file, is_password, named};
use super::urls::{self, Page};
use super::{Format, Guestbook, Network, values};

pub(super) const KEYS: [&str; 7] = ["url", "format", "every", "user-agent", "insecure", "allow-private", "ca-file"];

const EVERY: Duration = Duration::from_secs(60);
const SHORTEST_EVERY: Duration = Duration::from_secs(1);
const LONGEST_EVERY: Duration = Duration::from_secs(86400);
const LONGEST_AGENT: usize = 200;
const MOST_NETWORKS: usize = 64;

/// The guestbooks in file order.
pub(super) fn read_all(table: &DeTable<'_>, report: &mut Report<'_>) -> Vec<Written<Guestbook>> {
    named(table, "guestbook", report, read)
}

fn read(name: &Key<'_>, table: &DeTable<'_>, report: &mut Report<'_>) -> Option<Guestbook> {
    let before = report.faults();
    let (mut page, mut format, mut every, mut user_agent) = (None, Format::Auto, EVERY, None);
    let (mut insecure, mut allow_private, mut ca_file) = (false, Vec::new(), None);
    let entries = in_order(table);
    for (key, value) in &entries {
        match key.get_ref().as_ref() {
            word @ "url" => {
                let text = report.string(word, value, r#""https://example.org/guestbook""#);
                page = text.and_then(|text| report.checked(value.span(), urls::page(text)));
            }
            "format" => {
                let choices = [
                    ("auto", Format::Auto),
                    ("html", Format::Html),
                    ("feed", Format::Feed),
                    ("json", Format::Json),
                    ("text", Format::Text),
                ];
                format = report.choice("format", value, choices).unwrap_or_default();
            }
            word @ "every" => {
                let text = report.string(word, value, r#""60s""#);
                let read = text.map(|text| values::duration_from(text, SHORTEST_EVERY, LONGEST_EVERY));
                every = read.and_then(|read| report.checked(value.span(), read)).unwrap_or(EVERY);
            }
            "user-agent" => user_agent = self::user_agent(value, report),
            word @ "insecure" => insecure = report.boolean(word, value).unwrap_or_default(),
            "allow-private" => allow_private = networks(value, report),
            word @ "ca-file" => ca_file = file(word, value, "ca.pem", report),
            word if is_password(word) => {
                let help = "remove the line: what only some may read is no guestbook";
                report.fault(key.span(), Wrong::new("a guestbook has no password", help));
            }
            _ => report.unknown_key(key, &format!("guestbook `{}`", report.name(name)), &KEYS),
        }
    }
    if let Some(page) = &page {
        reachable(page, insecure, &allow_private, &entries, report);
    }
    if !entries.iter().any(|(key, _)| key.get_ref() == "url") {
        let text = format!("guestbook `{}` has no `url`", report.name(name));
        report.missing(name.span(), Wrong::new(text, r#"add `url = "https://example.org/guestbook"`"#));
    }
    let (name, url) = (Name::new(name.get_ref())?, page?.url);
    let guestbook = Guestbook { name, url, format, every, user_agent, insecure, allow_private, ca_file };
    (report.faults() == before).then_some(guestbook)
}

/// Whether the courier may ask for the page at all.
fn reachable(page: &Page, insecure: bool, allowed: &[Network], entries: &[Entry<'_, '_>], report: &mut Report<'_>) {
    let at = |word: &str| entries.iter().find(|(key, _)| key.get_ref() == word);
    let url = at("url").map(|(_, value)| value.span()).unwrap_or_default();
    if !page.tls && !insecure {
        let help = "write `https://`, or add `insecure = true`: then all on the way can change what is read";
        report.missing(url.clone(), Wrong::new("`url` would be read without TLS", help));
    }
    if let Some((key, _)) = at("insecure").filter(|_| page.tls && insecure) {
        report.warn(key.span(), Wrong::new("`insecure` says nothing beside `https://`", "remove the line"));
    }
    if let Some((key, _)) = at("ca-file").filter(|_| !page.tls) {
        report.warn(key.span(), Wrong::new("`ca-file` says nothing without TLS", "write `https://`, or remove it"));
    }
    let Some(address) = urls::private(&page.host) else { return };
    let either = [Some(address), page.host.parse::<IpAddr>().err().map(|_| Ipv6Addr::LOCALHOST.into())];
    let is_allowed =
        either.into_iter().flatten().any(|address| allowed.iter().any(|network| network.contains(address)));
    // A fault in the list itself is told already.
    if !is_allowed && (at("allow-private").is_none() || !allowed.is_empty()) {
        let text = format!("`{}` is no part of the Internet", page.host);
        let help = format!("if it is meant, add `allow-private = [\"{address}\"]`");
        report.missing(url, Wrong::new(text, help));
    }
}

fn user_agent(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = report.string("user-agent", value, r#""Mozilla/5.0 (compatible)""#)?;
    let plain = !text.is_empty() && text.trim() == text && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let wrong = || {
        let help = format!("write 1 to {LONGEST_AGENT} characters of ASCII, or remove the line");
        Wrong::new("`user-agent` cannot be sent so", help)
    };
    report.checked(value.span(), (plain && text.len() <= LONGEST_AGENT).then(|| text.to_owned()).ok_or_else(wrong))
}

fn networks(list: &Value<'_>, report: &mut Report<'_>) -> Vec<Network> {
    let example = r#"["127.0.0.1", "10.0.0.0/8"]"#;
    let elements = report.list("allow-private", list, example).unwrap_or_default();
    if elements.is_empty() && list.get_ref().is_array() {
        let help = "write the addresses that may be asked, or remove the line";
        report.fault(list.span(), Wrong::new("`allow-private` names no network", help));
    }
    if let Some(first) = elements.get(MOST_NETWORKS) {
        let text = format!("`allow-private` has more than {MOST_NETWORKS} networks");
        report.fault(first.span(), Wrong::new(text, "leave some out"));
        return Vec::new();
    }
    let mut networks = Vec::new();
    for element in elements {
        let text = report.string("allow-private", element, example);
        networks.extend(text.and_then(|text| report.checked(element.span(), values::network(text))));
    }
    networks
}
