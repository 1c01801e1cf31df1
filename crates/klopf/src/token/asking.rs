//! Options of the commands that make a text.

use std::env;
use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use klopf_config::profile::{Allow, Profile};
use klopf_spa::{Name, SharedDoor};
use klopf_wire::text::{self, Language as WireLanguage, Shape as WireShape};

use crate::failure::{Failure, code};
use crate::open::public_address;
use crate::person::Families;
use crate::profile::random;
use crate::send::Family;
use crate::times::duration;

/// Whom a token lets in, and for how long.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Claiming {
    /// For how long, as 10m, 2h or 1d; as long as the door says if not given
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    /// For whom: an address, or auto (as a STUN server sees this device); as the profile says if not given
    #[arg(long, value_name = "auto|ADDRESS", value_parser = Allow::parse)]
    pub(crate) allow: Option<Allow>,
    #[command(flatten)]
    pub(crate) families: Families,
}

impl Claiming {
    /// The address that is claimed. Who reads a text sees no packet of this device, so there must be one.
    pub(crate) fn address(&self, profile: Option<&Profile>) -> Result<IpAddr, Failure> {
        address(self.allow, profile, self.families.family())
    }

    /// In minutes, whole ones; 0: as long as the door says.
    pub(crate) fn minutes(&self) -> u16 {
        self.time.map_or(0, |time| u16::try_from(time.as_secs().div_ceil(60)).unwrap_or(u16::MAX))
    }
}

/// The address for which a text is, as told on the command line, or by the profile.
pub(crate) fn address(allow: Option<Allow>, profile: Option<&Profile>, family: Family) -> Result<IpAddr, Failure> {
    const HELP: &str = "name the address that is to be let in: --allow ADDRESS";
    match allow.or_else(|| profile.map(|profile| profile.allow)).unwrap_or(Allow::Observed) {
        Allow::Address(address) => Ok(address),
        Allow::Observed => {
            let why = format_args!("whoever reads this cannot see your address, so it cannot be \"observed\"; {HELP}");
            Err(Failure::new(code::USAGE, why))
        }
        Allow::Auto => match profile.map(|profile| (profile, &profile.stun)) {
            Some((profile, Some(server))) => {
                let mut last = Failure::new(code::CONFIG, "the profile has no endpoint");
                for endpoint in &profile.endpoints {
                    // An address of the family by which the server is reached.
                    let found = crate::open::resolve(endpoint, family).and_then(|target| {
                        let mut all = target.addresses.into_iter().map(|to| public_address(server, to, HELP));
                        let first = all.next().unwrap_or_else(|| Err(last.clone()));
                        first.or_else(|failure| all.find_map(Result::ok).ok_or(failure))
                    });
                    match found {
                        Ok(address) => return Ok(address),
                        Err(failure) => last = failure,
                    }
                }
                Err(last)
            }
            _ => Err(Failure::new(
                code::CONFIG,
                format_args!("auto asks a STUN server, and no profile names one with a line `stun = ...`; {HELP}"),
            )),
        },
    }
}

/// What a text looks like.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Writing {
    /// What it looks like: a short line, words of a list, or friendly sentences
    #[arg(long, value_enum)]
    shape: Option<Shape>,
    /// In which language the sentences are; that of this session if not given
    #[arg(long, value_enum)]
    language: Option<Language>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    Plain,
    Words,
    Prose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    En,
    De,
}

impl Writing {
    /// The text of a body; `usual` is its shape when none was asked for.
    pub(crate) fn text(self, body: &[u8], usual: Shape) -> Result<String, Failure> {
        let shape = match self.shape.unwrap_or(usual) {
            Shape::Plain => WireShape::Plain,
            Shape::Words => WireShape::Words,
            Shape::Prose => WireShape::Prose(match self.language() {
                Language::En => WireLanguage::English,
                Language::De => WireLanguage::German,
            }),
        };
        let mut trouble = None;
        let mut fill = |bytes: &mut [u8]| trouble = random(bytes).err().or_else(|| trouble.take());
        let text = text::write(body, shape, &mut fill);
        match (trouble, text) {
            (None, Some(text)) => Ok(text),
            (Some(failure), _) => Err(failure),
            (None, None) => Err(Failure::new(code::DATA, "this cannot be written as text")),
        }
    }

    pub(crate) fn language(self) -> Language {
        let told =
            || ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| env::var(name).ok().filter(|v| !v.is_empty()));
        let german = |locale: String| if locale.starts_with("de") { Language::De } else { Language::En };
        self.language.unwrap_or_else(|| told().map_or(Language::En, german))
    }
}

