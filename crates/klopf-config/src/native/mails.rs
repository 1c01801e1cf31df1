//! The sections `[mail.NAME]`.

use std::time::Duration;

use toml::de::DeTable;

use super::report::{Entry, Key, Report, Value, Wrong, in_order};
use super::sources::{Written, file, is_password, named, password};
use super::urls::{self, ImapUrl};
use super::{Delivery, Imap, Mail, Mailbox, Maildir, Taken, values};
use crate::suggest::nearest;

pub(super) const KEYS: [&str; 9] =
    ["imap", "maildir", "password-file", "taken", "require-dkim", "every", "ca-file", "insecure", "drop-box"];

const EVERY: Duration = Duration::from_secs(60);
const SHORTEST_EVERY: Duration = Duration::from_secs(5);
const LONGEST_EVERY: Duration = Duration::from_secs(86400);
const INBOX: &str = "INBOX";
const MOST_DOMAINS: usize = 64;
/// What says nothing of a Maildir.
const NEED_IMAP: [&str; 4] = ["password-file", "every", "ca-file", "insecure"];

/// The mailboxes in file order.
pub(super) fn read_all(table: &DeTable<'_>, report: &mut Report<'_>) -> Vec<Written<Mail>> {
    named(table, "mail", report, read)
}

/// What is written of a mailbox, whatever is missing.
#[derive(Default)]
struct Read {
    imap: Option<ImapUrl>,
    maildir: Option<String>,
    password_file: Option<String>,
    taken: Taken,
    require_dkim: Vec<String>,
    every: Option<Duration>,
    ca_file: Option<String>,
    insecure: bool,
    drop_box: bool,
}

