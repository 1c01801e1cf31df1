//! The line that a person gets: all that a client must know of a server.

mod encoded_door;
mod shared_door;

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

pub use self::encoded_door::EncodedDoor;
pub use self::shared_door::SharedDoor;
use crate::keys::hash;
use crate::{KeyId, Name, PacketPort, Psk, Seed, ServerPublic, Shape, Way};

const PREFIX: &str = "klopf:";
const VERSION: u8 = 1;
/// Characters of a text that is looked at: some more than the longest that is written.
const LONGEST: usize = 32_000;
/// Endpoints, and doors of each kind, at most.
const MOST: usize = 32;

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The name of the key.
    pub name: Name,
    /// The server's public key.
    pub server: ServerPublic,
    /// What person and server share.
    pub psk: Psk,
    /// The person's key.
    pub key: InvitedKey,
    /// Where the server is: names or addresses, the first one first. 1 to 32.
    pub endpoints: Vec<String>,
    /// What may be opened. 1 to 32.
    pub doors: Vec<Name>,
    /// How packets are sent.
    pub way: Way,
    /// When it ends unless it is used before, in seconds since 1970; none: never.
    pub until: Option<u64>,
    /// The device has no clock.
    pub no_clock: bool,
    /// Doors that ask for a code besides.
    pub code_doors: Vec<Name>,
    /// The key belongs to one device, and so do its tokens; see [`crate::Own::bound`].
    pub bound: bool,
    /// Where mails with tokens go: an address as [`is_mail_address`] takes it.
    pub mail: Option<String>,
    /// Doors that take shares. Of `doors`, each once.
    pub shared_doors: Vec<SharedDoor>,
    /// Doors that take encoded sequences. Of `doors`, each once.
    pub encoded_doors: Vec<EncodedDoor>,
}

/// Whose key an invitation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvitedKey {
    /// One that was made for it.
    Made(Seed),
    /// One that the person has made before.
    Own(KeyId),
}

/// What is wrong with a text that should be an invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvitationError {
    /// It does not begin as one.
    Prefix,
    /// A character that does not belong there, at this place, counted from 1.
    Character(usize),
    /// Something was left out, added or changed in copying.
    Copied,
    /// By a newer version.
    Version(u8),
    /// A field that this version does not know, or in the wrong place, by its tag.
    Field(u8),
    /// Something that must be in it is not.
    Missing(&'static str),
}

impl fmt::Display for InvitationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => f.write_str("an invitation begins with klopf: and is one line"),
            Self::Character(at) => write!(f, "character {at} is none that an invitation has; is it the whole line?"),
            Self::Copied => f.write_str("it was cut or changed in copying; copy the whole line again"),
            Self::Version(version) => write!(f, "it is of version {version}; this program is too old for it"),
            Self::Field(tag) => write!(f, "its field {tag} is not one that this version understands"),
            Self::Missing(what) => write!(f, "it says nothing of {what}"),
        }
    }
}

impl std::error::Error for InvitationError {}

impl Invitation {
    /// The line.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        let mut field = |tag: u8, value: &[u8]| {
            if let Ok(length) = u8::try_from(value.len()) {
                bytes.extend([tag, length]);
                bytes.extend(value);
            }
        };
        field(1, self.name.as_bytes());
        field(2, self.server.bytes());
        field(3, self.psk.bytes());
        match &self.key {
            InvitedKey::Made(seed) => field(4, seed.bytes()),
            InvitedKey::Own(id) => field(5, &id.0),
        }
        self.endpoints.iter().for_each(|endpoint| field(6, endpoint.as_bytes()));
        self.doors.iter().for_each(|door| field(7, door.as_bytes()));
        let port = match self.way.port {
            PacketPort::Fixed(port) => port,
            PacketPort::Hop => 0,
        };
        field(8, &port.to_be_bytes());
        field(9, &[self.way.shape.number()]);
        self.until.iter().for_each(|until| field(10, &until.to_be_bytes()));
        if self.no_clock {
            field(11, &[]);
        }
        self.code_doors.iter().for_each(|door| field(12, door.as_bytes()));
        if self.bound {
            field(128, &[]);
        }
        self.mail.iter().for_each(|mail| field(129, mail.as_bytes()));
        self.shared_doors.iter().for_each(|shared| field(130, shared.text().as_bytes()));
        self.encoded_doors.iter().for_each(|encoded| field(131, &encoded.bytes()));
        let check = hash::<4>(&[&bytes]);
        bytes.extend(check);
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(&bytes));
        Zeroizing::new(format!("{PREFIX}{}", *text))
    }

    /// Reads the line; blanks around it do not matter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvitationError> {
        let text = text.trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(InvitationError::Prefix)?;
        if encoded.len() > LONGEST {
            return Err(InvitationError::Copied);
        }
        let bytes =
            BASE64URL_NOPAD.decode(encoded.as_bytes()).map(Zeroizing::new).map_err(|wrong| match wrong.kind {
                data_encoding::DecodeKind::Symbol => InvitationError::Character(PREFIX.len() + wrong.position + 1),
                _ => InvitationError::Copied,
            })?;
        let (all, check) = bytes.split_last_chunk::<4>().ok_or(InvitationError::Copied)?;
        if hash::<4>(&[all]) != *check {
            return Err(InvitationError::Copied);
        }
        let (&version, fields) = all.split_first().ok_or(InvitationError::Copied)?;
        if version != VERSION {
            return Err(InvitationError::Version(version));
        }
        Fields::read(fields)?.complete()
    }
}

