//! The test vectors, which a second implementation has made from the protocol's page alone.

mod encoded;

use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::packet::{Chance, seal_with};
use crate::{
    Claim, CodePlace, Dress, EncodedDoor, Invitation, InvitedKey, KeyId, Knock, Known, Name, Opener, Own, PacketPort,
    Psk, Public, Scratch, Seed, ServerKey, ServerPublic, Shape, Share, SharedDoor, Tokens, combine, door_hash,
    is_code_of, make_code, open_share, open_token, read_code, seal_shares, seal_token, share, totp_code,
};

/// One vector, whose fields are all there.
struct Vector(Value);

impl Vector {
    fn all(text: &str) -> Vec<Self> {
        let file: Value = serde_json::from_str(text).unwrap();
        let all: Vec<Self> = file["vectors"].as_array().unwrap().iter().cloned().map(Self).collect();
        assert!(!all.is_empty());
        all
    }

    fn name(&self) -> &str {
        self.text("name")
    }

    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("{field} of {}", self.0["name"]))
    }

    fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_else(|| panic!("{field} of {}", self.0["name"]))
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        HEXLOWER.decode(self.text(field).as_bytes()).unwrap()
    }

    fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap_or_else(|_| panic!("{field} of {}", self.0["name"]))
    }

    fn part(&self, field: &str) -> Self {
        Self(self.0[field].clone())
    }

    /// The key that the server knows, and its `own`.
    fn known(&self) -> (KeyId, Own, Tokens) {
        let (id, psk) = (KeyId(self.array("id")), Psk::new(self.array("psk")));
        let own = if self.has("device") { Own::bound(&psk, self.array("device")) } else { Own::psk(&psk) };
        let mut tokens = Tokens::new(&ServerPublic::new(self.array("pkS")));
        tokens.keys([Known { id, number: 3 }]);
        (id, own, tokens)
    }

    fn list(&self, field: &str) -> Vec<Self> {
        self.0[field].as_array().unwrap().iter().cloned().map(Self).collect()
    }

    /// The texts of a list.
    fn texts(&self, field: &str) -> Vec<&str> {
        self.0[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
    }

    /// The bytes of each of a list.
    fn all_bytes(&self, field: &str) -> Vec<Vec<u8>> {
        self.texts(field).iter().map(|hex| HEXLOWER.decode(hex.as_bytes()).unwrap()).collect()
    }

    fn small(&self, field: &str) -> u8 {
        self.number(field).try_into().unwrap()
    }

    fn share(&self) -> Share {
        let (k, x) = (self.small("k"), self.small("x"));
        Share { group: self.array("group"), k, x, values: self.bytes("values") }
    }

    fn has(&self, field: &str) -> bool {
        !self.0[field].is_null()
    }

    fn names(&self, field: &str) -> Vec<Name> {
        self.texts(field).into_iter().map(|name| Name::new(name).unwrap()).collect()
    }

    fn refused(&self) -> Option<&str> {
        self.0["refused"].as_str()
    }
}

#[test]
fn keys_are_those_of_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/keys.json")) {
        if vector.refused().is_some() {
            assert!(Public::parse(vector.text("public_text")).is_err(), "{}", vector.name());
            continue;
        }
        let (public, server) = (Seed::new(vector.array("seed")).public(), ServerKey::new(vector.array("skS")).public());
        assert_eq!(public.bytes(), &vector.array("public"), "{}", vector.name());
        assert_eq!((public.text().as_str(), public.id()), (vector.text("public_text"), KeyId(vector.array("id"))));
        assert_eq!(server.bytes(), &vector.array("pkS"));
        assert_eq!(
            (server.text().as_str(), u64::from(server.port())),
            (vector.text("pkS_text"), vector.number("port"))
        );
    }
}

#[test]
fn ports_are_those_of_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/ports.json")) {
        let server = ServerPublic::new(vector.array("pkS"));
        let port = if vector.has("time") { server.hop_port(vector.number("time")) } else { server.port() };
        assert_eq!(u64::from(port), vector.number("port"), "{}", vector.name());
    }
}

