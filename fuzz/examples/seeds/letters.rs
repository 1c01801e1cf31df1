//! Texts, mails and pages with bodies in them, and what courier, watch and keeper say.

use std::io;
use std::net::IpAddr;

use data_encoding::BASE64_MIME;
use klopf_brief::{
    Answer, Body, Brief, Delivery, Format, Guestbook, Imap, Maildir, Network, Offer, Report, Secret, Source, State,
    Taken, Trouble, Verdict, What,
};
use klopf_wire::text::{self, LENGTHS, Language, Shape};

use super::write;

pub(super) fn write_all() -> io::Result<()> {
    for (name, text) in texts() {
        write("text", name, text.as_bytes())?;
    }
    // What stands around a body: which length and shape, the break, the place, the body, and the text.
    for (which, length) in (0..).zip(LENGTHS) {
        for shape in 0..4 {
            let how = shape | (((which + shape) % 8) << 2);
            let around = "Hello from Ada! ... <b>Best</b> wishes, 192.0.2.7".as_bytes();
            write("text", &format!("around_{length}_{shape}"), &[&[which, how, 20], &*body(length), around].concat())?;
        }
    }
    for (name, mail) in mails() {
        write("mail", name, mail.as_bytes())?;
    }
    for (name, how, page) in pages() {
        write("page", name, &[&[how], page.as_bytes()].concat())?;
    }
    for (name, bytes) in messages() {
        write("brief", name, &bytes)?;
    }
    Ok(())
}

/// One that looks random.
fn body(length: usize) -> Vec<u8> {
    (7_u8..).map(|at| at.wrapping_mul(151) ^ 0x5a).take(length).collect()
}

fn line(length: usize, shape: Shape) -> String {
    text::write(&body(length), shape, &mut |out| out.fill(0)).expect("a right length")
}

fn texts() -> Vec<(&'static str, String)> {
    let token = line(49, Shape::Plain);
    let (one, two) = token.split_at(40);
    let words = line(61, Shape::Words);
    let code = line(11, Shape::Words);
    vec![
        ("nothing", "Hello! A fine page, and <3 from all of us; 1 < 2 & so on.".to_owned()),
        ("nothing_at_all", String::new()),
        ("broken_line", format!("Hi,\n> {one}-\n> {two}\nAda")),
        ("soft_line_end", format!("{one}=\r\n{two}")),
        ("double_escaped", format!("&lt;p&gt;{one}&amp;shy;{two}&lt;br/&gt;&amp;amp;uuml;")),
        ("half_a_tag_around", format!("<a {one}\n{two} >")),
        ("words", words.replace(' ', ", ")),
        ("words_numbered", words.split(' ').zip(1..).map(|(word, number)| format!("{number}. {word}\n")).collect()),
        ("code_and_address", format!("{code} for 192.0.2.7.")),
        ("address_and_code", format!("[2001:db8::7]:22 {}", line(11, Shape::Plain))),
        ("code_without_address", code.to_uppercase()),
        ("english", line(70, Shape::Prose(Language::English))),
        ("german", line(82, Shape::Prose(Language::German)).replace('ü', "u\u{308}").replace('ä', "&auml;")),
        ("two", format!("{} {}", line(61, Shape::Plain), line(49, Shape::Prose(Language::German)))),
        ("full_width", token.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xfee0)).collect()),
        ("a_changed_letter", token.replacen(|c| c != 'a', "a", 1)),
    ]
}

