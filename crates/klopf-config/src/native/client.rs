//! What a client is told besides its profiles, in `client.toml`: how mails leave, and how an entry gets into a guestbook.
//!
//! Headers may hold a password, and so may addresses: of lines that may, a fault shows no value.

use std::fmt;

use klopf_spa::{Name, is_mail_address};
use toml::de::{DeTable, DeValue};

use super::profile::{hidden_from, is_endpoint};
use super::report::{Key, Report, Value, Wrong, in_order};
use crate::Faults;

/// A longer file is not read, in bytes.
const LONGEST_FILE: usize = 1 << 16;
/// Guestbooks, and pairs of a form or of headers, at most.
const MOST: usize = 32;
/// Stands for the text in what is posted.
pub const PLACEHOLDER: &str = "{text}";

const SECTIONS: [&str; 2] = ["smtp", "guestbook"];
const SMTP: [&str; 6] = ["server", "from", "password-file", "keyring", "ca-file", "insecure"];
const GUESTBOOK: [&str; 6] = ["url", "form", "json", "headers", "ca-file", "insecure"];
/// The keys whose lines hold no secret. Addresses and forms may, too.
const HARMLESS: [&str; 5] = ["from", "password-file", "keyring", "ca-file", "insecure"];

/// A `client.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// `[smtp]`.
    pub smtp: Option<Smtp>,
    /// `[guestbook.NAME]`, in file order; at most 32.
    pub guestbooks: Vec<Guestbook>,
}

/// Where mails are handed in (RFC 6409).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// The server's name, which its certificate must have, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is kept secret.
    pub security: Security,
    /// Who logs in; none: nobody.
    pub user: Option<String>,
    /// With what.
    pub password: Password,
    /// Whose mail it is, as `ada@example.org`.
    pub from: String,
    /// A file with the certificates that are trusted, in PEM; none: those that this system trusts.
    pub ca_file: Option<String>,
}

/// How the way to a server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the start (RFC 8314).
    Tls,
    /// TLS after STARTTLS, or nothing is sent.
    StartTls,
    /// Not at all.
    Plain,
}

/// Where a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// In the first line of a file; relative to `client.toml`.
    File(String),
    /// In the desktop's keyring.
    Keyring,
    /// In somebody's head.
    Asked,
}

/// How an entry gets into a guestbook.
#[derive(Clone, PartialEq, Eq)]
pub struct Guestbook {
    /// What the server calls it.
    pub name: Name,
    /// Where to post: an `https:` address, or an `http:` one if that is wanted.
    pub url: String,
    /// What is posted.
    pub entry: Entry,
    /// Names and values of further header fields; they may be secret.
    pub headers: Vec<(String, String)>,
    /// As for [`Smtp`].
    pub ca_file: Option<String>,
}

/// What is posted; [`PLACEHOLDER`] stands for the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Names and values of a form's fields.
    Form(Vec<(String, String)>),
    /// A document, which is not checked here.
    Json(String),
}

impl fmt::Debug for Guestbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guestbook").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}

/// Reads a `client.toml`. `file` is only for faults.
///
/// # Errors
/// Every fault with its place, and no secret in any of them.
pub fn parse(file: &str, text: &[u8]) -> Result<Client, Faults> {
    let shown = String::from_utf8_lossy(text);
    let mut report = Report::new(file, &shown, false);
    let mut client = Client::default();
    if text.len() > LONGEST_FILE {
        report.fault(0..0, Wrong::new("the file is longer than 64 KiB", "leave something out"));
    } else if let Err(error) = std::str::from_utf8(text) {
        let at = error.valid_up_to();
        report.fault(at..at + 1, Wrong::new("the file is not UTF-8 here", "save it as UTF-8"));
    } else {
        let (document, errors) = DeTable::parse_recoverable(&shown);
        for error in errors {
            report.syntax(error.span().unwrap_or_default(), error.message(), document.get_ref());
        }
        for (key, value) in in_order(document.get_ref()) {
            match (&**key.get_ref(), value.get_ref()) {
                ("smtp", DeValue::Table(table)) => client.smtp = smtp(key, table, &mut report),
                ("guestbook", DeValue::Table(table)) => client.guestbooks = guestbooks(table, &mut report),
                (name @ ("smtp" | "guestbook"), _) => report.mistyped(name, value, "a table", "{ ... }"),
                _ => report.unknown_key(key, "client.toml", &SECTIONS),
            }
        }
    }
    let mut faults = report.finish().0;
    for fault in &mut faults {
        let line = fault.excerpt.trim_start();
        let is_harmless =
            |key: &&str| line.strip_prefix(*key).is_some_and(|behind| behind.trim_start().starts_with('='));
        let from = match fault.excerpt.find('=') {
            _ if line.starts_with(['#', '[']) || HARMLESS.iter().any(is_harmless) => fault.excerpt.len(),
            Some(equals) => equals,
            None => 0,
        };
        fault.excerpt = hidden_from(&fault.excerpt, from);
    }
    if faults.is_empty() { Ok(client) } else { Err(Faults(faults)) }
}

