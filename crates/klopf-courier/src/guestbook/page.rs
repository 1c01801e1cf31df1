//! From the bytes of a page to its texts.

mod charset;
mod feed;
pub(crate) mod html;
mod json;

use klopf_brief::Format;

/// What there is to read on a page: one text or several, in their order. What belongs to one body is in one text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) texts: Vec<String>,
    /// Whether the page ends before it is whole, or is in no such form; what could be read is there.
    pub(crate) broken: bool,
}

/// Reads a page. Total; takes time and memory in proportion to its length, however deep it is.
pub(crate) fn read(bytes: &[u8], content_type: Option<&str>, format: Format) -> Texts {
    let text = charset::decode(bytes, content_type);
    match form(format, content_type, &text) {
        Form::Html => Texts { texts: html::texts(&text), broken: false },
        Form::Feed => feed::texts(&text),
        Form::Json => json::texts(&text),
        Form::Text => Texts { texts: vec![text.into_owned()], broken: false },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Html,
    Feed,
    Json,
    Text,
}

/// What a page is: as configured, or as the server says if that is plain text or JSON, for whoever writes at the top of such a page
/// must not decide; else as it looks, for many servers say something wrong of the others.
fn form(format: Format, content_type: Option<&str>, text: &str) -> Form {
    let looks = looks(text);
    let says = says(content_type.unwrap_or_default(), text);
    let kind = kind(content_type.unwrap_or_default());
    match format {
        Format::Html => Form::Html,
        Format::Text => Form::Text,
        Format::Json => Form::Json,
        // A feed may be one in JSON.
        Format::Feed if looks == Some(Form::Json) => Form::Json,
        Format::Feed => Form::Feed,
        Format::Auto if kind.starts_with("text/plain") || kind.ends_with("json") => says,
        Format::Auto => looks.unwrap_or(says),
    }
}

fn looks(text: &str) -> Option<Form> {
    let start: String = text.trim_start().chars().take(1024).collect::<String>().to_ascii_lowercase();
    let begins = |with: &[&str]| with.iter().any(|with| start.starts_with(with));
    let has = |what: &[&str]| what.iter().any(|what| start.contains(what));
    if begins(&["<!doctype html", "<html"]) {
        return Some(Form::Html);
    }
    if begins(&["<?xml", "<rss", "<feed", "<rdf:rdf", "<!--"]) {
        if has(&["<html"]) {
            return Some(Form::Html);
        }
        return has(&["<rss", "<feed", "<rdf:rdf", ":feed"]).then_some(Form::Feed);
    }
    let mut signs = start.chars().filter(|sign| !sign.is_whitespace());
    let json = match (signs.next(), signs.next()) {
        (Some('{'), Some('"' | '}')) => true,
        (Some('['), Some(second)) => matches!(second, '{' | '[' | '"' | ']'),
        _ => false,
    };
    json.then_some(Form::Json)
}

fn kind(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn says(content_type: &str, text: &str) -> Form {
    match kind(content_type).as_str() {
        "text/html" | "application/xhtml+xml" => Form::Html,
        kind if kind.ends_with("json") => Form::Json,
        kind if kind.ends_with("xml") => Form::Feed,
        "text/plain" | "text/markdown" => Form::Text,
        _ if text.contains('<') => Form::Html,
        _ => Form::Text,
    }
}

#[cfg(test)]
mod tests;
