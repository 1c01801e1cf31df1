//! Mails, guestbooks and logs together, and what doors say of them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use klopf_spa::Name;
use toml::de::DeTable;

use super::doors::Place;
use super::report::{Key, Report, Value, Wrong, in_order};
use super::{Door, Guestbook, Log, Mail, Mailbox, Watched, Way, logs, mails};
use crate::suggest::nearest;

/// More mailboxes and guestbooks together are a fault.
const MOST: usize = 32;

/// A mailbox, guestbook or log as it is written, which may have faults.
pub(super) struct Written<T> {
    /// As in the file; not always a name.
    pub(super) name: String,
    /// The header.
    pub(super) at: Range<usize>,
    /// Nothing if there is a fault in it.
    pub(super) sound: Option<T>,
}

/// All of them, in file order.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) mails: Vec<Written<Mail>>,
    pub(super) guestbooks: Vec<Written<Guestbook>>,
    pub(super) logs: Vec<Written<Log>>,
    pub(super) watched: Watched,
    /// Where that is written.
    pub(super) written: Option<Range<usize>>,
}

impl Sources {
    /// Whether there is anything by which a door could open this way.
    pub(super) fn has(&self, way: Way) -> bool {
        match way {
            Way::Mail => !self.mails.is_empty(),
            Way::Guestbook => !self.guestbooks.is_empty(),
            Way::Log => self.watched.log && !self.logs.is_empty(),
            Way::Packet | Way::Sequence | Way::Encoded => self.watched.packet,
        }
    }

    /// Whether a log tells of hits; of one with faults it is not known, and nothing is to be said.
    pub(super) fn has_hits_in_logs(&self) -> bool {
        self.has(Way::Log) && self.logs.iter().any(|log| log.sound.as_ref().is_none_or(Log::tells_of_hits))
    }

    /// Whether there may be tokens in a log, likewise.
    pub(super) fn has_tokens_in_logs(&self) -> bool {
        self.has(Way::Log) && self.logs.iter().any(|log| log.sound.as_ref().is_none_or(|log| log.tokens))
    }
}