#[test]
fn packets_are_made_and_opened_as_in_the_vectors() {
    let mut scratch = Scratch::default();
    for vector in Vector::all(include_str!("../vectors/packets.json")) {
        let server = ServerKey::new(vector.array("skS"));
        let (public, psk) = (Public::new(vector.array("public")).unwrap(), Psk::new(vector.array("psk")));
        let mut opener = Opener::new(&server, Shape::None);
        opener.people([(3, public, psk.clone())]);
        let packet = vector.bytes("packet");
        let opened = opener.check(&packet, &mut scratch).and_then(|checked| opener.open(&checked));
        if let Some(name) = vector.refused() {
            assert_eq!(opened.map_err(|why| why.name()), Err(name), "{}", vector.name());
            continue;
        }
        let claim = vector.part("claim");
        let knock = Knock {
            time: claim.number("time"),
            counter: claim.number("counter"),
            device: claim.array("device"),
            allow: claim.has("address").then(|| claim.text("address").parse().unwrap()),
            hold: claim.number("seconds").try_into().unwrap(),
            code: claim.has("code").then(|| claim.number("code").try_into().unwrap()),
            door: Name::new(claim.text("door")).unwrap(),
        };
        assert_eq!(opened, Ok((3, knock.clone())), "{}", vector.name());
        let chance = Chance {
            nonce: vector.array("nonce"),
            ephemeral: vector.array("ikmE"),
            length: vector.number("length").try_into().unwrap(),
            dress: Dress::default(),
        };
        let made = seal_with(&server.public(), (&Seed::new(vector.array("seed")), &psk), &knock, &chance);
        assert_eq!(HEXLOWER.encode(&made), vector.text("packet"), "{}", vector.name());
    }
}

#[test]
fn tokens_are_made_and_opened_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/tokens.json")) {
        let server = ServerPublic::new(vector.array("pkS"));
        let (id, own, tokens) = vector.known();
        let token = vector.bytes("token");
        let opened = open_token(&server, id, &own, &token);
        if let Some(name) = vector.refused() {
            let known = !tokens.of_token(&token).is_empty();
            assert_eq!((opened, known), (None, name == "forged"), "{}", vector.name());
            continue;
        }
        let said = vector.part("claim");
        let claim = Claim {
            address: said.text("address").parse().unwrap(),
            door: door_hash(said.text("door")),
            time: said.number("time").try_into().unwrap(),
            counter: said.number("counter"),
            hold: said.number("minutes").try_into().unwrap(),
        };
        assert_eq!(opened, Some(claim), "{}", vector.name());
        let n: [u8; 8] = vector.array("n");
        let made = seal_token(&server, id, &own, &claim, &mut |out| out.copy_from_slice(&n)).unwrap();
        assert_eq!(made, token, "{}", vector.name());
        assert_eq!(tokens.of_token(&token), [Known { id, number: 3 }]);
    }
}

#[test]
fn shares_are_made_and_opened_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/shares.json")) {
        let server = ServerPublic::new(vector.array("pkS"));
        if let Some(name) = vector.refused() {
            let opened = open_share(&server, vector.text("book"), &vector.bytes("share"));
            assert_eq!((opened, name), (None, "no-token"), "{}", vector.name());
            continue;
        }
        let (token, k) = (vector.bytes("token"), vector.small("k"));
        let (sealed, parts) = (vector.all_bytes("shares"), vector.all_bytes("parts"));
        let opened: Vec<Share> = vector
            .texts("books")
            .iter()
            .zip(&sealed)
            .map(|(book, body)| open_share(&server, book, body).unwrap())
            .collect();
        assert_eq!((opened.len(), parts.len()), (sealed.len(), sealed.len()));
        for ((read, part), (x, book)) in opened.iter().zip(parts).zip((1..).zip(vector.texts("books"))) {
            let said = Share { group: vector.array("group"), k, x, values: part[5..].to_vec() };
            assert_eq!(read, &said, "{}", vector.name());
            assert_eq!(share::seal(&server, book, &said).as_ref(), sealed.get(usize::from(x) - 1));
        }
        for first in 0..=opened.len() - usize::from(k) {
            let chosen = &opened[first..first + usize::from(k)];
            assert_eq!(combine(chosen).as_ref(), Some(&token), "{} from {first} on", vector.name());
        }
    }
}

#[test]
fn shares_are_split_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/shares.json")).into_iter().filter(|it| it.refused().is_none()) {
        let (token, coefficients) = (vector.bytes("token"), vector.all_bytes("coefficients"));
        // The group is drawn first. Then the dealer draws for one byte after another, from the highest power down, each
        // time four bytes, the first of which it takes.
        let of_byte = |at: usize| coefficients.iter().rev().map(move |of_power| vec![of_power[at], 9, 9, 9]);
        let mut drawn = [vector.bytes("group")].into_iter().chain((0..token.len()).flat_map(of_byte));
        let mut random = |out: &mut [u8]| out.copy_from_slice(&drawn.next().unwrap());
        let server = ServerPublic::new(vector.array("pkS"));
        let split = seal_shares(&server, &token, vector.small("k"), &vector.texts("books"), &mut random);
        assert_eq!(split, Some(vector.all_bytes("shares")), "{}", vector.name());
        assert_eq!(drawn.next(), None);
    }
}

