//! The command line of `klopf invite`.

use std::net::Ipv6Addr;
use std::time::Duration;

use clap::{Args, ValueHint};
use klopf_spa::{Name, is_mail_address};

use super::Invited;
use crate::times::duration;

/// For whom, and on which terms.
#[derive(Args)]
pub(crate) struct Options {
    /// What the key is called: the device, or the person
    #[arg(value_parser = key_name)]
    pub(super) name: Name,
    /// A door it may open; may be given more than once
    #[arg(short, long = "door", value_name = "DOOR", required = true, value_delimiter = ',', value_parser = name)]
    pub(super) doors: Vec<Name>,
    /// How this host is reached from outside, the best first; may be given more than once. Without it the host's full
    /// name, or else its public addresses
    #[arg(short, long = "endpoint", value_name = "HOST", value_delimiter = ',', value_parser = endpoint, value_hint = ValueHint::Hostname)]
    pub(super) endpoints: Vec<String>,
    /// The public key that klopf keygen has printed; the line then holds no private one
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(super) public: Option<String>,
    /// How long it may take until the first use, as 1h or 7d, or never for no end
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = valid)]
    pub(super) valid: Valid,
    /// Any number of devices may use it, and not only the first
    #[arg(long)]
    pub(super) reusable: bool,
    /// When the key ends: after a time, as 90d, or at a date, as 2027-01-01 or 2027-01-01T08:00:00Z
    #[arg(long, value_name = "TIME|DATE", value_parser = expires)]
    pub(super) expires: Option<End>,
    /// How often it may open doors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_uses: Option<u32>,
    /// For how long it may open a door at most, as 1h
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) max_open_for: Option<String>,
    /// Addresses it may let in, as 192.0.2.0/24; may be given more than once
    #[arg(long = "network", value_name = "CIDR", value_delimiter = ',')]
    pub(super) networks: Vec<String>,
    /// When it may open doors, as "mon-fri 08:00-18:00"; may be given more than once
    #[arg(long, value_name = "HOURS")]
    pub(super) hours: Vec<String>,
    /// The device has no clock, or a wrong one
    #[arg(long)]
    pub(super) no_clock: bool,
    /// Make a secret for one-time codes, which doors with a second factor ask for
    #[arg(long)]
    pub(super) totp: bool,
    /// Where mails that open doors go; with it klopf open --via mail knows
    #[arg(long, value_name = "MAIL", value_parser = mail)]
    pub(super) mail: Option<String>,
    /// Print a QR code as well, on standard error
    #[arg(long)]
    pub(super) qr: bool,
    /// Put it in the place of a key of the same name, which then opens nothing any more
    #[arg(long)]
    pub(super) replace: bool,
}

/// How long an invitation may wait for its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Valid {
    For(Duration),
    Always,
}

/// When a key ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    After(Duration),
    /// As it is written in a file.
    At(String),
}

impl Options {
    /// Those of a command line with nothing else on it.
    pub(super) fn usual(invited: Invited) -> Self {
        let Invited { name, door, endpoints, reusable, mail } = invited;
        Self {
            name,
            doors: Name::new(door).into_iter().collect(),
            endpoints,
            public: None,
            valid: Valid::For(Duration::from_secs(86400)),
            reusable,
            expires: None,
            max_uses: None,
            max_open_for: None,
            networks: Vec::new(),
            hours: Vec::new(),
            no_clock: false,
            totp: false,
            mail,
            qr: false,
            replace: false,
        }
    }
}

/// The name of a key, and of its file.
pub(crate) fn key_name(text: &str) -> Result<Name, &'static str> {
    name(text).and_then(|name| if name.is_plain() { Ok(name) } else { Err("the name of a key begins with no . or -") })
}

/// The name of a door.
pub(super) fn name(text: &str) -> Result<Name, &'static str> {
    Name::new(text).ok_or("a name has 1 to 64 characters of A-Z a-z 0-9 _ . -")
}

fn mail(text: &str) -> Result<String, &'static str> {
    is_mail_address(text).then(|| text.to_owned()).ok_or("write a mail address, as knock@example.org")
}

pub(crate) fn endpoint(text: &str) -> Result<String, &'static str> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if inside.contains(':') {
        return match inside.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err("write a host name or an address, without a port"),
        };
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text.bytes().all(fits) && (1..=253).contains(&text.len()) && !text.starts_with('-') {
        true => Ok(text.to_owned()),
        false => Err("write a host name, of A-Z a-z 0-9 . and - (others as xn--...), or an address"),
    }
}

fn valid(text: &str) -> Result<Valid, &'static str> {
    match text {
        "never" => Ok(Valid::Always),
        _ => duration(text).map(Valid::For).map_err(|_| "a time is written 30m, 2h or 7d, and never is no end"),
    }
}

fn expires(text: &str) -> Result<End, &'static str> {
    if let Ok(time) = duration(text) {
        return Ok(End::After(time));
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = |text: &str| match text.split('-').collect::<Vec<_>>().as_slice() {
        [year, month, day] => {
            (year.len(), month.len(), day.len()) == (4, 2, 2) && [year, month, day].iter().all(|part| digits(part))
        }
        _ => false,
    };
    let is_time =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b":.Z+-".contains(&byte));
    match text.split_once('T') {
        None if is_date(text) => Ok(End::At(format!("{text}T00:00:00Z"))),
        Some((date, time)) if is_date(date) && is_time(time) => Ok(End::At(text.to_owned())),
        _ => Err("write 90d, 2027-01-01 or 2027-01-01T08:00:00Z"),
    }
}

fn time(text: &str) -> Result<String, &'static str> {
    duration(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_without_a_port() {
        for (text, read) in [
            ("host.example", "host.example"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:0::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(endpoint(text), Ok(read.to_owned()));
        }
        for text in ["", "host:22", "[2001:db8::7]:22", "-oProxyCommand=x", "bücher.example", "a b", "https://host/"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ends_are_times_or_dates() {
        let day = Duration::from_secs(86400);
        assert_eq!((valid("never"), valid("7d")), (Ok(Valid::Always), Ok(Valid::For(7 * day))));
        assert!(valid("tomorrow").is_err() && valid("0d").is_err());
        assert_eq!(expires("90d"), Ok(End::After(90 * day)));
        assert_eq!(expires("2027-01-01"), Ok(End::At("2027-01-01T00:00:00Z".to_owned())));
        assert!(expires("2027-01-01T08:00:00+01:00").is_ok());
        for text in
            ["", "never", "2027", "2027-1-1", "27-01-01", "2027-01-01T", "2027-01-01T0\nonce = false", "01.01.2027"]
        {
            assert!(expires(text).is_err(), "{text}");
        }
    }
}
