//! What people's programs do to a text, and what hostile ones do.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

const KNOCK: &str = "knock abcdef";

/// Whether a mail's texts have the knock in one piece, in which white space counts for nothing.
#[track_caller]
fn has_knock(mail: impl AsRef<[u8]>) {
    let texts = texts(mail.as_ref());
    let plain = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
    assert!(texts.iter().any(|text| plain(text).contains(&plain(KNOCK))), "{texts:?}");
}

fn mail(headers: &str, body: &str) -> String {
    format!("From: ada@example.org\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n{headers}\r\n{body}")
}

#[test]
fn a_knock_is_found_in_subject_and_body() {
    has_knock(mail("Subject: knock abcdef\r\n", ""));
    has_knock(mail("Subject: knock\r\n abcdef\r\n", "hello\r\n"));
    has_knock(mail("Subject: =?utf-8?Q?knock=20abcdef?=\r\n", ""));
    has_knock(mail("Subject: =?utf-8?B?a25vY2sgYWJjZGVm?=\r\n", ""));
    has_knock(mail("Subject: hello\r\n", "Hi!\r\n\r\nknock abcdef\r\n-- \r\nAda\r\n"));
    has_knock(mail("", "knock abcdef").replace("\r\n", "\n"));
}

#[test]
fn a_subject_stands_before_the_body_and_by_itself() {
    assert_eq!(texts(mail("Subject: a\r\n", "b\r\n").as_bytes()), ["a\n\nb\n", "a"]);
}

#[test]
fn what_is_no_mail_is_a_text() {
    has_knock("knock abcdef");
    has_knock("knock\nabcdef\n\nyours");
    has_knock("Note: knock abcdef");
    has_knock(b"\xff\xfe\nknock abcdef");
    assert_eq!(texts(b""), Vec::<String>::new());
}

