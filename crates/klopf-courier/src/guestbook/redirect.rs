//! Where a redirect leads, if anybody follows it.

use ureq::http::Uri;
use ureq::http::uri::{PathAndQuery, Scheme};

/// The place that `location` names, seen from `from` (RFC 9110, section 10.2.2; RFC 3986, section 4.2). None if it is on
/// another host or port or without the TLS that `from` has, or is nothing at all.
pub(crate) fn follow(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?.trim();
    let to: Uri = if location.starts_with("//") {
        format!("{}:{location}", from.scheme_str()?).parse().ok()?
    } else if location.split(['/', '?']).next()?.contains(':') {
        location.parse().ok()?
    } else {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(relative(from.path(), location)?);
        Uri::from_parts(parts).ok()?
    };
    let same_host = from.host()?.eq_ignore_ascii_case(to.host()?);
    let https = |uri: &Uri| uri.scheme() == Some(&Scheme::HTTPS);
    let good = match (https(from), https(&to)) {
        (true, false) => false,
        (false, true) => to.port_u16().is_none_or(|port| port == 443),
        (true, true) | (false, false) => to.scheme() == from.scheme() && port(from) == port(&to),
    };
    let plain = to.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    (same_host && good && plain).then_some(to)
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or_else(|| if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
}

/// A path seen from another. Servers resolve dots themselves.
fn relative(base: &str, path: &str) -> Option<PathAndQuery> {
    let joined = match path.chars().next() {
        None => base.to_owned(),
        Some('/') => path.to_owned(),
        Some('?') => format!("{base}{path}"),
        Some(_) => format!("{}/{path}", base.rsplit_once('/').map_or("", |(directory, _)| directory)),
    };
    joined.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(from: &str, location: &str) -> Option<String> {
        follow(&from.parse().unwrap(), location).map(|uri| uri.to_string())
    }

    #[test]
    fn a_place_on_the_same_host_is_followed() {
        let from = "https://a.example/dir/book?page=1";
        for (location, expected) in [
            ("/x?y#z", "https://a.example/x?y"),
            ("x", "https://a.example/dir/x"),
            ("?page=2", "https://a.example/dir/book?page=2"),
            ("", "https://a.example/dir/book"),
            ("//A.example/x", "https://A.example/x"),
            ("https://a.example:443/x", "https://a.example:443/x"),
        ] {
            assert_eq!(to(from, location).as_deref(), Some(expected), "{location}");
        }
        assert_eq!(to("http://a.example/", "https://a.example/").as_deref(), Some("https://a.example/"));
        assert_eq!(to("http://127.0.0.1:81/", "/b").as_deref(), Some("http://127.0.0.1:81/b"));
    }

    #[test]
    fn any_other_place_is_not() {
        let from = "https://a.example/dir/book";
        for location in [
            "https://b.example/",
            "//b.example/",
            "http://a.example/",
            "https://a.example:22/",
            "file:///etc/passwd",
            "https://169.254.169.254/",
            "https://a.example@b.example/",
            "https://u@a.example/",
            "javascript:alert(1)",
            "https://a.example.b.example/",
            "https://",
            ":",
            "//",
            "\u{7f}",
            "a b",
        ] {
            assert_eq!(to(from, location), None, "{location}");
        }
        assert_eq!(to("http://a.example:81/", "http://a.example:82/"), None);
    }
}
