//! Mailboxes and guestbooks in the courier's and the engine's terms.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use klopf_brief::{self as brief, Brief, Secret, What};
use klopf_config::native::{self as config, Config, Door, Mailbox, Way};
use klopf_engine::{SourceId, Ways};
use zeroize::Zeroizing;

use super::doors::milliseconds;
use crate::keeper::reason;

/// A longer file of certificates or with a password is none.
const LONGEST: u64 = 1 << 20;

/// What mailboxes and guestbooks need besides the configuration: passwords and certificates.
#[derive(Clone, Default)]
pub(super) struct Letters {
    /// By the mailbox's name.
    mails: HashMap<String, (Zeroizing<String>, Option<String>)>,
    /// By the guestbook's name.
    guestbooks: HashMap<String, Option<String>>,
}

impl Letters {
    /// Reads all of them; besides, what cannot be read, which keeps that source from being read, and no other.
    pub(super) fn read(config_path: &Path, config: &Config) -> (Self, Vec<String>) {
        let (mut letters, mut problems) = (Self::default(), Vec::new());
        let ca = |file: Option<&String>| file.map(|file| text(config_path, file)).transpose();
        for mail in &config.mails {
            let Mailbox::Imap(imap) = &mail.mailbox else { continue };
            let password = text(config_path, &imap.password_file).map(Zeroizing::new);
            let both = password.and_then(|password| Ok((password, ca(imap.ca_file.as_ref())?)));
            match both {
                Ok((password, ca)) => {
                    let first = Zeroizing::new(password.lines().next().unwrap_or_default().to_owned());
                    letters.mails.insert(mail.name.to_string(), (first, ca));
                }
                Err(why) => problems.push(format!("mail {} is not read: {why}", mail.name)),
            }
        }
        for book in &config.guestbooks {
            match ca(book.ca_file.as_ref()) {
                Ok(ca) => drop(letters.guestbooks.insert(book.name.to_string(), ca)),
                Err(why) => problems.push(format!("guestbook {} is not read: {why}", book.name)),
            }
        }
        (letters, problems)
    }
}

/// The text of a file that klopf.toml names, which may be relative to it.
fn text(config_path: &Path, file: &str) -> Result<String, String> {
    let path = config_path.parent().unwrap_or_else(|| Path::new("")).join(file);
    let shown = path.display();
    let read = fs::metadata(&path).and_then(|found| match found.is_file() && found.len() <= LONGEST {
        true => fs::read_to_string(&path),
        false => Err(std::io::Error::other("not a file, or too long a one")),
    });
    read.map_err(|error| format!("{shown}: {}", reason(&error)))
}

/// The numbers of sources. One whose name stays keeps its own.
#[derive(Debug, Default)]
pub(super) struct SourceIds {
    mails: HashMap<String, u16>,
    guestbooks: HashMap<String, u16>,
    next: u16,
}

impl SourceIds {
    fn mail(&mut self, name: &str) -> u16 {
        number(&mut self.mails, &mut self.next, name)
    }

    fn guestbook(&mut self, name: &str) -> u16 {
        number(&mut self.guestbooks, &mut self.next, name)
    }

    /// How sealed knocks open a door.
    pub(super) fn ways(&mut self, config: &Config, door: &Door) -> Ways {
        let named = |book: &&config::Guestbook| door.guestbooks.as_ref().is_none_or(|names| names.contains(&book.name));
        let books = config.guestbooks.iter().filter(|_| door.takes(Way::Guestbook)).filter(named);
        Ways {
            packet: door.takes(Way::Packet),
            mail: door.takes(Way::Mail) && !config.mails.is_empty(),
            guestbooks: books.map(|book| SourceId(self.guestbook(&book.name))).collect(),
            quorum: door.quorum,
            share_within: milliseconds(door.share_within),
            valid_for: milliseconds(door.valid_for),
        }
    }

    /// What the courier is to do. A source whose files cannot be read is left out.
    pub(super) fn brief(&mut self, config: &Config, letters: &Letters) -> Brief {
        let mut sources = Vec::new();
        for mail in &config.mails {
            let Some(what) = mailbox(mail, letters) else { continue };
            sources.push(brief::Source { id: self.mail(&mail.name), name: mail.name.to_string(), what });
        }
        for book in &config.guestbooks {
            let Some(ca) = letters.guestbooks.get(&*book.name) else { continue };
            let what = What::Guestbook(guestbook(book, ca.clone()));
            sources.push(brief::Source { id: self.guestbook(&book.name), name: book.name.to_string(), what });
        }
        Brief { sources }
    }
}

fn number(known: &mut HashMap<String, u16>, next: &mut u16, name: &str) -> u16 {
    *known.entry(name.to_owned()).or_insert_with(|| {
        *next = next.wrapping_add(1);
        *next
    })
}

fn mailbox(mail: &config::Mail, letters: &Letters) -> Option<What> {
    let taken = match &mail.taken {
        config::Taken::Mark => brief::Taken::Mark,
        config::Taken::Delete => brief::Taken::Delete,
        config::Taken::Move(folder) => brief::Taken::Move(folder.clone()),
    };
    let require_dkim = mail.require_dkim.clone();
    Some(match &mail.mailbox {
        Mailbox::Maildir(config::Maildir { path, drop_box }) => {
            What::Maildir(brief::Maildir { path: path.clone(), taken, require_dkim, drop_box: *drop_box })
        }
        Mailbox::Imap(imap) => {
            let (password, ca) = letters.mails.get(&*mail.name)?;
            What::Imap(brief::Imap {
                host: imap.host.clone(),
                port: imap.port,
                delivery: match imap.delivery {
                    config::Delivery::Tls => brief::Delivery::Tls,
                    config::Delivery::StartTls => brief::Delivery::StartTls,
                    config::Delivery::Plain => brief::Delivery::Plain,
                },
                user: imap.user.clone(),
                password: Secret(password.clone()),
                folder: imap.folder.clone(),
                taken,
                require_dkim,
                every_ms: milliseconds(imap.every),
                ca: ca.clone(),
            })
        }
    })
}

fn guestbook(book: &config::Guestbook, ca: Option<String>) -> brief::Guestbook {
    brief::Guestbook {
        url: book.url.as_str().to_owned(),
        format: match book.format {
            config::Format::Auto => brief::Format::Auto,
            config::Format::Html => brief::Format::Html,
            config::Format::Feed => brief::Format::Feed,
            config::Format::Json => brief::Format::Json,
            config::Format::Text => brief::Format::Text,
        },
        every_ms: milliseconds(book.every),
        user_agent: book.user_agent.clone(),
        insecure: book.insecure,
        allow_private: book
            .allow_private
            .iter()
            .map(|network| brief::Network { address: network.address, prefix: network.prefix })
            .collect(),
        ca,
    }
}