fn smtp(section: &Key<'_>, table: &DeTable<'_>, report: &mut Report<'_>) -> Option<Smtp> {
    const SERVER: &str = "\"smtps://ada%40example.org@mail.example\"";
    let (mut server, mut from, mut file, mut keyring, mut ca_file, mut insecure) =
        (None, None, None, false, None, false);
    for (key, value) in in_order(table) {
        match &**key.get_ref() {
            "server" => server = report.string("server", value, SERVER).map(|text| (value.span(), text)),
            "from" => from = address(value, report),
            "password-file" => file = report.string("password-file", value, "\"smtp.password\"").map(str::to_owned),
            "keyring" => keyring = report.boolean("keyring", value).unwrap_or_default(),
            "ca-file" => ca_file = report.string("ca-file", value, "\"ca.pem\"").map(str::to_owned),
            "insecure" => insecure = report.boolean("insecure", value).unwrap_or_default(),
            "password" => {
                let help =
                    "write it into the first line of a file that only you may read, and `password-file = \"FILE\"`";
                report.misplaced(key.span(), Wrong::new("a password does not stand in client.toml", help));
            }
            _ => report.unknown_key(key, "[smtp]", &SMTP),
        }
    }
    for (name, there, example) in
        [("server", table.contains_key("server"), SERVER), ("from", table.contains_key("from"), "\"ada@example.org\"")]
    {
        if !there {
            let wrong = Wrong::new(format!("`{name}` is missing in [smtp]"), format!("write `{name} = {example}`"));
            report.missing(section.span(), wrong);
        }
    }
    let (span, server) = server?;
    let server = read_server(server, insecure);
    let (host, port, security, user) = report.checked(span, server)?;
    let password = match file {
        Some(file) => Password::File(file),
        None if keyring => Password::Keyring,
        None => Password::Asked,
    };
    Some(Smtp { host, port, security, user, password, from: from?, ca_file })
}

/// Host, port, how, and who, of `smtps://USER@HOST:PORT`.
fn read_server(text: &str, insecure: bool) -> Result<(String, u16, Security, Option<String>), Wrong> {
    // What it is instead is not said: there may be a password in it.
    let wrong = |help: &str| Wrong::new("`server` is no address of a mail server", help);
    const HELP: &str = "write it like smtps://USER@HOST, or smtp://USER@HOST for STARTTLS; an @ in USER is %40";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong(HELP))?;
    let (security, usual) = match scheme {
        "smtps" => (Security::Tls, 465),
        "smtp" if insecure => (Security::Plain, 587),
        "smtp" => (Security::StartTls, 587),
        _ => return Err(wrong(HELP)),
    };
    let (user, host) = match rest.trim_end_matches('/').rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            return Err(wrong("leave out the password: it goes into a file, and `password-file` says which"));
        }
        Some((user, host)) => (Some(decoded(user).filter(|user| !user.is_empty()).ok_or_else(|| wrong(HELP))?), host),
        None => (None, rest.trim_end_matches('/')),
    };
    let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(|| wrong(HELP))?)),
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(usual), |port| port.parse().ok().filter(|port| *port > 0));
    let port = port.ok_or_else(|| wrong("a port is a number of 1 to 65535"))?;
    if !is_endpoint(host) || host.contains('%') {
        return Err(wrong(HELP));
    }
    Ok((host.to_owned(), port, security, user))
}

/// A text with `%40` for `@` and the like (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(if byte == b'%' { digit()? * 16 + digit()? } else { byte });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

