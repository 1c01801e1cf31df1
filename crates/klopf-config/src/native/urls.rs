//! Addresses of mailboxes and pages. What is wrong with one is said without repeating it: it may have a secret in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use percent_encoding::percent_decode_str;

use super::PageUrl;
use super::report::Wrong;

const LONGEST: usize = 2000;
const IMAP: &str = "write it like `imap = \"imaps://user@mail.example/INBOX\"`";
const PAGE: &str = "write it like `url = \"https://example.org/guestbook\"`";

/// What `imaps://user@mail.example/INBOX` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImapUrl {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) user: String,
    pub(super) folder: Option<String>,
}

/// What `https://example.org/guestbook` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) url: PageUrl,
    pub(super) tls: bool,
    /// In lower case.
    pub(super) host: String,
}

/// An address of a mailbox (RFC 5092, as far as it is needed here).
pub(super) fn imap(text: &str) -> Result<ImapUrl, Wrong> {
    let uri = split(text, "imap", IMAP)?;
    let tls = match uri.scheme_str() {
        Some("imaps") => true,
        Some("imap") => false,
        _ => {
            let help = "begin it with `imaps://`, or with `imap://` for STARTTLS";
            return Err(Wrong::new("`imap` is no address of a mailbox", help));
        }
    };
    if has_fragment(text) || uri.query().is_some() {
        let help = "leave out all from `?` or `#` on; in the name of a folder they are `%3F` and `%23`";
        return Err(Wrong::new("`imap` has more behind the folder", help));
    }
    let user = user(&uri).unwrap_or_default();
    if user.contains(':') {
        let help = "put it alone into a file that only root may read, and name that file in `password-file`";
        return Err(Wrong::new("a password does not belong into `imap`", help));
    }
    let user = decoded(user).filter(|user| !user.is_empty()).ok_or_else(|| {
        let help = format!("{IMAP}; an `@` in the user's name is `%40`");
        Wrong::new("`imap` does not say as whom to log in", help)
    })?;
    let folder = decoded(uri.path().trim_matches('/')).ok_or_else(|| {
        Wrong::new("`imap` names no folder that can be", "write letters beyond ASCII as their bytes of UTF-8 with `%`")
    })?;
    let host = host(&uri, "imap")?;
    Ok(ImapUrl { tls, host, port: port(&uri, "imap")?, user, folder: Some(folder).filter(|folder| !folder.is_empty()) })
}

/// The address of a page.
pub(super) fn page(text: &str) -> Result<Page, Wrong> {
    let uri = split(text, "url", PAGE)?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(Wrong::new("`url` is no address of a page", "begin it with `https://`")),
    };
    if user(&uri).is_some() {
        let help = "leave out all up to the `@`: a page for which one must log in is no guestbook";
        return Err(Wrong::new("`url` has a user in it", help));
    }
    if has_fragment(text) {
        return Err(Wrong::new("`url` has a `#` in it", "leave out all from it on: it is never sent to the server"));
    }
    let (host, port) = (host(&uri, "url")?, port(&uri, "url")?);
    // Written in one way only, so that two that are the same are seen to be.
    let (scheme, usual) = if tls { ("https", 443) } else { ("http", 80) };
    let port = port.filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
    let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Page { tls, host, url: PageUrl(format!("{scheme}://{shown}{port}{slash}{path}")) })
}

/// The address that a host stands for, if it is a literal or `localhost`, and no part of the Internet.
pub(super) fn private(host: &str) -> Option<IpAddr> {
    let host = host.trim_end_matches('.');
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let address = host.parse::<IpAddr>().ok()?.to_canonical();
    let is_private = match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    };
    is_private.then_some(address)
}

/// What the registry of RFC 6890 calls not globally reachable, without the networks for documentation; and groups.
fn is_private_v4(address: Ipv4Addr) -> bool {
    let shared = matches!(address.octets(), [100, 64..=127, ..]);
    let reserved = matches!(address.octets(), [0 | 240..=255, ..] | [192, 0, 0, _] | [198, 18 | 19, ..]);
    let own = address.is_private() || address.is_link_local() || address.is_loopback();
    shared || reserved || own || address.is_multicast()
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let own = address.is_unique_local() || address.is_unicast_link_local();
    own || address.is_loopback() || address.is_unspecified() || address.is_multicast()
}

/// Scheme, authority and the rest.
fn split(text: &str, key: &str, help: &str) -> Result<Uri, Wrong> {
    if text.len() > LONGEST {
        return Err(Wrong::new(format!("`{key}` has more than {LONGEST} characters"), "find a shorter address"));
    }
    // Whoever writes a `#` or a letter beyond ASCII is to hear of that.
    let without_fragment = text.split('#').next().unwrap_or_default();
    if !without_fragment.is_ascii() {
        let help = "write the host with `xn--`, and other letters as their bytes of UTF-8 with `%`";
        return Err(Wrong::new(format!("`{key}` has letters beyond ASCII"), help));
    }
    let uri = without_fragment.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.authority().is_some());
    uri.ok_or_else(|| Wrong::new(format!("`{key}` is no address"), help))
}

fn has_fragment(text: &str) -> bool {
    text.contains('#')
}

/// What stands before the `@`.
fn user(uri: &Uri) -> Option<&str> {
    Some(uri.authority()?.as_str().rsplit_once('@')?.0)
}

/// A name in lower case, or an address without brackets.
fn host(uri: &Uri, key: &str) -> Result<String, Wrong> {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    match address {
        Some(address) => Ok(address.to_string()),
        None if is_name(&host) => Ok(host),
        None => Err(Wrong::new(format!("`{key}` names no host"), "write a host's name or its address")),
    }
}

/// Whether it can be a name of a host, and none that is read as an address (`127.1`, `0x7f000001`).
pub(super) fn is_name(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(is_label) && !last.starts_with(|c: char| c.is_ascii_digit())
}

fn port(uri: &Uri, key: &str) -> Result<Option<u16>, Wrong> {
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let behind = authority.rsplit(['@', ']']).next().unwrap_or_default();
    match (behind.split_once(':'), uri.port_u16()) {
        (None, _) => Ok(None),
        (Some(_), Some(port)) if port > 0 => Ok(Some(port)),
        (Some(_), _) => Err(Wrong::new(format!("`{key}` has no port that can be"), "ports are 1 to 65535")),
    }
}

/// The text without `%`, if it is UTF-8 without control characters.
fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains(char::is_control)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests;
