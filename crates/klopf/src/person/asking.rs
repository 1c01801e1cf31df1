//! Options that several commands have.

use std::cell::OnceCell;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::time::Duration;

use clap::Args;
use klopf_config::profile::Allow;
use klopf_spa::Name;

use crate::failure::{Failure, code};
use crate::open::Ask;
use crate::profile::Kept;
use crate::send::Family;
use crate::times::duration;
use crate::token::Claiming;

/// `PROFILE`, `PROFILE/DOOR` or `/DOOR`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct What {
    pub(crate) profile: Option<Name>,
    pub(crate) door: Option<Name>,
}

impl What {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const HELP: &str = "names have 1 to 64 characters of A-Z a-z 0-9 _ . -";
        let (profile, door) = match text.split_once('/') {
            Some((profile, door)) => (profile, Some(Name::new(door).ok_or(HELP)?)),
            None => (text, None),
        };
        let profile = match profile {
            "" if door.is_some() => None,
            _ => Some(Name::new(profile).ok_or(HELP)?),
        };
        Ok(Self { profile, door })
    }
}

/// What is asked of the server.
#[derive(Args, Debug, Default)]
pub(super) struct Asking {
    /// For how long, as 30s, 10m, 2h or 1d; as long as the door says if not given
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// For whom: observed (as the server sees the packet), auto (as a STUN server sees it), or an address
    #[arg(long, value_name = "auto|observed|ADDRESS", value_parser = Allow::parse)]
    allow: Option<Allow>,
    /// The code of a second factor, six digits; asked for at the terminal if the door wants one. With klopf open also the words of
    /// a code of paper; with - it is read from standard input, so that nobody else on this host sees it
    #[arg(long, value_name = "CODE", value_parser = Code::parse)]
    code: Option<Code>,
    /// What was typed when it was asked for.
    #[arg(skip)]
    typed: OnceCell<Code>,
}

impl Asking {
    /// For a door of a profile. May ask for a code at the terminal.
    pub(super) fn of(&self, kept: &Kept, door: Option<&Name>) -> Result<Ask, Failure> {
        let profile = &kept.profile;
        let door = known_door(kept, door)?;
        let hold = self.time.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
        let code = match self.given()? {
            None if profile.code_doors.contains(&door) => Some(asked_code(&door)?),
            None => None,
            Some(Code::Digits(digits)) => Some(digits),
            Some(Code::Words(_) | Code::Asked) => {
                return Err(Failure::new(code::USAGE, "the words of a sheet of codes go with klopf open alone"));
            }
        };
        Ok(Ask { door, allow: self.allow.unwrap_or(profile.allow), hold, code })
    }

    /// The words of a code of paper, if such a one was given. May ask for it.
    pub(super) fn words(&self) -> Result<Option<String>, Failure> {
        Ok(match self.given()? {
            Some(Code::Words(words)) => Some(words),
            Some(Code::Digits(_) | Code::Asked) | None => None,
        })
    }

    /// The code, asked for if it is to be.
    fn given(&self) -> Result<Option<Code>, Failure> {
        if self.code != Some(Code::Asked) || self.typed.get().is_some() {
            return Ok(self.typed.get().or(self.code.as_ref()).cloned());
        }
        if io::stdin().is_terminal() {
            let _ = write!(io::stderr(), "Code: ").and_then(|()| io::stderr().flush());
        }
        let mut line = String::new();
        // Longer than any code.
        let read = io::stdin().lock().take(4096).read_line(&mut line);
        read.map_err(|error| Failure::new(code::USAGE, format_args!("the code cannot be read: {error}")))?;
        let code = Some(line.trim()).filter(|line| !line.is_empty()).ok_or("there is no code in standard input");
        let code = code.and_then(Code::parse).map_err(|why| Failure::new(code::USAGE, why))?;
        Ok(Some(self.typed.get_or_init(|| code).clone()))
    }

    /// For how long and for whom, as it was typed; a code goes with packets alone.
    pub(super) fn plain(&self) -> Result<(Option<Duration>, Option<Allow>), Failure> {
        if self.code.is_some() {
            return Err(Failure::new(code::USAGE, "no encoded sequence has room for a code; leave out --code"));
        }
        Ok((self.time, self.allow))
    }