/// The fields as they come.
#[derive(Default)]
struct Fields {
    name: Option<Name>,
    server: Option<ServerPublic>,
    psk: Option<Psk>,
    key: Option<InvitedKey>,
    endpoints: Vec<String>,
    doors: Vec<Name>,
    port: Option<PacketPort>,
    shape: Option<Shape>,
    until: Option<u64>,
    no_clock: bool,
    code_doors: Vec<Name>,
    bound: bool,
    mail: Option<String>,
    shared_doors: Vec<SharedDoor>,
    encoded_doors: Vec<EncodedDoor>,
}

impl Fields {
    fn read(mut rest: &[u8]) -> Result<Self, InvitationError> {
        let mut fields = Self::default();
        let mut last = 0;
        while let Some((&[tag, length], behind)) = rest.split_first_chunk::<2>() {
            let (value, behind) = behind.split_at_checked(length.into()).ok_or(InvitationError::Copied)?;
            let many = matches!(tag, 6 | 7 | 12 | 130..);
            if tag < last || (tag == last && !many) || fields.take(tag, value).is_none() {
                return Err(InvitationError::Field(tag));
            }
            (last, rest) = (tag, behind);
        }
        if rest.is_empty() { Ok(fields) } else { Err(InvitationError::Copied) }
    }

    /// Takes a field in; none if it is not what its tag says.
    fn take(&mut self, tag: u8, value: &[u8]) -> Option<()> {
        let name = || std::str::from_utf8(value).ok().and_then(Name::new);
        match tag {
            1 => self.name = Some(name()?),
            2 => self.server = Some(ServerPublic::new(value.try_into().ok()?)),
            3 => self.psk = Some(Psk::new(value.try_into().ok()?)),
            4 => self.key = Some(InvitedKey::Made(Seed::new(value.try_into().ok()?))),
            5 if self.key.is_none() => self.key = Some(InvitedKey::Own(KeyId(value.try_into().ok()?))),
            6 if self.endpoints.len() < MOST => self.endpoints.push(endpoint(value)?),
            7 if self.doors.len() < MOST => self.doors.push(name()?),
            8 => {
                let port = u16::from_be_bytes(value.try_into().ok()?);
                self.port = Some(if port == 0 { PacketPort::Hop } else { PacketPort::Fixed(port) });
            }
            9 => {
                let &[number] = value else { return None };
                self.shape = Some(Shape::of(number)?);
            }
            10 => self.until = Some(u64::from_be_bytes(value.try_into().ok()?)),
            11 => self.no_clock = value.is_empty().then_some(true)?,
            12 if self.code_doors.len() < MOST => self.code_doors.push(name()?),
            128 => self.bound = value.is_empty().then_some(true)?,
            129 => self.mail = Some(mail_address(value)?),
            130 if self.shared_doors.len() < MOST => self.shared_doors.push(SharedDoor::read(value)?),
            131 if self.encoded_doors.len() < MOST => self.encoded_doors.push(EncodedDoor::read(value)?),
            132.. => {}
            _ => return None,
        }
        Some(())
    }

