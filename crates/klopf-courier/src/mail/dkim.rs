//! Whether a mail was signed by one of certain domains (DKIM, RFC 6376). This keeps mails out; it lets nothing in, for a
//! token has a seal of its own.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mail_auth::common::crypto::Algorithm;
use mail_auth::dkim::Signature;
use mail_auth::hickory_resolver::config::ProtocolConfig;
use mail_auth::hickory_resolver::system_conf::read_system_conf;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use tokio::runtime::{Builder, Runtime};

/// Bytes of a mail that is looked at: all of it is signed.
pub(crate) const LONGEST: usize = 1 << 20;
/// Signatures of a mail that are looked at, each of which may cost a question to the DNS.
const SIGNATURES: usize = 4;
/// Names of headers in a signature.
const SIGNED: usize = 128;
/// Keys that are remembered.
const KEYS: usize = 64;
/// For all questions about a mail.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is known of a mail's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// It was signed by one of the domains.
    Yes,
    /// It was not.
    No,
    /// The DNS does not answer just now.
    Unknown,
}

/// Looks at signatures.
pub(crate) struct Dkim {
    domains: Vec<String>,
    keys: Keys,
    runtime: Runtime,
    /// Who asks the DNS; made anew for each mail, for its servers may be others.
    resolver: Resolver,
}

type Resolver = Box<dyn Fn() -> Option<MessageAuthenticator>>;

impl Dkim {
    /// None if no domain is needed.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn new(domains: &[String]) -> std::io::Result<Option<Self>> {
        if domains.is_empty() {
            return Ok(None);
        }
        Self::with(domains, Box::new(resolver)).map(Some)
    }

    fn with(domains: &[String], resolver: Resolver) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { domains: domains.to_vec(), keys: Keys::default(), runtime, resolver })
    }

    /// Whether there is a valid signature by one of the domains, over the whole body and at least over who it is from and
    /// its subject.
    pub(crate) fn check(&self, mail: &[u8]) -> Signed {
        let mail = with_crlf(mail);
        let Some(mut message) = AuthenticatedMessage::parse(&mail) else {
            return Signed::No;
        };
        message.errors.clear();
        message.dkim_headers.retain(|header| self.counts(&header.header));
        message.dkim_headers.truncate(SIGNATURES);
        for header in &mut message.dkim_headers {
            // Nobody is told of it, and nobody else may sign.
            (header.header.r, header.header.atps) = (false, None);
        }
        if message.dkim_headers.is_empty() {
            return Signed::No;
        }
        let within = self.runtime.enter();
        let Some(resolver) = (self.resolver)() else { return Signed::Unknown };
        drop(within);
        let asked = Parameters::new(&message).with_txt_cache(&self.keys);
        let answers =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, resolver.verify_dkim(asked)).await });
        let Ok(answers) = answers else { return Signed::Unknown };
        let results = || answers.iter().map(mail_auth::DkimOutput::result);
        if results().any(|result| *result == DkimResult::Pass) {
            Signed::Yes
        } else if results().any(|result| matches!(result, DkimResult::TempError(_))) {
            Signed::Unknown
        } else {
            Signed::No
        }
    }

    fn counts(&self, signature: &Signature) -> bool {
        let names = |name: &str| signature.h.iter().any(|signed| signed.eq_ignore_ascii_case(name));
        self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(&signature.d))
            && signature.l == 0
            && signature.a != Algorithm::RsaSha1 // RFC 8301
            && signature.h.len() <= SIGNED
            && names("from")
            && names("subject")
    }
}

/// Asks this host's servers by TCP alone, which all of them have (RFC 7766): for an answer by UDP a port must be bound, and
/// the courier can bind none.
fn resolver() -> Option<MessageAuthenticator> {
    let (mut config, options) = read_system_conf().ok()?;
    for server in &mut config.name_servers {
        server.connections.retain(|connection| matches!(connection.protocol, ProtocolConfig::Tcp));
    }
    MessageAuthenticator::new(config, options).ok()
}

/// Signatures are over lines that end as under way, and files have others.
fn with_crlf(mail: &[u8]) -> Cow<'_, [u8]> {
    let mut before = 0;
    let bare = |byte: u8| std::mem::replace(&mut before, byte) != b'\r' && byte == b'\n';
    if !mail.iter().copied().any(bare) {
        return Cow::Borrowed(mail);
    }
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 32);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                out.extend(line.strip_suffix(b"\r").unwrap_or(line));
                out.extend(b"\r\n");
            }
            None => out.extend(line),
        }
    }
    Cow::Owned(out)
}

/// Keys that the DNS has told, for as long as it said.
#[derive(Default)]
struct Keys(Mutex<HashMap<Box<str>, (Txt, Instant)>>);

impl ResolverCache<Box<str>, Txt> for Keys {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(name).filter(|(_, until)| *until > Instant::now()).map(|(key, _)| key.clone())
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name).map(|(key, _)| key)
    }

    fn insert(&self, name: Box<str>, key: Txt, until: Instant) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS {
            keys.clear();
        }
        keys.insert(name, (key, until));
    }
}

#[cfg(test)]
mod tests;
