//! Signatures made with a key of the tests, and a DNS without servers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::DkimSigner;
use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{DnsError, Error};
use proptest::prelude::*;

use super::*;

const MAIL: &str = "From: ada@example.org\r\nSubject: hello\r\nTo: bob@example.net\r\n\r\nknock abc\r\n";
const NAME: &str = "s1._domainkey.example.org.";

fn nobody() -> Option<MessageAuthenticator> {
    MessageAuthenticator::new(ResolverConfig::from_parts(None, vec![], vec![]), ResolverOpts::default()).ok()
}

fn record(key: &Ed25519Key) -> String {
    format!("v=DKIM1; k=ed25519; p={}", data_encoding::BASE64.encode(&key.public_key()))
}

fn signer() -> (Ed25519Key, Txt) {
    let key = Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8().unwrap()).unwrap();
    let public = DomainKey::parse(record(&key).as_bytes()).unwrap().into();
    (key, public)
}

/// A signed mail, and who knows its key.
fn signed(by: &str, headers: &[&str], length: bool) -> (String, Dkim) {
    let (key, public) = signer();
    let signer = DkimSigner::from_key(key).domain(by).selector("s1").headers(headers.iter().copied());
    let signature = signer.body_length(length).sign(MAIL.as_bytes()).unwrap().to_header();
    let dkim = Dkim::with(&["Example.org".to_owned()], Box::new(nobody)).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    dkim.keys.insert(NAME.into(), public.clone(), until);
    dkim.keys.insert(format!("s1._domainkey.{by}.").into(), public, until);
    (signature + MAIL, dkim)
}

#[test]
fn a_mail_signed_by_the_domain_counts_and_a_changed_one_does_not() {
    let (mail, dkim) = signed("example.org", &["From", "Subject"], false);
    assert_eq!(dkim.check(mail.as_bytes()), Signed::Yes);
    assert_eq!(dkim.check(mail.replace("\r\n", "\n").as_bytes()), Signed::Yes, "as it lies in a file");
    assert_eq!(dkim.check(mail.replace("hello", "hallo").as_bytes()), Signed::No);
    assert_eq!(dkim.check(mail.replace("knock", "knack").as_bytes()), Signed::No);
    assert_eq!(dkim.check((mail + "more\r\n").as_bytes()), Signed::No);
    assert_eq!(dkim.check(MAIL.as_bytes()), Signed::No);
    assert_eq!(dkim.check(b""), Signed::No);
}

#[test]
fn another_domain_does_not_count_not_even_one_below_it() {
    for by in ["example.net", "mail.example.org", "notexample.org", "org"] {
        let (mail, dkim) = signed(by, &["From", "Subject"], false);
        assert_eq!(dkim.check(mail.as_bytes()), Signed::No, "{by}");
    }
}

#[test]
fn a_signature_over_less_does_not_count() {
    let (mail, dkim) = signed("example.org", &["From"], false);
    assert_eq!(dkim.check(mail.as_bytes()), Signed::No, "without the subject");
    let (mail, dkim) = signed("example.org", &["From", "Subject"], true);
    assert!(mail.contains("l="));
    assert_eq!(dkim.check(mail.as_bytes()), Signed::No, "over the body's beginning");
}

#[test]
fn a_dns_that_is_silent_is_no_answer_and_one_without_such_a_key_is() {
    let (mail, dkim) = signed("example.org", &["From", "Subject"], false);
    dkim.keys.remove::<str>(NAME);
    assert_eq!(dkim.check(mail.as_bytes()), Signed::Unknown);
    let until = Instant::now() + Duration::from_secs(60);
    dkim.keys.insert(NAME.into(), Txt::Error(Error::Dns(DnsError::InvalidRecordType)), until);
    assert_eq!(dkim.check(mail.as_bytes()), Signed::No);
    let (.., other) = signer();
    dkim.keys.insert(NAME.into(), other, until);
    assert_eq!(dkim.check(mail.as_bytes()), Signed::No);
}

/// A DNS that gives this text to whoever asks for one, by TCP (RFC 1035, section 4.2.2).
fn dns(text: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut query = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut query).unwrap();
                let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
                let length = u8::try_from(text.len()).unwrap();
                let mut answer =
                    [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &query[12..12 + name + 5]].concat();
                answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 1, 0, 0, length + 1, length]);
                answer.extend(text.bytes());
                stream.write_all(&[&u16::try_from(answer.len()).unwrap().to_be_bytes()[..], &answer].concat()).unwrap();
            }
        }
    });
    port
}

#[test]
fn keys_come_by_the_dns_and_are_remembered() {
    let (key, _) = signer();
    let mut connection = ConnectionConfig::tcp();
    connection.port = dns(record(&key));
    let server = NameServerConfig::new([127, 0, 0, 1].into(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let resolver = move || MessageAuthenticator::new(config.clone(), ResolverOpts::default()).ok();
    let dkim = Dkim::with(&["example.org".to_owned()], Box::new(resolver)).unwrap();
    let signer = DkimSigner::from_key(key).domain("example.org").selector("s1").headers(["From", "Subject"]);
    let mail = signer.sign(MAIL.as_bytes()).unwrap().to_header() + MAIL;
    assert_eq!(dkim.check(mail.as_bytes()), Signed::Yes);
    assert!(dkim.keys.get::<str>(NAME).is_some());
    assert_eq!(dkim.check(mail.as_bytes()), Signed::Yes);
}

#[test]
fn many_signatures_cost_few_questions_and_remembered_keys_are_few() {
    let (mail, dkim) = signed("example.org", &["From", "Subject"], false);
    let forged = "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=From:Subject; bh=AA==; b=AA==\r\n";
    assert_eq!(dkim.check((forged.repeat(5000) + &mail).as_bytes()), Signed::No, "it is not among the first");
    let (.., key) = signer();
    for name in 0..10_000 {
        dkim.keys.insert(name.to_string().into(), key.clone(), Instant::now());
    }
    assert!(dkim.keys.0.lock().unwrap().len() <= KEYS);
}

proptest! {
    #[test]
    fn any_headers_are_read_without_panic(pieces in prop::collection::vec(0_usize..PIECES.len(), 0..40)) {
        let mail: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        let dkim = Dkim::with(&["example.org".to_owned()], Box::new(|| None)).unwrap();
        prop_assert_ne!(dkim.check(mail.as_bytes()), Signed::Yes);
    }
}

const PIECES: [&str; 32] = [
    "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=From:Subject; bh=AA==; b=AA==\r\n",
    "DKIM-Signature: ",
    "DKIM2-Signature: ",
    "Message-Instance: ",
    "From: ",
    "Subject: ",
    "v=1; ",
    "a=",
    "ed25519-sha256; ",
    "b=",
    "bh=",
    "AA==; ",
    "c=relaxed/simple; ",
    "d=example.org; ",
    "h=",
    "from:subject; ",
    "i=",
    "l=5; ",
    "s=",
    "t=99999999999999999999; ",
    "x=-1; ",
    "z=",
    "=3D",
    "|",
    "@",
    ";",
    ":",
    "\r\n",
    "\n",
    " ",
    "{\"r\":[",
    "\u{e4}",
];