/// Reads the sections `[KIND.NAME]`, each by `read`, which gives nothing if there is a fault in it.
pub(super) fn named<T>(
    table: &DeTable<'_>,
    kind: &str,
    report: &mut Report<'_>,
    read: impl Fn(&Key<'_>, &DeTable<'_>, &mut Report<'_>) -> Option<T>,
) -> Vec<Written<T>> {
    let mut all = Vec::new();
    for (key, value) in in_order(table) {
        let Some(table) = value.get_ref().as_table() else {
            let text = format!("{kind} `{}` must be a section", report.name(key));
            report.fault(key.span(), Wrong::new(text, format!("write `[{kind}.NAME]`, and its keys below")));
            continue;
        };
        if Name::new(key.get_ref()).is_none() {
            let text = format!("`{}` cannot be the name of a {kind}", report.name(key));
            let help = "take 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`";
            report.fault(key.span(), Wrong::new(text, help));
        }
        let sound = read(key, table, report);
        all.push(Written { name: key.get_ref().to_string(), at: key.span(), sound });
    }
    all
}

/// The path of a file, absolute or relative.
pub(super) fn file(key: &str, value: &Value<'_>, example: &str, report: &mut Report<'_>) -> Option<String> {
    let path = report.string(key, value, &format!("\"{example}\""))?;
    let wrong = || {
        let help = format!("write a path, absolute or from where this file is: `{key} = \"{example}\"`");
        Wrong::new(format!("`{key}` names no file"), help)
    };
    let is_file = !path.is_empty() && !path.ends_with('/');
    report.checked(value.span(), is_file.then(|| path.to_owned()).ok_or_else(wrong))
}

/// Whether a key that is not known seems to be for a password.
pub(super) fn is_password(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let meant = || nearest(&word, &["password", "password-file", "passwd", "passphrase", "pass"]);
    !mails::KEYS.contains(&&*word) && meant().is_some_and(|meant| meant != "password-file")
}

/// What is said of a password in the file.
pub(super) fn password() -> Wrong {
    let help = "put it alone into a file that only root may read, and name that: `password-file = \"mail.password\"`";
    Wrong::new("a password does not belong into this file", help)
}

/// Checks everything of which more than one section is to be known, but for who may open a door.
pub(super) fn check(sources: &Sources, places: &[Place], report: &mut Report<'_>) {
    let headers = sources.mails.iter().map(|mail| &mail.at).chain(sources.guestbooks.iter().map(|book| &book.at));
    let mut headers: Vec<_> = headers.cloned().collect();
    headers.sort_by_key(|header| header.start);
    if let Some(first) = headers.get(MOST) {
        let text = format!("there are more than {MOST} mails and guestbooks");
        report.fault(first.clone(), Wrong::new(text, "remove those that no door needs"));
    }
    unknown_books(sources, places, report);
    logs::check(sources, report);
    same(&sources.mails, same_mailbox, report, |one, other| {
        Wrong::new(format!("mails `{one}` and `{other}` are the same mailbox"), "remove one of the two")
    });
    let same_page = |one: &Guestbook, other: &Guestbook| one.url == other.url;
    same(&sources.guestbooks, same_page, report, |one, other| {
        let help = "remove one of the two: shares in one book are no safer than the whole token";
        Wrong::new(format!("guestbooks `{one}` and `{other}` are the same page"), help)
    });
}

/// Tells of names in `guestbooks` of doors that are none.
fn unknown_books(sources: &Sources, places: &[Place], report: &mut Report<'_>) {
    if report.is_broken() {
        return;
    }
    let known: BTreeSet<&str> = sources.guestbooks.iter().map(|book| book.name.as_str()).collect();
    for (name, span) in places.iter().flat_map(|place| &place.books).filter(|(name, _)| !known.contains(&**name)) {
        let names: Vec<_> = known.iter().take(MOST).copied().collect();
        let help = match nearest(name, &names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("add `[guestbook.{name}]`, or leave it out"),
        };
        report.fault(span.clone(), Wrong::new(format!("there is no guestbook `{name}`"), help));
    }
}

fn same_mailbox(one: &Mail, other: &Mail) -> bool {
    match (&one.mailbox, &other.mailbox) {
        (Mailbox::Imap(one), Mailbox::Imap(other)) => {
            let of = |imap: &super::Imap| (imap.host.clone(), imap.port, imap.user.clone(), imap.folder.clone());
            of(one) == of(other)
        }
        (Mailbox::Maildir(one), Mailbox::Maildir(other)) => {
            one.path.trim_end_matches('/') == other.path.trim_end_matches('/')
        }
        (Mailbox::Imap(_), Mailbox::Maildir(_)) | (Mailbox::Maildir(_), Mailbox::Imap(_)) => false,
    }
}

/// Warns of each that is the same as one before it.
pub(super) fn same<T>(
    all: &[Written<T>],
    is_same: impl Fn(&T, &T) -> bool,
    report: &mut Report<'_>,
    wrong: impl Fn(&str, &str) -> Wrong,
) {
    let sound: Vec<_> = all.iter().filter_map(|one| Some((one, one.sound.as_ref()?))).take(MOST).collect();
    for (index, (later, value)) in sound.iter().enumerate() {
        if let Some((first, _)) = sound.iter().take(index).find(|(_, first)| is_same(first, value)) {
            report.warn(later.at.clone(), wrong(&first.name, &later.name));
        }
    }
}

/// Warns of what is read for nothing, or too seldom. `doors` are those that some key may open, or of which it is told already that none may.
pub(super) fn use_of(sources: &Sources, doors: &[&Door], report: &mut Report<'_>) {
    let by_token = |way: Way| doors.iter().filter(move |door| door.takes(way) && !door.second_factor);
    for mail in sources.mails.iter().filter(|_| by_token(Way::Mail).next().is_none()) {
        let text = format!("no door opens by mail, so `{}` is read for nothing", mail.name);
        let help = "let a door have `mail` in its `via`, and a key that may open it, or remove the section";
        report.warn(mail.at.clone(), Wrong::new(text, help));
    }
    for mail in &sources.mails {
        let Some(Mailbox::Imap(imap)) = mail.sound.as_ref().map(|mail| &mail.mailbox) else { continue };
        if let Some(door) = by_token(Way::Mail).find(|door| imap.every >= door.valid_for) {
            seldom("mail", mail, door, "a longer `valid-for`", report);
        }
    }
    for book in &sources.guestbooks {
        let listed =
            |door: &&&Door| door.guestbooks.as_ref().is_none_or(|books| books.iter().any(|name| **name == *book.name));
        if by_token(Way::Guestbook).find(listed).is_none() {
            let text = format!("no door opens by guestbook `{}`, so it is read for nothing", book.name);
            let help = "let a door have it in its `guestbooks`, and a key that may open it, or remove the section";
            report.warn(book.at.clone(), Wrong::new(text, help));
        }
        let Some(every) = book.sound.as_ref().map(|book| book.every) else { continue };
        if let Some(door) = by_token(Way::Guestbook).filter(listed).find(|door| every >= counted(door)) {
            let shares = door.quorum > 1 && door.share_within < door.valid_for;
            seldom("guestbook", book, door, if shares { "a longer `within`" } else { "a longer `valid-for`" }, report);
        }
    }
}

/// For how long what is in a guestbook counts.
fn counted(door: &Door) -> Duration {
    if door.quorum > 1 { door.share_within.min(door.valid_for) } else { door.valid_for }
}

fn seldom<T>(kind: &str, source: &Written<T>, door: &Door, other: &str, report: &mut Report<'_>) {
    let text = format!("{kind} `{}` is read too seldom for door `{}`", source.name, door.name);
    let help = format!("what comes may be too old by then: give it a shorter `every`, or the door {other}");
    report.warn(source.at.clone(), Wrong::new(text, help));
}
