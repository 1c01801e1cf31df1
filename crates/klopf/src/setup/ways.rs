//! The ways to knock, and what is to be known of each.

use std::fs;

use super::answers::{Firewall, How, Log, Mailbox, Place};
use super::draw::{self, Avoid};
use super::options::{Kind, Options, Preset};
use super::questions::{flaw, usage};
use super::talk::{Ask, Talk};
use crate::failure::{Failure, code};

/// What is taken unless it is said.
const PASSWORD_FILE: &str = "mail.password";
/// The kernel's log as a file, where a syslog daemon writes one.
const KERNEL_LOG: &str = "/var/log/kern.log";
/// What `--log-file` has for systemd's journal.
const JOURNAL: &str = "journal";
/// Logs of web servers; the first is taken where none is there.
const WEB_LOGS: [&str; 3] = ["/var/log/nginx/access.log", "/var/log/apache2/access.log", "/var/log/httpd/access_log"];

const WAYS: [(Kind, &str); 6] = [
    (Kind::Packet, "one sealed packet: for your own laptop and phone (recommended)"),
    (Kind::Sequence, "ports in order: for any machine, with nothing installed"),
    (Kind::Encoded, "sealed, in port numbers: where only plain connections get out"),
    (Kind::Mail, "a mail: where no packet gets through"),
    (Kind::Guestbook, "an entry on a web page: for any browser, anywhere"),
    (Kind::Log, "lines in a log: for hosts that must not read packets"),
];
const WAYS_HELP: &str = "All but sequence are sealed with a key: nobody else can make such a knock, or repeat it. Who reads a sequence off \
    the wire can. Doors with keys open to sealed packets as well, unless packets are not read, as with a firewall's log.";
const MAILBOX_HELP: &str = "A mailbox to which knocks are sent, best one of its own: imaps://user@mail.example/INBOX, where an @ in the \
    user's name is %40; or the directory of a maildir on this host.";
const PASSWORD_HELP: &str =
    "Its first line is the password of the mailbox. A name without / is beside klopf.toml. It may be made later.";
const URL_HELP: &str =
    "A page to which anybody may write and which anybody may read, or the feed of it: https://example.org/guestbook";
const PRESETS_HELP: &str = "The first three: a rule of your firewall writes down hits on some ports, which spell a sealed knock; klopfd \
    reads no packet then. The last: a sealed line of text in any request to a web server that is there anyway.";
const LOG_HELP: &str = "The file in which these lines come, or journal for what the kernel says in systemd's journal.";

/// Asks for one.
pub(super) fn choose(talk: &mut Talk<'_>) -> Result<Kind, Failure> {
    let chosen = talk.choose(&WAYS.map(|(kind, text)| (kind.word(), text)), WAYS_HELP)?;
    Ok(WAYS.get(chosen).map_or(Kind::Packet, |(kind, _)| *kind))
}

/// What decides on the rest.
pub(super) struct Ways<'a> {
    pub(super) options: &'a Options,
    pub(super) avoid: Avoid<'a>,
    pub(super) chance: &'a mut dyn FnMut() -> u64,
}