    fn complete(self) -> Result<Invitation, InvitationError> {
        use InvitationError::Missing;
        let server = self.server.ok_or(Missing("the server's key"))?;
        let shape = self.shape.unwrap_or_default();
        let port = self.port.unwrap_or_else(|| PacketPort::Fixed(server.port()));
        if !self.code_doors.iter().all(|door| self.doors.contains(door)) {
            return Err(InvitationError::Field(12));
        }
        let shared = self.shared_doors.iter().map(SharedDoor::door);
        let encoded = self.encoded_doors.iter().map(|encoded| &encoded.door);
        for (tag, of) in [(130, shared.collect::<Vec<_>>()), (131, encoded.collect())] {
            let again = |at, door| of.iter().take(at).any(|other: &&Name| *other == door);
            if !of.iter().enumerate().all(|(at, door)| self.doors.contains(door) && !again(at, *door)) {
                return Err(InvitationError::Field(tag));
            }
        }
        if self.endpoints.is_empty() {
            return Err(Missing("where the server is"));
        }
        if self.doors.is_empty() {
            return Err(Missing("a door"));
        }
        Ok(Invitation {
            name: self.name.ok_or(Missing("its name"))?,
            server,
            psk: self.psk.ok_or(Missing("the shared key"))?,
            key: self.key.ok_or(Missing("the person's key"))?,
            endpoints: self.endpoints,
            doors: self.doors,
            way: Way { port, shape },
            until: self.until,
            no_clock: self.no_clock,
            code_doors: self.code_doors,
            bound: self.bound,
            mail: self.mail,
            shared_doors: self.shared_doors,
            encoded_doors: self.encoded_doors,
        })
    }
}

/// A host name or address; what could be taken for an option, or breaks a line, is none.
fn endpoint(value: &[u8]) -> Option<String> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-:".contains(byte);
    let good = (1..=253).contains(&value.len()) && value.iter().all(fits) && value.first() != Some(&b'-');
    good.then(|| String::from_utf8_lossy(value).into_owned())
}

/// Whether an invitation can name this as the address of mails: 3 to 254 printable characters of ASCII without a
/// blank, and among them an `@` that is neither first nor last.
#[must_use]
pub fn is_mail_address(text: &str) -> bool {
    let inside = text.strip_prefix(|first| first != '@').and_then(|rest| rest.strip_suffix(|last| last != '@'));
    text.len() <= 254
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && inside.is_some_and(|text| text.contains('@'))
}