/// How a token is split among guestbooks.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Splitting {
    /// Split it into N shares, of which any K open, one for each guestbook
    #[arg(long, value_name = "K/N", value_parser = shares)]
    shares: Option<(u8, usize)>,
    /// The guestbooks, in this order; those that the profile has for the door if not given
    #[arg(long, value_name = "BOOK,...", value_delimiter = ',', requires = "shares", value_parser = crate::person::name)]
    books: Vec<Name>,
}

impl Splitting {
    /// What is asked for; `known` is what the profile says of the door.
    pub(crate) fn split(&self, door: &Name, known: Option<&SharedDoor>) -> Result<Option<SharedDoor>, Failure> {
        let Some((needed, number)) = self.shares else { return Ok(None) };
        let books = match known {
            Some(known) if self.books.is_empty() => known.books(),
            _ => &self.books,
        };
        if books.len() != number {
            let why = format_args!(
                "{number} shares are for {number} guestbooks; name them as the server does: --books a,b,c"
            );
            return Err(Failure::new(code::USAGE, why));
        }
        // Who names the books may know more than the profile does.
        if let Some(known) = known.filter(|known| self.books.is_empty() && needed < known.k()) {
            let (k, n) = (known.k(), known.books().len());
            let why = format_args!("the door {door} does not open by {needed} shares; it takes --shares {k}/{n}");
            return Err(Failure::new(code::USAGE, why));
        }
        let shared = SharedDoor::new(door.clone(), needed, books.to_vec());
        let why = "each share is for another guestbook; one is named twice, or the names are too long";
        shared.map(Some).ok_or_else(|| Failure::new(code::USAGE, why))
    }
}

fn shares(text: &str) -> Result<(u8, usize), &'static str> {
    const HELP: &str = "write it like 2/3: any 2 of 3; there are 2 to 8, and at least 2 are needed";
    let (needed, number) = text.split_once('/').ok_or(HELP)?;
    let read = needed.parse().ok().zip(number.parse().ok());
    read.filter(|(needed, number)| (2..=8).contains(number) && (2..=*number).contains(&usize::from(*needed)))
        .ok_or(HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_claimed_and_never_observed() {
        let told = |text| address(Some(Allow::parse(text).unwrap()), None, Family::Any);
        assert_eq!(told("192.0.2.7"), Ok([192, 0, 2, 7].into()));
        for text in ["observed", "auto"] {
            let failure = told(text).unwrap_err();
            assert!(failure.to_string().contains("--allow ADDRESS"), "{failure}");
        }
        assert_eq!(address(None, None, Family::Any).unwrap_err().code, 64);
    }

    #[test]
    fn minutes_are_whole_and_bounded() {
        let minutes = |seconds| Claiming { time: Some(Duration::from_secs(seconds)), ..Claiming::default() }.minutes();
        assert_eq!([1, 60, 61, 3600, 10_000_000].map(minutes), [1, 1, 2, 60, u16::MAX]);
        assert_eq!(Claiming::default().minutes(), 0);
    }

    #[test]
    fn each_share_has_a_guestbook_of_its_own() {
        let names = |text: &str| text.split_terminator(',').map(|name| Name::new(name).unwrap()).collect::<Vec<_>>();
        let door = Name::new("vault").unwrap();
        let shared = |k, books| SharedDoor::new(door.clone(), k, names(books)).unwrap();
        let asked = |shares: Option<&str>, books: &str, known: Option<&SharedDoor>| {
            let shares = shares.map(|text| super::shares(text).unwrap());
            Splitting { shares, books: names(books) }.split(&door, known)
        };
        let known = shared(2, "x,y,z");
        assert_eq!(asked(None, "", Some(&known)), Ok(None));
        assert_eq!(asked(Some("2/3"), "", Some(&known)), Ok(Some(known.clone())));
        assert_eq!(asked(Some("2/2"), "a,b", Some(&known)), Ok(Some(shared(2, "a,b"))));
        assert_eq!(asked(Some("3/3"), "", Some(&known)), Ok(Some(shared(3, "x,y,z"))));
        let strict = shared(3, "x,y,z");
        let failure = asked(Some("2/3"), "", Some(&strict)).unwrap_err();
        assert!(failure.code == 64 && failure.to_string().contains("--shares 3/3"), "{failure}");
        assert!(asked(Some("2/3"), "x,y,z", Some(&strict)).is_ok());
        for (shares, books) in [("2/3", ""), ("2/2", "a"), ("2/2", "a,a")] {
            assert_eq!(asked(Some(shares), books, None).unwrap_err().code, 64, "{shares} {books}");
        }
        for text in ["", "2", "1/3", "3/2", "2/9", "0/0", "-2/3", "2/3/4"] {
            assert!(shares(text).is_err(), "{text}");
        }
    }
}