impl Ways<'_> {
    /// The way with all that belongs to it.
    pub(super) fn of(&mut self, kind: Kind, talk: Option<&mut Talk<'_>>) -> Result<How, Failure> {
        match kind {
            Kind::Packet => Ok(How::Packet),
            Kind::Sequence => draw::sequence(&self.avoid, self.chance).map(How::Sequence).ok_or_else(no_ports),
            Kind::Encoded => Ok(How::Encoded(self.span()?)),
            Kind::Mail => self.mail(talk).map(How::Mail),
            Kind::Guestbook => self.guestbook(talk).map(How::Guestbook),
            Kind::Log => self.log(talk).map(How::Log),
        }
    }

    fn span(&mut self) -> Result<super::answers::Span, Failure> {
        draw::span(&self.avoid, self.chance).ok_or_else(no_ports)
    }

    fn mail(&self, talk: Option<&mut Talk<'_>>) -> Result<Mailbox, Failure> {
        let options = self.options;
        let file = || options.password_file.clone().unwrap_or_else(|| PASSWORD_FILE.to_owned());
        let mailbox = |text: &str| match text.starts_with('/') {
            true => Mailbox::Maildir(text.to_owned()),
            false => Mailbox::Imap { url: text.to_owned(), password_file: file() },
        };
        let given = options.maildir.as_ref().map(|path| ("--maildir", Mailbox::Maildir(path.clone())));
        let given = given.or_else(|| options.mail_imap.as_ref().map(|url| ("--mail-imap", mailbox(url))));
        match (given, talk) {
            (Some((option, mailbox)), _) => match flaw(&How::Mail(mailbox.clone())) {
                Ok(()) => Ok(mailbox),
                Err(why) => Err(usage(option, &why)),
            },
            (None, None) => Err(usage("--how mail", "--mail-imap or --maildir is missing")),
            (None, Some(talk)) => {
                let ask = Ask { text: "Mailbox (imaps://... or a directory)", default: None, help: MAILBOX_HELP };
                let mailbox = talk.ask(ask, |answer| {
                    let mailbox = mailbox(answer);
                    flaw(&How::Mail(mailbox.clone())).map(|()| mailbox)
                })?;
                let Mailbox::Imap { url, password_file } = mailbox else { return Ok(mailbox) };
                let ask = Ask { text: "File with its password", default: Some(&password_file), help: PASSWORD_HELP };
                talk.ask(ask, |answer| {
                    let mailbox = Mailbox::Imap { url: url.clone(), password_file: answer.to_owned() };
                    flaw(&How::Mail(mailbox.clone())).map(|()| mailbox)
                })
            }
        }
    }

    fn guestbook(&self, talk: Option<&mut Talk<'_>>) -> Result<String, Failure> {
        let read = |url: &str| flaw(&How::Guestbook(url.to_owned())).map(|()| url.to_owned());
        match (&self.options.url, talk) {
            (Some(url), _) => read(url).map_err(|why| usage("--url", &why)),
            (None, None) => Err(usage("--how guestbook", "--url is missing")),
            (None, Some(talk)) => talk.ask(Ask { text: "Address of the page", default: None, help: URL_HELP }, read),
        }
    }

    fn log(&mut self, mut talk: Option<&mut Talk<'_>>) -> Result<Log, Failure> {
        let preset = match (self.options.preset, &mut talk) {
            (Some(preset), _) => preset,
            (None, None) => Preset::Nft,
            (None, Some(talk)) => {
                let choices = [
                    (Preset::Nft, ("nft", "the log of a firewall of nftables")),
                    (Preset::Iptables, ("iptables", "that of one of iptables")),
                    (Preset::Ufw, ("ufw", "that of ufw")),
                    (Preset::Web, ("web", "the access log of a web server")),
                ];
                let chosen = talk.choose(&choices.map(|(_, choice)| choice), PRESETS_HELP)?;
                choices.get(chosen).map_or(Preset::Nft, |(preset, _)| *preset)
            }
        };
        let there = |file: &&str| fs::exists(file).unwrap_or(false);
        let firewall = match preset {
            Preset::Nft => Some(Firewall::Nft),
            Preset::Iptables => Some(Firewall::Iptables),
            Preset::Ufw => Some(Firewall::Ufw),
            Preset::Web => None,
        };
        let default = match firewall {
            Some(_) => Some(KERNEL_LOG).filter(there).unwrap_or(JOURNAL),
            None => WEB_LOGS.into_iter().find(there).or(WEB_LOGS.first().copied()).unwrap_or_default(),
        };
        let span = firewall.map(|_| self.span()).transpose()?;
        let log = |file: &str| {
            let log = match (firewall.zip(span), file) {
                (Some(_) | None, file) if file != JOURNAL && !file.starts_with('/') => {
                    return Err("write the whole path of the file, from / on".to_owned());
                }
                (Some((firewall, span)), JOURNAL) => Log::Firewall { firewall, place: Place::Journal, span },
                (Some((firewall, span)), file) => Log::Firewall { firewall, place: Place::File(file.to_owned()), span },
                (None, JOURNAL) => return Err("a web server's log is a file".to_owned()),
                (None, file) => Log::Web { file: file.to_owned() },
            };
            flaw(&How::Log(log.clone())).map(|()| log)
        };
        match (&self.options.log_file, talk) {
            (Some(file), _) => log(file).map_err(|why| usage("--log-file", &why)),
            (None, None) => log(default).map_err(|why| usage("--how log", &why)),
            (None, Some(talk)) => talk.ask(Ask { text: "Log", default: Some(default), help: LOG_HELP }, log),
        }
    }
}

fn no_ports() -> Failure {
    Failure::new(code::SYSTEM, "nearly all ports of this host have a service or are guarded; none are left for a knock")
}
