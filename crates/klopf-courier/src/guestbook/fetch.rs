//! Getting a page from a server that may be anybody's, in bounded time and memory.

use std::io::Read;
use std::time::{Duration, SystemTime};

use klopf_brief::{Format, Guestbook, Trouble};
use ureq::http::header::{
    ACCEPT, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER,
};
use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

use super::address::{Allowed, NotAllowed};
use super::redirect::follow;
use crate::fault::Fault;
use crate::tls;

/// Redirects in a row.
const REDIRECTS: usize = 5;
/// Bytes of a value that is sent back to the server.
const LONGEST_VALIDATOR: usize = 1024;
/// A feed reader that many servers know.
const USER_AGENT: &str = "FreshRSS/1.26.3 (Linux; https://freshrss.org)";

/// What a fetch may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All of it, redirects included.
    pub(crate) time: Duration,
    /// Until there is a connection.
    pub(crate) connect: Duration,
    /// Bytes of a page, when it is unpacked.
    pub(crate) size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), connect: Duration::from_secs(10), size: 2 << 20 }
    }
}

/// Fetches one page, again and again.
#[derive(Debug)]
pub(crate) struct Fetcher {
    agent: Agent,
    place: Uri,
    accept: &'static str,
    insecure: bool,
    limits: Limits,
    /// How the server called the page that was fetched last, each beside the header that it is sent back in.
    validators: Vec<(HeaderName, String)>,
}

/// What a server has sent.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The same as last time.
    Same,
    /// A page.
    Page(Raw),
}

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: Option<String>,
    /// Whether there was more of it than is read.
    pub(crate) cut: bool,
}

/// Why there is no page.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// When the server wants to be asked again.
    pub(crate) asked: Option<Duration>,
}

impl<T: Into<Fault>> From<T> for Failure {
    fn from(fault: T) -> Self {
        Self { fault: fault.into(), asked: None }
    }
}

impl Fetcher {
    /// # Errors
    /// [`Trouble::Tls`]: there are no certificates to trust; [`Trouble::Nonsense`]: the address is none.
    pub(crate) fn new(book: &Guestbook, limits: Limits) -> Result<Self, Trouble> {
        let place: Uri = book.url.split('#').next().unwrap_or_default().parse().map_err(|_| Trouble::Nonsense)?;
        let roots = if place.scheme_str() == Some("https") || book.ca.is_some() {
            tls::trusted(book.ca.as_deref())?
        } else {
            // One that is led on to TLS has to have some, too, but may do without.
            tls::trusted(None).unwrap_or_default()
        };
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root.as_ref()).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .unversioned_rustls_crypto_provider(tls::provider())
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(!book.insecure)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_connect(Some(limits.connect))
            .user_agent(book.user_agent.as_deref().unwrap_or(USER_AGENT))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Allowed::new(book.allow_private.clone()));
        let accept = match book.format {
            Format::Html => "text/html,application/xhtml+xml,*/*;q=0.5",
            Format::Feed => "application/atom+xml,application/rss+xml,application/feed+json,*/*;q=0.5",
            Format::Json => "application/json,*/*;q=0.5",
            Format::Auto | Format::Text => "*/*",
        };
        Ok(Self { agent, place, accept, insecure: book.insecure, limits, validators: Vec::new() })
    }

    /// Fetches the page, unless it is the one that was fetched last.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn fetch(&mut self) -> Result<Fetched, Failure> {
        let began = std::time::Instant::now();
        let mut place = self.place.clone();
        for _ in 0..=REDIRECTS {
            let left = self.limits.time.checked_sub(began.elapsed()).ok_or(Trouble::TooSlow)?;
            if !self.insecure && place.scheme_str() != Some("https") {
                return Err(Trouble::Redirect.into());
            }
            let answer = self.ask(&place, left).map_err(|error| trouble(&error))?;
            let status = answer.status();
            if status == StatusCode::NOT_MODIFIED && !self.validators.is_empty() {
                return Ok(Fetched::Same);
            }
            if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                place = header(&answer, &LOCATION).and_then(|to| follow(&place, to)).ok_or(Trouble::Redirect)?;
                continue;
            }
            if status != StatusCode::OK {
                let fault = Fault { trouble: Trouble::HttpStatus, detail: status.as_u16() };
                return Err(Failure { fault, asked: header(&answer, &RETRY_AFTER).and_then(wanted) });
            }
            return self.read(answer);
        }
        Err(Trouble::Redirect.into())
    }

    /// The next fetch is of the whole page.
    pub(crate) fn forget(&mut self) {
        self.validators.clear();
    }

    fn ask(&self, place: &Uri, left: Duration) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.get(place).header(ACCEPT, self.accept);
        let request = self.validators.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.config().timeout_global(Some(left)).build().call()
    }

    fn read(&mut self, answer: Response<Body>) -> Result<Fetched, Failure> {
        let content_type = header(&answer, &CONTENT_TYPE).map(str::to_owned);
        let validators =
            [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)].into_iter().filter_map(|(from, to)| {
                let value = header(&answer, &from).filter(|value| value.len() <= LONGEST_VALIDATOR)?;
                Some((to, value.to_owned()))
            });
        let validators = validators.collect();
        let mut bytes = Vec::new();
        let most = self.limits.size;
        let mut body = answer.into_body().into_reader().take(most.saturating_add(1));
        body.read_to_end(&mut bytes).map_err(|error| trouble(&error.into()))?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let cut = bytes.len() > most;
        bytes.truncate(most);
        self.validators = validators;
        Ok(Fetched::Page(Raw { bytes, content_type, cut }))
    }
}

fn header<'a>(answer: &'a Response<Body>, name: &HeaderName) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn wanted(after: &str) -> Option<Duration> {
    let seconds = after.trim().parse().ok().map(Duration::from_secs);
    seconds.or_else(|| httpdate::parse_http_date(after).ok()?.duration_since(SystemTime::now()).ok())
}

/// A name for what went wrong. No text of the server goes any further.
fn trouble(error: &ureq::Error) -> Trouble {
    use ureq::Error as E;
    match error {
        E::Timeout(_) => Trouble::TooSlow,
        E::HostNotFound => Trouble::UnknownHost,
        E::Io(error) => of_io(error),
        E::ConnectionFailed => Trouble::Unreachable,
        E::Tls(_) | E::Rustls(_) | E::Pem(_) | E::TlsRequired => Trouble::Tls,
        E::BodyExceedsLimit(_) | E::LargeResponseHeader(..) => Trouble::TooLong,
        E::RequireHttpsOnly(_) | E::TooManyRedirects | E::RedirectFailed => Trouble::Redirect,
        E::Other(other) if other.is::<NotAllowed>() => Trouble::PrivateAddress,
        E::Decompress(_, error) => match of_io(error) {
            Trouble::TooSlow => Trouble::TooSlow,
            _ => Trouble::Nonsense,
        },
        _ => Trouble::Nonsense,
    }
}

/// Errors of TLS and time limits come in those of reading, too.
fn of_io(error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind as K;
    if let Some(inner) = error.get_ref() {
        if let Some(inner) = inner.downcast_ref::<ureq::Error>() {
            return trouble(inner);
        }
        if inner.is::<rustls::Error>() {
            return Trouble::Tls;
        }
    }
    match error.kind() {
        K::TimedOut | K::WouldBlock => Trouble::TooSlow,
        K::UnexpectedEof | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => Trouble::Broken,
        K::InvalidData | K::InvalidInput => Trouble::Nonsense,
        _ => Trouble::Unreachable,
    }
}
