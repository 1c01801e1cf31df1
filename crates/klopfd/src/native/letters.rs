//! Mailboxes and guestbooks in the courier's and the engine's terms.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use klopf_brief::{self as brief, Brief, Secret, What};
use klopf_config::native::{self as config, Config, Door, Mailbox, Way};
use klopf_engine::{SourceId, Ways};
use klopf_files::{SourceFile, SourceFiles};
use klopf_spa::Name;

use super::doors::milliseconds;
use crate::plan::{self, LogFrom, LogLines};

/// What mailboxes and guestbooks need besides the configuration: passwords and certificates, by their names.
#[derive(Clone, Default)]
pub(super) struct Letters {
    mails: HashMap<Name, Rc<SourceFile>>,
    guestbooks: HashMap<Name, Rc<SourceFile>>,
}

impl Letters {
    /// Reads all of them; besides, what cannot be read, which keeps that source from being read, and no other.
    pub(super) fn read(config_path: &Path, config: &Config) -> (Self, Vec<String>) {
        let files = SourceFiles::read(config_path, config);
        let problems = files.troubles().map(ToString::to_string).collect();
        let whole = |file: Result<SourceFile, _>| file.ok().map(Rc::new);
        let mails = config.mails.iter().map(|mail| mail.name.clone()).zip(files.mails);
        let guestbooks = config.guestbooks.iter().map(|book| book.name.clone()).zip(files.guestbooks);
        let letters = Self {
            mails: mails.filter_map(|(name, file)| Some((name, whole(file)?))).collect(),
            guestbooks: guestbooks.filter_map(|(name, file)| Some((name, whole(file)?))).collect(),
        };
        (letters, problems)
    }
}

/// The numbers of sources. One whose name stays keeps its own.
#[derive(Debug, Default)]
pub(super) struct SourceIds {
    mails: HashMap<String, u16>,
    guestbooks: HashMap<String, u16>,
    logs: HashMap<String, u16>,
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
        let books = config.books_of(door).filter(|_| door.takes(Way::Guestbook));
        Ways {
            sequence: door.takes(Way::Sequence),
            encoded: door.takes(Way::Encoded),
            log: door.takes(Way::Log) && config.daemon.sources.log && !config.logs.is_empty(),
            packet: door.takes(Way::Packet),
            mail: door.takes(Way::Mail) && !config.mails.is_empty(),
            guestbooks: books.map(|book| SourceId(self.guestbook(&book.name))).collect(),
            quorum: door.quorum,
            share_within: milliseconds(door.share_within),
            valid_for: milliseconds(door.valid_for),
        }
    }

    /// The logs that are read. One whose place changes is another.
    pub(super) fn logs(&mut self, config: &Config) -> Vec<plan::Log> {
        let one = |log: &config::Log| {
            let from = match &log.from {
                config::LogFrom::File(path) => LogFrom::File(path.into()),
                config::LogFrom::Journal(what) => LogFrom::Journal(what.clone()),
                config::LogFrom::Nflog(group) => LogFrom::Nflog(*group),
            };
            let id = SourceId(number(&mut self.logs, &mut self.next, &format!("{} {from:?}", log.name)));
            let config::Log { preset, prefix, patterns, tokens, .. } = log.clone();
            let lines = LogLines { preset, prefix, patterns, tokens };
            plan::Log { id, name: log.name.to_string(), from, lines }
        };
        config.logs.iter().filter(|_| config.daemon.sources.log).map(one).collect()
    }

    /// What the courier is to do. A source whose files cannot be read is left out, and so is one by which no key opens a
    /// door.
    pub(super) fn brief(&mut self, config: &Config, letters: &Letters) -> Brief {
        let mut sources = Vec::new();
        let opened = |way, door: &&Door| config.keys.iter().any(|key| config.opens_by(way, key, door));
        let by_mail = config.doors.iter().any(|door| opened(Way::Mail, &door));
        for mail in config.mails.iter().filter(|_| by_mail) {
            let Some(what) = mailbox(mail, letters) else { continue };
            sources.push(brief::Source { id: self.mail(&mail.name), name: mail.name.to_string(), what });
        }
        let by_book: Vec<&Door> = config.doors.iter().filter(|door| opened(Way::Guestbook, door)).collect();
        let needed = |book: &&config::Guestbook| {
            by_book.iter().any(|door| config.books_of(door).any(|other| other.name == book.name))
        };
        for book in config.guestbooks.iter().filter(needed) {
            let Some(file) = letters.guestbooks.get(&book.name) else { continue };
            let what = What::Guestbook(guestbook(book, file.ca.clone()));
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
            let file = letters.mails.get(&mail.name)?;
            What::Imap(brief::Imap {
                host: imap.host.clone(),
                port: imap.port,
                delivery: match imap.delivery {
                    config::Delivery::Tls => brief::Delivery::Tls,
                    config::Delivery::StartTls => brief::Delivery::StartTls,
                    config::Delivery::Plain => brief::Delivery::Plain,
                },
                user: imap.user.clone(),
                password: Secret(file.password.clone()?),
                folder: imap.folder.clone(),
                taken,
                require_dkim,
                every_ms: milliseconds(imap.every),
                ca: file.ca.clone(),
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