#[test]
fn shares_are_put_together_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/combinations.json")) {
        let shares: Vec<Share> = vector.list("shares").iter().map(Vector::share).collect();
        let expected = vector.refused().is_none().then(|| vector.bytes("token"));
        assert_eq!(combine(&shares), expected, "{}", vector.name());
    }
}

#[test]
fn codes_for_paper_are_made_and_read_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/paper.json")) {
        let server = ServerPublic::new(vector.array("pkS"));
        let (id, own, tokens) = vector.known();
        let code = vector.bytes("paper_code");
        let doors = vector.texts("doors");
        let of = doors.into_iter().find(|door| is_code_of(&server, id, &own, door_hash(door), &code));
        let found = tokens.of_code(&code);
        assert_eq!(found.map(|(read, _)| read), read_code(&server, &code));
        if let Some(name) = vector.refused() {
            let known = found.map(|(_, known)| !known.is_empty());
            let expected = match name {
                "no-token" => None,
                "unknown-key" => Some(false),
                _ => Some(true),
            };
            assert_eq!((of, known), (None, expected), "{}", vector.name());
            continue;
        }
        let place = CodePlace { sheet: vector.number("sheet").try_into().unwrap(), index: vector.small("index") };
        let (read, known) = found.unwrap();
        assert_eq!((read.place, known), (place, &[Known { id, number: 3 }][..]), "{}", vector.name());
        assert_eq!(of, Some(vector.text("door")));
        let made = make_code(&server, id, &own, vector.text("door"), place).unwrap();
        assert_eq!(HEXLOWER.encode(&made), vector.text("paper_code"));
    }
}

#[test]
fn invitations_are_read_and_written_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/invitations.json")) {
        let read = Invitation::parse(vector.text("text"));
        if vector.refused().is_some() {
            assert!(read.is_err(), "{}", vector.name());
            continue;
        }
        let read = read.unwrap_or_else(|why| panic!("{}: {why}", vector.name()));
        assert_eq!(&*read.name, vector.text("key_name"), "{}", vector.name());
        assert_eq!(read.server.bytes(), &vector.array("pkS"));
        assert_eq!(read.psk.bytes(), &vector.array("psk"));
        let id = match &read.key {
            InvitedKey::Made(seed) => {
                assert_eq!(seed.bytes(), &vector.array("seed"));
                seed.public().id()
            }
            InvitedKey::Own(id) => {
                assert!(!vector.has("seed"));
                *id
            }
        };
        assert_eq!(id, KeyId(vector.array("id")));
        assert_eq!(read.endpoints, vector.texts("endpoints"));
        assert_eq!((&read.doors, &read.code_doors), (&vector.names("doors"), &vector.names("code_doors")));
        let port = match read.way.port {
            PacketPort::Hop => 0,
            PacketPort::Fixed(port) => u64::from(port),
        };
        let expected = if vector.has("port") { vector.number("port") } else { read.server.port().into() };
        assert_eq!(port, expected);
        let shape = if vector.has("shape") { vector.number("shape") } else { 0 };
        assert_eq!(u64::from(read.way.shape.number()), shape);
        assert_eq!(read.until, vector.has("until").then(|| vector.number("until")));
        assert_eq!(read.no_clock, vector.0["no_clock"].as_bool().unwrap());
        assert_eq!(read.bound, vector.0["bound"].as_bool().unwrap());
        assert_eq!(read.mail.as_deref(), vector.has("mail").then(|| vector.text("mail")));
        let shared = |it: &Vector| {
            SharedDoor::new(Name::new(it.text("door")).unwrap(), it.small("k"), it.names("books")).unwrap()
        };
        assert_eq!(read.shared_doors, vector.list("shared_doors").iter().map(shared).collect::<Vec<_>>());
        let encoded = |it: &Vector| EncodedDoor { door: Name::new(it.text("door")).unwrap(), template: it.template() };
        assert_eq!(read.encoded_doors, vector.list("encoded_doors").iter().map(encoded).collect::<Vec<_>>());
        // What is left out, or aside, is not written again.
        let whole = ["port", "shape"].iter().all(|field| vector.has(field));
        if whole && vector.0["left_aside"].as_array().is_none_or(Vec::is_empty) {
            assert_eq!(read.text().as_str(), vector.text("text"), "{}", vector.name());
        }
    }
}

#[test]
fn codes_are_those_of_the_vectors() {
    for vector in Vector::all(include_str!("../vectors/codes.json")) {
        let code = totp_code(&vector.bytes("secret"), vector.number("time"));
        assert_eq!(u64::from(code), vector.number("code"), "{}", vector.name());
    }
}