fn address(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = report.string("from", value, "\"ada@example.org\"")?;
    let wrong = || Wrong::new("`from` is no mail address", "write it like ada@example.org");
    report.checked(value.span(), is_mail_address(text).then(|| text.to_owned()).ok_or_else(wrong))
}

fn guestbooks(table: &DeTable<'_>, report: &mut Report<'_>) -> Vec<Guestbook> {
    let mut all = Vec::new();
    for (key, value) in in_order(table) {
        let Some(name) = Name::new(key.get_ref()) else {
            let help = "write 1 to 64 characters of A-Z a-z 0-9 _ . -";
            report.fault(key.span(), Wrong::new("this cannot be the name of a guestbook", help));
            continue;
        };
        match value.get_ref() {
            DeValue::Table(table) => all.extend(guestbook(key, name, table, report)),
            _ => report.mistyped(&name, value, "a table", "{ url = \"https://example.org/guestbook\" }"),
        }
    }
    if all.len() > MOST {
        report.fault(0..0, Wrong::new(format!("there are more than {MOST} guestbooks"), "leave some out"));
    }
    all
}

fn guestbook(section: &Key<'_>, name: Name, table: &DeTable<'_>, report: &mut Report<'_>) -> Option<Guestbook> {
    const URL: &str = "\"https://example.org/guestbook\"";
    const FORM: &str = "{ author = \"Ada\", text = \"{text}\" }";
    const JSON: &str = "'{\"author\": \"Ada\", \"text\": \"{text}\"}'";
    let (mut url, mut form, mut json, mut headers, mut ca_file, mut insecure) = (None, None, None, None, None, false);
    for (key, value) in in_order(table) {
        match &**key.get_ref() {
            "url" => url = report.string("url", value, URL).map(|text| (value.span(), text)),
            "form" => form = pairs("form", value, FORM, report),
            "json" => json = report.string("json", value, JSON).map(str::to_owned),
            "headers" => headers = pairs("headers", value, "{ Authorization = \"Bearer ...\" }", report),
            "ca-file" => ca_file = report.string("ca-file", value, "\"ca.pem\"").map(str::to_owned),
            "insecure" => insecure = report.boolean("insecure", value).unwrap_or_default(),
            _ => report.unknown_key(key, "a guestbook", &GUESTBOOK),
        }
    }
    if !table.contains_key("url") {
        report.missing(section.span(), Wrong::new("`url` is missing", format!("write `url = {URL}`")));
    }
    let entry = match (form, json) {
        (Some(form), None) => Some(Entry::Form(form)),
        (None, Some(json)) => Some(Entry::Json(json)),
        _ if table.contains_key("form") != table.contains_key("json") => None,
        _ => {
            let help = format!("write `form = {FORM}` or `json = {JSON}`");
            report.missing(section.span(), Wrong::new("a guestbook takes either a `form` or `json`", help));
            None
        }
    };
    let placed = match &entry {
        Some(Entry::Form(form)) => form.iter().any(|(_, value)| value.contains(PLACEHOLDER)),
        Some(Entry::Json(json)) => json.contains(PLACEHOLDER),
        None => true,
    };
    if !placed {
        let help = format!("write \"{PLACEHOLDER}\" as the value that is to be the entry");
        report.fault(section.span(), Wrong::new("what is posted has no place for the text", help));
    }
    let (span, url) = url?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://").filter(|_| insecure));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || host.contains('@') || !plain {
        let help = "write it like https://example.org/guestbook; without TLS it takes `insecure = true`, and a password goes into `headers`";
        report.fault(span, Wrong::new("`url` is no address of a web page", help));
        return None;
    }
    Some(Guestbook { name, url: url.to_owned(), entry: entry?, headers: headers.unwrap_or_default(), ca_file })
}

/// Names and texts of a table.
fn pairs(key: &str, value: &Value<'_>, example: &str, report: &mut Report<'_>) -> Option<Vec<(String, String)>> {
    let DeValue::Table(table) = value.get_ref() else {
        report.mistyped(key, value, "a table", example);
        return None;
    };
    if table.len() > MOST {
        report.fault(value.span(), Wrong::new(format!("`{key}` has more than {MOST} entries"), "leave some out"));
        return None;
    }
    let mut pairs = Vec::new();
    for (name, value) in in_order(table) {
        pairs.push((name.get_ref().to_string(), report.string(name.get_ref(), value, "\"...\"")?.to_owned()));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests;