fn read(name: &Key<'_>, table: &DeTable<'_>, report: &mut Report<'_>) -> Option<Mail> {
    let before = report.faults();
    let mut read = Read::default();
    let entries = in_order(table);
    let mut has_password = false;
    for (key, value) in &entries {
        match key.get_ref().as_ref() {
            word @ "imap" => {
                let text = report.string(word, value, r#""imaps://user@mail.example/INBOX""#);
                read.imap = text.and_then(|text| report.checked(value.span(), urls::imap(text)));
            }
            word @ "maildir" => read.maildir = directory(word, value, report),
            word @ "password-file" => read.password_file = file(word, value, "mail.password", report),
            "taken" => read.taken = taken(value, report).unwrap_or_default(),
            "require-dkim" => read.require_dkim = domains(value, report),
            word @ "every" => {
                let text = report.string(word, value, r#""60s""#);
                let every = text.map(|text| values::duration_from(text, SHORTEST_EVERY, LONGEST_EVERY));
                read.every = every.and_then(|every| report.checked(value.span(), every));
            }
            word @ "ca-file" => read.ca_file = file(word, value, "ca.pem", report),
            word @ "insecure" => read.insecure = report.boolean(word, value).unwrap_or_default(),
            word @ "drop-box" => read.drop_box = report.boolean(word, value).unwrap_or_default(),
            word if is_password(word) => {
                has_password = true;
                report.fault(key.span(), password());
            }
            _ => report.unknown_key(key, &format!("mail `{}`", report.name(name)), &KEYS),
        }
    }
    let at = |word: &str| entries.iter().find(|(key, _)| key.get_ref() == word);
    match (at("imap"), at("maildir")) {
        (Some(_), Some((maildir, _))) => {
            let text = format!("mail `{}` has `imap` and `maildir`", report.name(name));
            report.fault(maildir.span(), Wrong::new(text, "remove one of the two, or make a section for each"));
        }
        (Some((imap, _)), None) => {
            if at("password-file").is_none() && !has_password {
                let text = format!("mail `{}` has no `password-file`", report.name(name));
                let help = "add `password-file = \"mail.password\"`: a file whose first line is the password";
                report.missing(imap.span(), Wrong::new(text, help));
            }
            of_server(&entries, &read, report);
        }
        (None, Some(_)) => of_maildir(&entries, &mut read, report),
        (None, None) => {
            let text = format!("mail `{}` says of no mailbox where it is", report.name(name));
            let help = r#"add `imap = "imaps://user@mail.example/INBOX"`, or `maildir = "/var/mail/klopf"`"#;
            report.missing(name.span(), Wrong::new(text, help));
        }
    }
    let name = klopf_spa::Name::new(name.get_ref());
    let mailbox = read.mailbox();
    let mail = || Some(Mail { name: name?, mailbox: mailbox?, taken: read.taken, require_dkim: read.require_dkim });
    (report.faults() == before).then(mail).flatten()
}

impl Read {
    fn mailbox(&mut self) -> Option<Mailbox> {
        if let Some(path) = self.maildir.take() {
            return Some(Mailbox::Maildir(Maildir { path, drop_box: self.drop_box }));
        }
        let ImapUrl { tls, host, port, user, folder } = self.imap.take()?;
        let delivery = match (tls, self.insecure) {
            (true, _) => Delivery::Tls,
            (false, false) => Delivery::StartTls,
            (false, true) => Delivery::Plain,
        };
        Some(Mailbox::Imap(Imap {
            host,
            port: port.unwrap_or(if tls { 993 } else { 143 }),
            delivery,
            user,
            folder: folder.unwrap_or_else(|| INBOX.to_owned()),
            password_file: self.password_file.take()?,
            every: self.every.unwrap_or(EVERY),
            ca_file: self.ca_file.take(),
        }))
    }
}

/// What makes sense for a mailbox on a server.
fn of_server(entries: &[Entry<'_, '_>], read: &Read, report: &mut Report<'_>) {
    for (key, value) in entries {
        match key.get_ref().as_ref() {
            "drop-box" => {
                let help = "remove it, or name the box on this host: `maildir = \"/var/spool/klopf\"`";
                report.fault(key.span(), Wrong::new("`drop-box` is for a `maildir`", help));
            }
            "insecure" if read.insecure && read.imap.as_ref().is_some_and(|imap| imap.tls) => {
                let help = "remove the line";
                report.warn(key.span(), Wrong::new("`insecure` says nothing beside `imaps://`", help));
            }
            "taken" => {
                let Some(imap) = &read.imap else { continue };
                let own = imap.folder.as_deref().unwrap_or(INBOX);
                let is_inbox = |folder: &str| folder.eq_ignore_ascii_case(INBOX);
                let same = |folder: &String| folder == own || is_inbox(folder) && is_inbox(own);
                if matches!(&read.taken, Taken::Move(folder) if same(folder)) {
                    let text = "`taken` moves mails to the folder in which they are";
                    report.fault(value.span(), Wrong::new(text, "name another folder, or write `mark` or `delete`"));
                }
            }
            _ => {}
        }
    }
}

/// What makes sense for a mailbox on this host.
fn of_maildir(entries: &[Entry<'_, '_>], read: &mut Read, report: &mut Report<'_>) {
    for (key, value) in entries {
        match key.get_ref().as_ref() {
            word if NEED_IMAP.contains(&word) => {
                let help = "remove the line: a `maildir` is on this host, and is told of each mail at once";
                report.fault(key.span(), Wrong::new(format!("`{word}` is for `imap`"), help));
            }
            "taken" if read.drop_box && read.taken != Taken::Delete => {
                let text = "a `drop-box` keeps no mails";
                report.fault(value.span(), Wrong::new(text, "remove one of the two lines"));
            }
            "taken" => {
                if matches!(&read.taken, Taken::Move(folder) if folder.contains('/') || folder.starts_with('.')) {
                    let text = "`taken` cannot move mails to a folder of this name";
                    let help =
                        "write it without `/` and without a dot in front: `move:Knocks` is `.Knocks` in the maildir";
                    report.fault(value.span(), Wrong::new(text, help));
                }
            }
            _ => {}
        }
    }
    if read.drop_box {
        read.taken = Taken::Delete;
    }
}

fn directory(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let path = report.string(key, value, r#""/var/mail/klopf""#)?;
    let wrong = || Wrong::new(format!("`{key}` must be an absolute path"), "begin it with `/`");
    report.checked(value.span(), path.starts_with('/').then(|| path.to_owned()).ok_or_else(wrong))
}

fn taken(value: &Value<'_>, report: &mut Report<'_>) -> Option<Taken> {
    let text = report.string("taken", value, r#""mark""#)?;
    let folder = text.strip_prefix("move:").map(str::trim);
    let taken = match (text, folder) {
        ("mark", _) => Ok(Taken::Mark),
        ("delete", _) => Ok(Taken::Delete),
        ("move", _) | (_, Some("")) => {
            Err(Wrong::new("`taken` does not say where to move mails", "write the folder: `move:Knocks`"))
        }
        (_, Some(folder)) if folder.contains(char::is_control) => {
            let help = "write it without control characters";
            Err(Wrong::new("`taken` cannot move mails to a folder of this name", help))
        }
        (_, Some(folder)) => Ok(Taken::Move(folder.to_owned())),
        (_, None) => {
            let help = match nearest(text, &["mark", "delete"]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write `mark`, `delete`, or a folder as in `move:Knocks`".to_owned(),
            };
            Err(Wrong::new(format!("`taken` cannot be `{text}`"), help))
        }
    };
    report.checked(value.span(), taken)
}

fn domains(list: &Value<'_>, report: &mut Report<'_>) -> Vec<String> {
    let example = r#"["example.org"]"#;
    let elements = report.list("require-dkim", list, example).unwrap_or_default();
    if elements.is_empty() && list.get_ref().is_array() {
        let help = "write the domains that sign your mails, or remove the line";
        report.fault(list.span(), Wrong::new("`require-dkim` names no domain", help));
    }
    if let Some(first) = elements.get(MOST_DOMAINS) {
        let text = format!("`require-dkim` has more than {MOST_DOMAINS} domains");
        report.fault(first.span(), Wrong::new(text, "leave some out"));
        return Vec::new();
    }
    let mut domains = Vec::new();
    for element in elements {
        let Some(text) = report.string("require-dkim", element, example) else { continue };
        let domain = text.to_ascii_lowercase();
        if !urls::is_name(&domain) || !domain.contains('.') {
            let help = match text.rsplit_once('@') {
                Some((_, domain)) if urls::is_name(domain) => {
                    format!("write `{domain}`: a domain signs, not an address")
                }
                _ => "write it as in a mail's address, letters beyond ASCII with `xn--`".to_owned(),
            };
            report.fault(element.span(), Wrong::new(format!("`{text}` cannot be a domain"), help));
        } else if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}
