//! RSS and Atom: each entry is a text of its own.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::Texts;
use super::html::{self, Reading};

/// The texts of a feed, and those outside of its entries.
pub(crate) fn texts(xml: &str) -> Texts {
    let mut reader = Reader::from_str(xml);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut out = Texts::default();
    let mut reading = Reading::default();
    // What stands between two tags: HTML, most often with its marks escaped.
    let mut piece = String::new();
    let mut is_feed = false;
    loop {
        let Ok(event) = reader.read_event() else {
            out.broken = true;
            // What ends the reading may be somebody's entry.
            let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            out.texts.extend(html::texts(xml.get(at..).unwrap_or_default()));
            break;
        };
        match event {
            Event::Text(text) => piece.push_str(&text),
            Event::CData(text) => piece.push_str(&text),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(letter)) => piece.push(letter),
                Ok(None) | Err(_) => match name.as_ref() {
                    "lt" => piece.push('<'),
                    "gt" => piece.push('>'),
                    "amp" => piece.push('&'),
                    "quot" => piece.push('"'),
                    "apos" => piece.push('\''),
                    // One of HTML's, which is known there.
                    name => piece.push_str(&format!("&{name};")),
                },
            },
            Event::Start(tag) | Event::Empty(tag) => {
                reading.read(&std::mem::take(&mut piece));
                is_feed |= matches!(tag.local_name().as_ref(), "rss" | "feed" | "RDF");
                if is_entry(tag.local_name().as_ref()) {
                    out.texts.extend(std::mem::take(&mut reading).texts());
                }
                reading.tag(tag.local_name().as_ref().as_bytes());
                links(&tag, &mut reading);
            }
            Event::End(tag) => {
                reading.read(&std::mem::take(&mut piece));
                reading.tag(tag.local_name().as_ref().as_bytes());
                if is_entry(tag.local_name().as_ref()) {
                    out.texts.extend(std::mem::take(&mut reading).texts());
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    reading.read(&piece);
    out.texts.extend(reading.texts());
    out.broken |= !is_feed;
    out
}

fn is_entry(name: &str) -> bool {
    matches!(name, "item" | "entry")
}

fn links(tag: &BytesStart<'_>, reading: &mut Reading) {
    // To look for the same name twice would take time by the square of their number.
    for attribute in tag.attributes().with_checks(false).flatten() {
        if matches!(attribute.key.local_name().as_ref(), "href" | "title" | "alt") {
            reading.attribute(&attribute.value);
        }
    }
}
