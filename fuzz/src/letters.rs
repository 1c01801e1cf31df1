//! Mails and guestbooks: what is found in texts, the texts of mails and pages, and what courier, watch and keeper say to each other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use klopf_brief::{Answer, Brief, Format, Offer, Report, Secret, What};
use klopf_courier::texts;
use klopf_wire::text::{self, Found, LENGTHS, Language, Shape};

const SHAPES: [Shape; 4] =
    [Shape::Plain, Shape::Words, Shape::Prose(Language::English), Shape::Prose(Language::German)];
const FORMATS: [Format; 5] = [Format::Auto, Format::Html, Format::Feed, Format::Json, Format::Text];
const TYPES: [Option<&str>; 8] = [
    None,
    Some("text/html; charset=utf-8"),
    Some("application/rss+xml"),
    Some("application/json"),
    Some("text/plain; charset=iso-8859-1"),
    Some("text/html; charset=utf-16le"),
    Some("text/plain; charset=shift_jis"),
    Some("application/octet-stream"),
];
/// What may break a line of base32.
const BREAKS: [&str; 8] = ["", "\n", "-\r\n", " > ", "\n> > ", "\u{a0}", "=\n", "&shy;"];

/// Searches the input as a text, and as what stands around a body; whether something is in it as it is.
///
/// The body is made of the first bytes: which length and shape, how it is broken and how far it is from the beginning, and then its own.
pub fn text(input: &[u8]) -> bool {
    let found = searched(&String::from_utf8_lossy(input));
    let Some((&[which, how, place], rest)) = input.split_first_chunk::<3>() else { return found };
    let Some((body, rest)) = rest.split_at_checked(LENGTHS[usize::from(which) % LENGTHS.len()]) else { return found };
    let shape = SHAPES[usize::from(how) % SHAPES.len()];
    let broken = BREAKS[usize::from(how >> 2) % BREAKS.len()];
    let around = String::from_utf8_lossy(rest);
    let at = around.char_indices().map(|(at, _)| at).nth(place.into()).unwrap_or_default();
    let (before, after) = around.split_at(at);
    let text = text::write(body, shape, &mut |out| out.fill(place)).expect("a right length");
    let text = match shape {
        Shape::Plain => {
            text.chars().zip(1..).map(|(c, nth)| format!("{c}{}", if nth % 29 == 0 { broken } else { "" })).collect()
        }
        Shape::Words | Shape::Prose(_) => text.replace(' ', &format!(" {broken}")),
    };
    // Words of the list before it would be its own, and so would pieces of a line be.
    let hidden = format!("{before}, {text}, {after}");
    assert!(text::find(&hidden).any(|found| found.body == body), "{shape:?} in {hidden:?}");
    found
}

/// Holds for each text that is searched; whether something is found.
fn searched(text: &str) -> bool {
    let all: Vec<Found> = text::find(text).collect();
    // The shortest is of 21 characters. A line of base32 can be several, each from another of its pieces.
    assert!(all.len() <= 2 + text.len() / 2, "{} in {} bytes", all.len(), text.len());
    let different: BTreeSet<(&[u8], Option<IpAddr>)> = all.iter().map(|found| (&*found.body, found.address)).collect();
    assert_eq!(different.len(), all.len(), "each once");
    for Found { body, address } in &all {
        assert!(LENGTHS.contains(&body.len()) && (address.is_none() || body.len() == 11));
    }
    for (found, shape) in all.iter().take(4).flat_map(|found| SHAPES.map(|shape| (found, shape))) {
        let again = text::write(&found.body, shape, &mut |out| out.fill(0)).expect("a right length");
        assert!(text::find(&again).any(|other| other.body == found.body), "{again}");
    }
    if let Some(one) = text::read(text) {
        assert!(all.contains(&one) || one.body.len() == 11);
    }
    !all.is_empty()
}

/// Reads the input as a mail; whether there is a body in it.
pub fn mail(input: &[u8]) -> bool {
    let texts = texts::of_mail(input);
    assert!(texts.iter().map(String::len).sum::<usize>() <= 2 << 20);
    assert!(texts.iter().all(|text| !text.contains(['\r', '\u{200b}', '\u{ad}', '\u{a0}'])), "blanks are blanks");
    any_found(&texts)
}

/// Reads the input as a page, in each format and with the type that its first byte chooses; whether there is a body in it.
pub fn page(input: &[u8]) -> bool {
    let Some((&how, page)) = input.split_first() else { return false };
    let content_type = TYPES[usize::from(how) % TYPES.len()];
    FORMATS.into_iter().fold(false, |any, format| {
        let texts = texts::of_page(page, content_type, format);
        // Three bytes for one that cannot be read; and a tag is a line end or two.
        let length: usize = texts.iter().map(String::len).sum();
        assert!(length <= 4 * page.len() + 8, "{length} of {} in {format:?}", page.len());
        any_found(&texts) || any
    })
}

fn any_found(texts: &[String]) -> bool {
    texts.iter().filter(|text| text::find(text).next().is_some()).count() > 0
}

/// Reads the input as an offer, an answer, a report and a brief; whether it is one of them.
pub fn brief(input: &[u8]) -> bool {
    let offer = Offer::decode(input).inspect(|offer| {
        assert_eq!(Offer::decode(&offer.encode()), Some(*offer));
        assert!(offer.body.bytes().len() <= klopf_brief::LONGEST_BODY);
    });
    let answer = Answer::decode(input).inspect(|answer| assert_eq!(Answer::decode(&answer.encode()), Some(*answer)));
    let report = Report::decode(input).inspect(|report| assert_eq!(Report::decode(&report.encode()), Some(*report)));
    let brief = str::from_utf8(input).ok().and_then(Brief::decode).inspect(|brief| {
        assert_eq!(Brief::decode(&brief.encode()).as_ref(), Some(brief));
        shows_no_password(brief.clone());
    });
    offer.is_some() || answer.is_some() || report.is_some() || brief.is_some()
}

fn shows_no_password(mut brief: Brief) {
    for source in &mut brief.sources {
        match &mut source.what {
            What::Imap(imap) => imap.password = Secret::from("nobody is to see this".to_owned()),
            What::Guestbook(book) => {
                assert!(book.allow_private.iter().all(|network| network.contains(network.address)));
            }
            What::Maildir(_) => {}
        }
    }
    assert!(!format!("{brief:?}").contains("nobody is to see this"));
}