fn mails() -> Vec<(&'static str, String)> {
    let token = line(61, Shape::Plain);
    let (one, two) = token.split_at(60);
    let prose = line(49, Shape::Prose(Language::German));
    let mail = |head: &str, text: &str| {
        format!(
            "From: ada@example.org\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMIME-Version: 1.0\r\n{head}\r\n{text}\r\n"
        )
    };
    let html = format!("Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hi<br>{one}<wbr>{two}</p>");
    let parts = |kind: &str, parts: &[&str]| {
        let parts: String = parts.iter().map(|part| format!("--b\r\n{part}\r\n")).collect();
        mail(&format!("Content-Type: multipart/{kind}; boundary=\"b\"\r\n"), &format!("old\r\n{parts}--b--\r\n"))
    };
    vec![
        ("subject", mail(&format!("Subject: {one}\r\n {two}\r\n"), "")),
        ("encoded_subject", mail(&format!("Subject: =?utf-8?Q?{one}?=\r\n =?utf-8?Q?{two}?=\r\n"), "see above")),
        ("plain", mail("", &format!("Hi\r\n\r\n{one}\r\n{two}\r\n-- \r\nAda"))),
        ("reply", mail("Subject: Re: x\r\n", &format!("On Monday Bob wrote:\r\n> > {one}\r\n> > {two}"))),
        ("flowed", mail("Content-Type: text/plain; format=flowed; delsp=yes\r\n", &format!("> {one} \r\n> {two}"))),
        (
            "quoted_printable",
            mail(
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n",
                &prose
                    .to_lowercase()
                    .replace('ä', "=E4")
                    .replace('ö', "=F6")
                    .replace('ü', "=FC")
                    .replace('ß', "=DF")
                    .replace(" i", " =\r\ni"),
            ),
        ),
        (
            "base64",
            mail(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
                &BASE64_MIME.encode(prose.as_bytes()),
            ),
        ),
        ("alternative", parts("alternative", &["Content-Type: text/plain\r\n\r\nsee html", &html])),
        (
            "forwarded",
            parts("mixed", &["\r\nhello", &format!("Content-Type: message/rfc822\r\n\r\nSubject: fwd\r\n\r\n{token}")]),
        ),
        ("digest", parts("digest", &["\r\nSubject: one\r\n\r\nfirst", &format!("\r\nSubject: two\r\n\r\n{token}")])),
        (
            "image",
            parts("mixed", &["Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo="]),
        ),
        ("parts_in_parts", "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(40)),
        ("mails_in_mails", "Content-Type: message/rfc822\n\n".repeat(40)),
        ("utf_7", mail("Content-Type: text/plain; charset=utf-7\r\n", "+AGE-+AGI-")),
        ("no_mail", format!("{one}\n{two}")),
    ]
}

fn pages() -> Vec<(&'static str, u8, String)> {
    let token = line(70, Shape::Plain);
    let (one, two) = token.split_at(40);
    let words = line(49, Shape::Words).replace(' ', "&nbsp;<i>x</i>").replace("<i>x</i>", "<i></i>");
    let prose = line(61, Shape::Prose(Language::German));
    vec![
        (
            "html",
            1,
            format!("<!DOCTYPE html><title>Book</title><style>p{{}}</style><p>Hi {one}<wbr>{two}<br>{words}</p>"),
        ),
        ("html_link", 1, format!("<p><a href='https://e.example/{token}'>https://e.exa&hellip;</a>")),
        ("html_unclosed", 0, format!("<table><td>{one}<td>{two}<!-- <p x='&lt")),
        ("latin_1", 4, "Sch\u{f6}n".to_owned()),
        ("declared", 0, format!("<meta charset=windows-1252><p>{token}")),
        (
            "rss",
            2,
            format!(
                "<?xml version='1.0'?><rss><channel><item><description>&lt;p&gt;{one}&lt;br&gt;{two}&lt;/p&gt;</description></item></channel></rss>"
            ),
        ),
        (
            "atom",
            2,
            format!(
                "<feed xmlns='http://www.w3.org/2005/Atom'><entry><content type='html'><![CDATA[<p>{prose}</p>]]></content></entry></feed>"
            ),
        ),
        ("feed_entities", 2, "<!DOCTYPE x [<!ENTITY x '&x;&x;'>]><rss>&x;&#0;&#x110000;</rss>".to_owned()),
        (
            "mastodon",
            3,
            format!("[{{\"id\":\"1\",\"content\":\"<p>{one}<br />{two}\\u003c/p>\",\"account\":{{\"note\":null}}}}]"),
        ),
        (
            "json_feed",
            3,
            format!(
                "{{\"version\":\"https://jsonfeed.org/version/1.1\",\"items\":[{{\"content_text\":\"{prose}\"}}]}}"
            ),
        ),
        ("json_deep", 3, "[".repeat(200)),
        ("text", 4, format!("Ada, 12:01\n> {one}\n> {two}\n")),
        ("no_text", 7, "\u{0}\u{1}\u{fffd}".to_owned()),
    ]
}

fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let offer = |length, address| {
        let body = Body::new(&body(length)).expect("short enough");
        Offer { number: 7, source: 3, body, address }.encode().to_vec()
    };
    let report =
        Report { state: State::Failing, trouble: Some(Trouble::HttpStatus), detail: 503, ..Report::starting(3) };
    let whole = Brief { sources: sources() }.encode();
    vec![
        ("offer", offer(61, None)),
        ("offer_code4", offer(11, Some(address("192.0.2.7")))),
        ("offer_code6", offer(11, Some(address("2001:db8::7")))),
        ("offer_cut", offer(49, None)[..127].to_vec()),
        ("answer", Answer::To(7, Verdict::Taken).encode().to_vec()),
        ("answer_again", Answer::Again.encode().to_vec()),
        ("answer_unknown", vec![1, 9, 0, 0, 0, 0, 0, 0]),
        ("report", report.encode().to_vec()),
        ("report_starting", Report::starting(1).encode().to_vec()),
        ("report_unknown_trouble", [&report.encode()[..3], &[0xff; 45]].concat()),
        ("brief", whole.as_bytes().to_vec()),
        ("brief_cut", whole.as_bytes()[..whole.len() / 2].to_vec()),
        ("brief_empty", br#"{"sources":[]}"#.to_vec()),
    ]
}

fn sources() -> Vec<Source> {
    let imap = Imap {
        host: "mail.example".to_owned(),
        port: 993,
        delivery: Delivery::Tls,
        user: "ada".to_owned(),
        password: Secret::from("a password".to_owned()),
        folder: "INBOX".to_owned(),
        taken: Taken::Move("Knocks".to_owned()),
        require_dkim: vec!["example.org".to_owned()],
        every_ms: 60_000,
        ca: None,
    };
    let maildir =
        Maildir { path: "/var/spool/klopf".to_owned(), taken: Taken::Delete, require_dkim: Vec::new(), drop_box: true };
    let guestbook = Guestbook {
        url: "https://example.org/guestbook".to_owned(),
        format: Format::Auto,
        every_ms: 60_000,
        user_agent: None,
        insecure: false,
        allow_private: vec![Network { address: [127, 0, 0, 1].into(), prefix: 8 }],
        ca: Some("-----BEGIN CERTIFICATE-----".to_owned()),
    };
    let all = [What::Imap(imap), What::Maildir(maildir), What::Guestbook(guestbook)];
    (1..).zip(all).map(|(id, what)| Source { id, name: format!("s{id}"), what }).collect()
}