#[test]
fn a_knock_is_found_in_every_encoding() {
    let with = |kind: &str, encoding: &str, body: &str| {
        has_knock(mail(&format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"), body));
    };
    with("text/plain; charset=utf-8", "quoted-printable", "kno=\r\nck=20abc=64ef\r\n");
    with("text/plain; charset=us-ascii", "BASE64", "a25vY2sg\r\nYWJjZGVm\r\n");
    with("text/plain; charset=utf-16le", "base64", "awBuAG8AYwBrACAAYQBiAGMAZABlAGYA");
    with("text/plain; charset=\"unheard-of\"", "8bit", "knock abcdef");
    with("text/plain; format=flowed", "7bit", "> knock \r\n> abcdef\r\n");
    with("text/plain; format=flowed; delsp=yes", "7bit", "knock  \r\nabc \r\ndef\r\n");
    with("text/html; charset=utf-8", "quoted-printable", "<p>kn<b>ock</b>&nbsp;abc=\r\ndef</p>");
}

#[test]
fn a_knock_is_found_in_replies_and_among_white_space() {
    has_knock(mail("", "On Monday Bob wrote:\r\n> > knock\r\n> > abcdef\r\n"));
    has_knock(mail("", "knock\u{a0}abc\u{ad}def"));
}

fn multipart(kind: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b\r\n{part}\r\n")).collect();
    mail(&format!("Content-Type: multipart/{kind}; boundary=\"b\"\r\n"), &format!("preamble\r\n{parts}--b--\r\nend"))
}

#[test]
fn a_knock_is_found_in_parts() {
    let html = "Content-Type: text/html\r\n\r\n<p>knock abcdef</p>";
    has_knock(multipart("alternative", &["Content-Type: text/plain\r\n\r\nsee html", html]));
    let attached = "Content-Type: text/x-note; name=k.txt\r\nContent-Disposition: attachment\r\n\r\nknock abcdef";
    has_knock(multipart("mixed", &["\r\nhello", attached]));
    let forwarded = "Content-Type: message/rfc822\r\n\r\nSubject: fwd\r\n\r\nknock abcdef";
    has_knock(multipart("mixed", &["\r\nhello", forwarded]));
    let encoded = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        U3ViamVjdDoga25vY2sgYWJjZGVmDQoNCg==";
    has_knock(multipart("mixed", &["\r\nhello", encoded]));
    has_knock(multipart("digest", &["\r\nSubject: one\r\n\r\nfirst", "\r\nSubject: two\r\n\r\nknock abcdef"]));
    has_knock(multipart("mixed", &["\r\nknock abcdef", "\r\n_______\r\nlist footer"]));
    has_knock(multipart("mixed", &["\r\nknock abcdef"]).replace("--b--\r\nend", ""));
}

#[test]
fn images_are_not_looked_at() {
    let image = "Content-Type: image/png\r\n\r\nknock abcdef";
    assert_eq!(texts(multipart("mixed", &["\r\nhello", image]).as_bytes()), ["hello\n"]);
}

/// Texts have to be short and there in a moment.
#[track_caller]
fn is_bounded(mail: &[u8]) {
    let begin = Instant::now();
    let length: usize = texts(mail).iter().map(String::len).sum();
    assert!(length <= ALL_TEXTS && begin.elapsed().as_secs() < 5, "{length} bytes, {:?}", begin.elapsed());
}

#[test]
fn bombs_cost_little() {
    is_bounded("Content-Type: message/rfc822\n\n".repeat(100_000).as_bytes());
    let nested: String =
        (0..1000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    is_bounded(nested.as_bytes());
    is_bounded(format!("{}{nested}", mail("", "")).as_bytes());
    let same = "--b\nContent-Type: multipart/mixed; boundary=b\n\n".repeat(10_000);
    is_bounded(mail("Content-Type: multipart/mixed; boundary=b\n", &same).as_bytes());
    is_bounded(multipart("digest", &["\nContent-Type: multipart/digest; boundary=b\n\n"; 5000]).as_bytes());
    is_bounded("X: y\n".repeat(1_000_000).as_bytes());
    is_bounded(mail(&"Subject: knock\n".repeat(20_000), "x").as_bytes());
    is_bounded(mail(&format!("Content-Type: text/plain; {}", "a=b; ".repeat(50_000)), "x").as_bytes());
    is_bounded(mail(&format!("Content-Type: text/plain; {}\r\n", "a*1*=(((;".repeat(5_000)), "x").as_bytes());
    is_bounded(mail("Content-Type: text/html\r\n", &"<a <b &lt <!-- ".repeat(1 << 20)).as_bytes());
    is_bounded(mail("Content-Type: text/html\r\n", &"<".repeat(50 << 20)).as_bytes());
    is_bounded(mail(&format!("Subject: {}\r\n", "=?utf-8?Q?".repeat(5_000)), "x").as_bytes());
    is_bounded(&vec![b'\n'; 300 << 10]);
    is_bounded(&vec![0xff; 50 << 20]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        texts(&bytes);
    }

    /// Mails that are nearly right go deeper.
    #[test]
    fn any_pieces_are_read_without_panic(pieces in prop::collection::vec(0_usize..PIECES.len(), 0..60)) {
        texts(pieces.iter().map(|piece| PIECES[*piece]).collect::<String>().as_bytes());
    }
}

const PIECES: [&str; 24] = [
    "From: a\n",
    "Subject: ",
    "=?utf-8?B?",
    "?=",
    "Content-Type: ",
    "multipart/mixed; boundary=",
    "b",
    "\"",
    "--b",
    "--",
    "\n",
    "\r\n",
    "text/html",
    "text/plain; format=flowed",
    "; delsp=yes",
    "; charset=utf-7",
    "Content-Transfer-Encoding: base64\n",
    "Content-Transfer-Encoding: quoted-printable\n",
    "message/rfc822",
    "+AGE-",
    "=3D=",
    "> ",
    "<p>&#x0;<!--",
    "\u{a0}",
];
