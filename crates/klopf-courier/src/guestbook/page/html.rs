//! HTML of any kind, as a stream of tags: no tree is built, so depth costs nothing.

use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

/// Tags within a line; any other one begins a new line.
const INLINE: [&str; 35] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "nobr", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub",
    "sup", "tt", "u", "var",
];
/// Attributes that may hold text: books make links of what people write.
const ATTRIBUTES: [&str; 6] = ["href", "title", "alt", "content", "value", "cite"];

/// The visible text of a page, and then that of its attributes.
pub(crate) fn texts(html: &str) -> Vec<String> {
    let mut reading = Reading::default();
    reading.read(html);
    reading.texts()
}

/// Reads pieces of HTML one after another; what is left open in one does not reach into the next.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    text: String,
    attributes: String,
}

impl Reading {
    pub(crate) fn read(&mut self, html: &str) {
        if !html.contains(['<', '&']) {
            self.text.push_str(html);
            return;
        }
        // What is inside of these is not shown.
        let mut hidden = false;
        let mut wanted = false;
        let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| -> Option<()> {
            match event {
                CallbackEvent::OpenStartTag { name } => {
                    hidden = is_hidden(name);
                    self.tag(name);
                }
                CallbackEvent::EndTag { name } => {
                    hidden = false;
                    self.tag(name);
                }
                CallbackEvent::AttributeName { name } => {
                    wanted = ATTRIBUTES.iter().any(|attribute| attribute.as_bytes() == name);
                }
                CallbackEvent::AttributeValue { value } if wanted => self.attribute(&String::from_utf8_lossy(value)),
                CallbackEvent::String { value } if !hidden => self.text.push_str(&String::from_utf8_lossy(value)),
                _ => {}
            }
            None
        });
        emitter.naively_switch_states(true);
        let Ok(()) = Tokenizer::new_with_emitter(html, emitter).collect::<Result<(), Infallible>>();
    }

    /// What a tag does to the text around it. A space within a line harms nothing, and without one what stands in
    /// two columns could become one word.
    pub(crate) fn tag(&mut self, name: &[u8]) {
        match name {
            b"wbr" => {}
            b"br" => self.text.push('\n'),
            name if INLINE.iter().any(|inline| inline.as_bytes() == name) => self.text.push(' '),
            _ => self.text.push_str("\n\n"),
        }
    }

    pub(crate) fn attribute(&mut self, value: &str) {
        self.attributes.push_str(value);
        self.attributes.push_str("\n\n");
    }

    /// The visible text, and then that of the attributes.
    pub(crate) fn texts(self) -> Vec<String> {
        [self.text, self.attributes].into_iter().filter(|text| !text.trim().is_empty()).collect()
    }
}

fn is_hidden(name: &[u8]) -> bool {
    matches!(name, b"script" | b"style" | b"iframe" | b"noembed" | b"noframes")
}
