//! The test vectors, which a second implementation has made from the protocol's page alone.

use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::packet::{Chance, seal_with};
use crate::{
    Claim, Dress, Invitation, InvitedKey, KeyId, Knock, Known, Name, Opener, Own, PacketPort, Psk, Public, Scratch,
    Seed, ServerKey, ServerPublic, Shape, Tokens, door_hash, open_token, seal_token, totp_code,
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

    fn has(&self, field: &str) -> bool {
        !self.0[field].is_null()
    }

    fn names(&self, field: &str) -> Vec<Name> {
        self.0[field].as_array().unwrap().iter().map(|name| Name::new(name.as_str().unwrap()).unwrap()).collect()
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
        let (id, own) = (KeyId(vector.array("id")), Own::psk(&Psk::new(vector.array("psk"))));
        let mut tokens = Tokens::new(&server);
        tokens.keys([Known { id, number: 3 }]);
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
        let endpoints: Vec<&str> =
            vector.0["endpoints"].as_array().unwrap().iter().map(|endpoint| endpoint.as_str().unwrap()).collect();
        assert_eq!(read.endpoints, endpoints);
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
