//! A conversation with an IMAP server (RFC 3501): log in, select, search, fetch, mark, listen.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klopf_brief::{Delivery, Imap, Taken, Trouble};
use klopf_sys::{Pair, Received, Wait, wait};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::link::Link;
use super::response::{End, Fetched, Lines, Response};
use super::text;
use crate::tls;

/// Bytes that a server may send in a command.
const BYTES: usize = 2 << 20;

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For a command and all that comes of it.
    pub(super) step: Duration,
    /// For a command that fetches a mail.
    pub(super) fetch: Duration,
}

/// A mailbox of a server, open.
pub(super) struct Session {
    link: Link,
    limits: Limits,
    lines: Lines,
    tag: u32,
    can: Can,
    /// Whether the server has said that there are other mails than before.
    pub(super) news: bool,
    /// The numbers of mails hold as long as this is the same.
    pub(super) validity: u32,
}

/// What a server can do.
#[derive(Clone, Copy, Debug, Default)]
struct Can {
    idle: bool,
    uid_plus: bool,
    moves: bool,
    plain: bool,
    no_login: bool,
}

/// A mail, or its beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) bytes: Vec<u8>,
    pub(super) whole: bool,
}

impl Session {
    /// Connects, logs in, and opens the mailbox.
    ///
    /// # Errors
    /// Any trouble on the way.
    pub(super) fn open(imap: &Imap, limits: Limits) -> Result<Self, Trouble> {
        let link = Link::dial(&imap.host, imap.port)?;
        let mut session =
            Self { link, limits, lines: Lines::default(), tag: 0, can: Can::default(), news: false, validity: 0 };
        session.link.allow(limits.step, BYTES);
        if imap.delivery == Delivery::Tls {
            session.link.start_tls(trust(imap)?, &imap.host)?;
        }
        let logged_in = match session.response()? {
            Response::Greeting { logged_in } => logged_in,
            Response::Bye => return Err(Trouble::Broken),
            _ => return Err(Trouble::Nonsense),
        };
        if imap.delivery == Delivery::StartTls {
            // Whoever is logged in already cannot have TLS any more.
            if logged_in || session.command("STARTTLS")?.0 != End::Ok || !session.lines.is_empty() {
                return Err(Trouble::Tls);
            }
            session.link.start_tls(trust(imap)?, &imap.host)?;
        }
        session.ask_what_it_can()?;
        if !logged_in {
            session.log_in(imap)?;
            session.ask_what_it_can()?;
        }
        let mut validity = 0;
        let select = format!("SELECT {}", text::mailbox(&imap.folder));
        let (end, _) = session.run(&select, None, limits.step, &mut |response| {
            if let Response::Validity(now) = response {
                validity = now;
            }
        })?;
        session.validity = validity;
        if end == End::Ok { Ok(session) } else { Err(Trouble::NoMailbox) }
    }

    fn ask_what_it_can(&mut self) -> Result<(), Trouble> {
        let mut can = Can::default();
        self.run("CAPABILITY", None, self.limits.step, &mut |response| {
            let Response::Capability(names) = response else { return };
            let has = |name: &[u8]| names.iter().any(|known| known == name);
            can = Can {
                idle: has(b"IDLE"),
                uid_plus: has(b"UIDPLUS"),
                moves: has(b"MOVE"),
                plain: has(b"AUTH=PLAIN"),
                no_login: has(b"LOGINDISABLED"),
            };
        })?;
        self.can = can;
        Ok(())
    }