fn mail_address(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().filter(|text| is_mail_address(text)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerKey;
    use crate::encoded::{Fields as Said, Span, Template, Transport, Whom};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn invitation() -> Invitation {
        Invitation {
            name: name("laptop"),
            server: ServerKey::new([1; 32]).public(),
            psk: Psk::new([2; 32]),
            key: InvitedKey::Made(Seed::new([3; 32])),
            endpoints: vec!["host.example".into(), "2001:db8::1".into()],
            doors: vec![name("ssh"), name("web")],
            way: Way { port: PacketPort::Fixed(51_900), shape: Shape::None },
            until: Some(1_800_000_000),
            no_clock: false,
            code_doors: vec![name("web")],
            bound: false,
            mail: None,
            shared_doors: vec![],
            encoded_doors: vec![],
        }
    }

    fn encoded(door: &str, whom: Whom) -> EncodedDoor {
        let fields = Said { whom, port: true, hold: true, flags: false };
        let span = Span::new(40_000, 40_255).unwrap();
        EncodedDoor { door: name(door), template: Template { span, transport: Transport::Tcp, fields } }
    }

    /// The same with all that may be absent.
    fn full() -> Invitation {
        let shared = |door, books: [&str; 3]| SharedDoor::new(name(door), 2, books.map(name).to_vec()).unwrap();
        Invitation {
            bound: true,
            mail: Some("knocks+ssh@mail.example".into()),
            shared_doors: vec![shared("web", ["a", "b", "c"]), shared("ssh", ["c", "a", "b"])],
            encoded_doors: vec![encoded("web", Whom::V6), encoded("ssh", Whom::V4)],
            ..invitation()
        }
    }

    /// Reads an invitation with these fields.
    fn with(fields: &[u8]) -> Result<Invitation, InvitationError> {
        let all = [&[VERSION][..], fields].concat();
        let bytes = [&all[..], &hash::<4>(&[&all])].concat();
        Invitation::parse(&format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)))
    }

    /// Reads the usual one with fields added at its end.
    fn and(more: &[(u8, &str)]) -> Result<Invitation, InvitationError> {
        let text = invitation().text();
        let bytes = BASE64URL_NOPAD.decode(&text.as_bytes()[PREFIX.len()..]).unwrap();
        let mut fields = bytes[1..bytes.len() - 4].to_vec();
        for (tag, value) in more {
            fields.extend([*tag, value.len().try_into().unwrap()]);
            fields.extend(value.as_bytes());
        }
        with(&fields)
    }

    #[test]
    fn an_invitation_is_read_as_it_is_written() {
        let own = InvitedKey::Own(KeyId([4; 8]));
        let hop = Way { port: PacketPort::Hop, shape: Shape::None };
        let other = Invitation { key: own, way: hop, no_clock: true, code_doors: vec![], ..invitation() };
        for invitation in [invitation(), full(), other] {
            let text = invitation.text();
            assert_eq!(Invitation::parse(&format!(" {}\n", *text)), Ok(invitation));
        }
    }

    #[test]
    fn a_slip_in_copying_is_noticed_wherever_it_is() {
        let text = full().text();
        for at in 0..text.len() {
            assert!(Invitation::parse(&text[..at]).is_err(), "cut at {at}");
            let mut changed = text.to_string();
            let other = if text.as_bytes()[at] == b'x' { "y" } else { "x" };
            changed.replace_range(at..=at, other);
            assert!(Invitation::parse(&changed).is_err(), "changed at {at}");
        }
        assert_eq!(Invitation::parse("klopf:abc!"), Err(InvitationError::Character(10)));
    }

    #[test]
    fn fields_that_are_not_understood_are_named() {
        assert_eq!(with(&[13, 0]), Err(InvitationError::Field(13)));
        assert_eq!(with(&[200, 1, 7]), Err(InvitationError::Missing("the server's key")));
        assert_eq!(with(&[8, 2, 0, 9, 8, 2, 0, 9]), Err(InvitationError::Field(8)));
        assert_eq!(with(&[9, 1, 0, 8, 2, 0, 9]), Err(InvitationError::Field(8)));
        assert_eq!(with(&[6, 5, b'-', b'o', b'X', b'=', b'1']), Err(InvitationError::Field(6)));
        assert_eq!(with(&[6, 9, 1]), Err(InvitationError::Copied));
    }

    #[test]
    fn what_is_said_of_mail_guestbooks_and_device_is_refused_where_it_is_wrong() {
        let good = [
            (128, ""),
            (129, "a@b"),
            (130, "ssh 2 a b"),
            (130, "web 2 b a"),
            (131, "\u{1}\u{6}\u{1}\u{1}\u{8}ssh"),
            (132, "later"),
            (132, ""),
        ];
        assert!(and(&good).is_ok_and(|read| read.bound && read.mail.is_some() && read.shared_doors.len() == 2));
        for wrong in [
            &[(128, "x")][..],
            &[(128, ""), (128, "")],
            &[(129, "a@b"), (129, "a@b")],
            &[(129, "")],
            &[(129, "ab")],
            &[(129, "@b")],
            &[(129, "a@")],
            &[(129, "a b@c")],
            &[(129, "a@b\n")],
            &[(129, "ä@b")],
            &[(129, &*format!("a@{}", "b".repeat(253)))],
            &[(130, "ssh 2 a")],
            &[(130, "other 2 a b")],
            &[(130, "ssh 2 a b"), (130, "ssh 2 a b")],
            &[(130, "ssh 2 a b"), (129, "a@b")],
            &[(131, "")],
            &[(131, "\u{1}\u{6}\u{1}\u{1}\u{8}")],
            &[(131, "\u{1}\u{6}\u{1}\u{1}\u{8}other")],
            &[(131, "\u{1}\u{6}\u{1}\u{1}\u{7}ssh")],
            &[(131, "\u{1}\u{6}\u{1}\u{1}\u{8}ssh"), (131, "\u{1}\u{6}\u{1}\u{1}\u{8}ssh")],
        ] {
            let last = wrong.last().unwrap().0;
            assert_eq!(and(wrong), Err(InvitationError::Field(last)), "{wrong:?}");
        }
    }

    #[test]
    fn the_longest_that_can_be_written_is_read() {
        let all = |count: u8, length: usize| {
            (0..count).map(move |number| format!("{number:02}{}", "x".repeat(length - 2))).collect::<Vec<_>>()
        };
        let names = |count, length| all(count, length).iter().map(|text| name(text)).collect::<Vec<_>>();
        let doors = names(32, 64);
        let shared = |door: &Name| SharedDoor::new(door.clone(), 2, names(8, 22)).unwrap();
        let longest = Invitation {
            endpoints: all(32, 253),
            code_doors: doors.clone(),
            shared_doors: doors.iter().map(shared).collect(),
            encoded_doors: doors.iter().map(|door| encoded(door, Whom::V6Net)).collect(),
            mail: Some(format!("a@{}", "b".repeat(252))),
            doors,
            ..full()
        };
        let text = longest.text();
        assert!(text.len() <= PREFIX.len() + LONGEST, "{}", text.len());
        assert_eq!(Invitation::parse(&text), Ok(longest));
    }

    proptest::proptest! {
        #[test]
        fn any_text_and_any_fields_are_read_without_panic(text: String, fields: Vec<u8>) {
            let _ = Invitation::parse(&text);
            let _ = Invitation::parse(&format!("klopf:{text}"));
            let _ = Fields::read(&fields);
        }
    }
}