    /// The same for a text, which no packet carries.
    pub(super) fn claiming(&self, families: Families) -> Claiming {
        Claiming { time: self.time, allow: self.allow, families }
    }
}

/// The door, or the profile's usual one.
///
/// # Errors
/// If the profile has no such door.
pub(crate) fn known_door(kept: &Kept, door: Option<&Name>) -> Result<Name, Failure> {
    let profile = &kept.profile;
    let door = door.unwrap_or(&profile.door);
    if profile.doors.contains(door) {
        return Ok(door.clone());
    }
    let known: Vec<&str> = profile.doors.iter().map(|door| &**door).collect();
    let why = format_args!(
        "the profile {} knows no door {door}; it has {}\nIf there is a new one, add it to `doors` in {}",
        kept.name,
        known.join(", "),
        kept.path.display()
    );
    Err(Failure::new(code::NO_INPUT, why))
}

/// A name of a guestbook or the like.
pub(crate) fn name(text: &str) -> Result<Name, &'static str> {
    Name::new(text).ok_or("names have 1 to 64 characters of A-Z a-z 0-9 _ . -")
}

/// What proves more than the key does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Code {
    /// Of an authenticator.
    Digits(u32),
    /// Of a sheet of paper.
    Words(String),
    /// To be typed, so that nobody else on this host sees it.
    Asked,
}

impl Code {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "-" {
            return Ok(Self::Asked);
        }
        let digits = text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
        if digits { six_digits(text).map(Self::Digits) } else { Ok(Self::Words(text.to_owned())) }
    }
}

/// Asks whoever sits at the terminal.
fn asked_code(door: &Name) -> Result<u32, Failure> {
    let typed = rpassword::prompt_password(format!("Code for the door {door}: ")).map_err(|_| {
        let why = format_args!("the door {door} asks for a code; give it with --code, or at a terminal");
        Failure::new(code::USAGE, why)
    })?;
    six_digits(typed.trim()).map_err(|why| Failure::new(code::USAGE, why))
}

fn six_digits(text: &str) -> Result<u32, &'static str> {
    let digits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or("a code has six digits")
}

/// Which addresses of a host are used.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Families {
    /// Use an IPv4 address of the host only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use an IPv6 address of the host only
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl Families {
    pub(crate) fn family(self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// For a port to answer.
#[derive(Args, Debug)]
pub(crate) struct Waiting {
    /// Return when this port answers, as tcp/22
    #[arg(long, value_name = "tcp/PORT", value_parser = tcp_port)]
    pub(crate) wait: Option<u16>,
    /// How long to try; 30s if not given, and 5m by mail
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
}

impl Waiting {
    /// How long to try after packets.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(30))
    }
}

fn tcp_port(text: &str) -> Result<u16, &'static str> {
    const HELP: &str = "write tcp/ and a port, as tcp/22; whether a UDP port is open cannot be seen";
    let port = text.strip_prefix("tcp/").ok_or(HELP)?;
    port.parse().ok().filter(|port| *port > 0).ok_or(HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_and_a_door_are_named_apart_or_together() {
        let name = |text: &str| (!text.is_empty()).then(|| Name::new(text).unwrap());
        for (text, profile, door) in [("home", "home", ""), ("home/ssh", "home", "ssh"), ("/ssh", "", "ssh")] {
            assert_eq!(What::parse(text), Ok(What { profile: name(profile), door: name(door) }), "{text}");
        }
        for text in ["", "/", "home/", "a/b/c", "a b", "./../x"] {
            assert!(What::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_and_codes_are_written_one_way() {
        assert_eq!((tcp_port("tcp/22"), six_digits("000042")), (Ok(22), Ok(42)));
        for text in ["22", "tcp/", "tcp/0", "tcp/65536", "udp/53", "tcp/ssh"] {
            assert!(tcp_port(text).is_err(), "{text}");
        }
        for text in ["", "12345", "1234567", "+12345", "12 456"] {
            assert!(six_digits(text).is_err(), "{text}");
        }
        assert_eq!(Code::parse("000042"), Ok(Code::Digits(42)));
        assert_eq!(Code::parse("Zoo able"), Ok(Code::Words("Zoo able".into())));
        assert!(Code::parse("12 456").is_err() && Code::parse("").is_err());
    }
}