    fn log_in(&mut self, imap: &Imap) -> Result<(), Trouble> {
        let (user, password) = (&imap.user, &imap.password.0);
        let (end, _) = if text::is_plain(user) && text::is_plain(password) && !self.can.no_login {
            let password = Zeroizing::new(text::quoted(password));
            let command = Zeroizing::new(format!("LOGIN {} {}", text::quoted(user), *password));
            self.run(&command, None, self.limits.step, &mut |_| {})?
        } else if self.can.plain {
            let words = Zeroizing::new(format!("\0{user}\0{}", **password));
            let words = Zeroizing::new(data_encoding::BASE64.encode(words.as_bytes()));
            self.run("AUTHENTICATE PLAIN", Some(&words), self.limits.step, &mut |_| {})?
        } else {
            return Err(Trouble::Login);
        };
        if end == End::Ok { Ok(()) } else { Err(Trouble::Login) }
    }

    /// The numbers of mails that nobody has read and that came at this time, in seconds since 1970, or later; the oldest
    /// first.
    pub(super) fn search(&mut self, since: u64) -> Result<Vec<u32>, Trouble> {
        let mut uids = Vec::new();
        self.command("NOOP")?;
        self.news = false;
        let search = format!("UID SEARCH UNSEEN UNDELETED SINCE {}", text::day(since));
        let (end, _) = self.run(&search, None, self.limits.step, &mut |response| {
            if let Response::Search(found) = response {
                uids.extend(found);
            }
        })?;
        if end != End::Ok {
            return Err(Trouble::Nonsense);
        }
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    /// Up to so many bytes of a mail; none if it is gone. Nobody sees that it was read.
    pub(super) fn fetch(&mut self, uid: u32, longest: usize) -> Result<Option<Mail>, Trouble> {
        let (mut size, mut bytes) = (None, None);
        let fetch = format!("UID FETCH {uid} (RFC822.SIZE BODY.PEEK[]<0.{longest}>)");
        self.run(&fetch, None, self.limits.fetch, &mut |response| match response {
            Response::Fetch(Fetched { uid: Some(of), size: has, body }) if of == uid => {
                size = has.or(size);
                bytes = body.or_else(|| bytes.take());
            }
            _ => {}
        })?;
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        Ok(bytes.map(|bytes| Mail { bytes, whole: size.is_some_and(|size| size <= longest) }))
    }

    /// Does with a mail what is to be done when its token was taken; whether it was done.
    pub(super) fn taken(&mut self, uid: u32, taken: &Taken) -> Result<bool, Trouble> {
        match taken {
            Taken::Mark => self.store(uid, "\\Seen"),
            Taken::Delete => self.delete(uid),
            Taken::Move(folder) => {
                let folder = text::mailbox(folder);
                let command = if self.can.moves { "MOVE" } else { "COPY" };
                let command = format!("UID {command} {uid} {folder}");
                let (mut end, try_create) = self.command(&command)?;
                if end == End::No && try_create {
                    self.command(&format!("CREATE {folder}"))?;
                    end = self.command(&command)?.0;
                }
                Ok(end == End::Ok && (self.can.moves || self.delete(uid)?))
            }
        }
    }

    fn store(&mut self, uid: u32, flag: &str) -> Result<bool, Trouble> {
        Ok(self.command(&format!("UID STORE {uid} +FLAGS.SILENT ({flag})"))?.0 == End::Ok)
    }

    /// Where only all deleted mails can go at once, also those of others, it is only marked.
    fn delete(&mut self, uid: u32) -> Result<bool, Trouble> {
        let marked = self.store(uid, "\\Deleted")?;
        Ok(marked && (!self.can.uid_plus || self.command(&format!("UID EXPUNGE {uid}"))?.0 == End::Ok))
    }

    /// Whether the server tells when a mail comes (RFC 2177).
    pub(super) fn can_listen(&self) -> bool {
        self.can.idle
    }

    /// Waits until the server says that there are other mails, the bell rings, or the time is up.
    pub(super) fn listen(&mut self, bell: &Pair, time: Duration) -> Result<(), Trouble> {
        let until = Instant::now() + time;
        self.link.allow(self.limits.step, BYTES);
        let tag = self.send("IDLE")?;
        let (mut begun, mut has_rung) = (false, false);
        loop {
            while let Some(response) = self.next()? {
                match response {
                    Response::Continue => begun = true,
                    Response::Done { tag: of, end, .. } if of == tag.as_bytes() => {
                        // Then it is asked again and again.
                        self.can.idle &= end == End::Ok;
                        return Ok(());
                    }
                    response => self.hear(&response)?,
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if begun && (self.news || left.is_zero() || has_rung) {
                break;
            }
            let most = if begun { left } else { self.limits.step };
            let fds = [self.link.as_fd(), bell.as_fd()].map(|fd| Wait { fd, write: false });
            let [server, rung] = wait(fds, Some(most)).map_err(|_| Trouble::Broken)?;
            if rung {
                while matches!(bell.receive(&mut [0]), Received::Message(_)) {}
                has_rung = true;
            }
            if begun {
                self.link.allow_time(self.limits.step);
            }
            if server || !begun {
                self.link.take(self.lines.room())?;
            }
        }
        self.link.allow_time(self.limits.step);
        self.link.send(b"DONE\r\n")?;
        self.finish(&tag, None, &mut |_| {})?;
        Ok(())
    }

    /// Says goodbye; the answer is of no interest.
    pub(super) fn close(mut self) {
        self.link.allow(self.limits.step, BYTES);
        let _ = self.send("LOGOUT");
    }

    fn command(&mut self, command: &str) -> Result<(End, bool), Trouble> {
        self.run(command, None, self.limits.step, &mut |_| {})
    }

    /// Runs a command; how it has ended, and whether there is no such mailbox yet. More is sent when the server asks for it.
    fn run(
        &mut self,
        command: &str,
        more: Option<&str>,
        time: Duration,
        take: &mut dyn FnMut(Response),
    ) -> Result<(End, bool), Trouble> {
        self.link.allow(time, BYTES);
        let tag = self.send(command)?;
        self.finish(&tag, more, take)
    }

    fn send(&mut self, command: &str) -> Result<String, Trouble> {
        self.tag = self.tag.wrapping_add(1);
        let tag = format!("k{}", self.tag);
        let line = Zeroizing::new(format!("{tag} {command}\r\n"));
        self.link.send(line.as_bytes())?;
        Ok(tag)
    }

    fn finish(
        &mut self,
        tag: &str,
        mut more: Option<&str>,
        take: &mut dyn FnMut(Response),
    ) -> Result<(End, bool), Trouble> {
        loop {
            match self.response()? {
                Response::Done { tag: of, end, try_create } if of == tag.as_bytes() => return Ok((end, try_create)),
                Response::Continue => {
                    let more = Zeroizing::new(format!("{}\r\n", more.take().ok_or(Trouble::Nonsense)?));
                    self.link.send(more.as_bytes())?;
                }
                response => {
                    self.hear(&response)?;
                    take(response);
                }
            }
        }
    }

    /// What may come at any time.
    fn hear(&mut self, response: &Response) -> Result<(), Trouble> {
        match response {
            Response::Exists => self.news = true,
            Response::Bye => return Err(Trouble::Broken),
            Response::Nonsense | Response::Done { .. } => return Err(Trouble::Nonsense),
            _ => {}
        }
        Ok(())
    }

    /// The next response, for which it waits.
    fn response(&mut self) -> Result<Response, Trouble> {
        loop {
            if let Some(response) = self.next()? {
                return Ok(response);
            }
            self.link.take(self.lines.room())?;
        }
    }

    fn next(&mut self) -> Result<Option<Response>, Trouble> {
        let line = self.lines.next(self.link.left()).map_err(|_| Trouble::TooLong)?;
        Ok(line.map(super::response::Line::read))
    }
}

fn trust(imap: &Imap) -> Result<Arc<ClientConfig>, Trouble> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(tls::trusted(imap.ca.as_deref())?);
    let config = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|_| Trouble::Tls)?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
