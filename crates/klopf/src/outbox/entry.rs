//! Posting an entry to a guestbook, by HTTP.

use std::sync::Arc;
use std::time::Duration;

use klopf_config::client::{Entry, Guestbook, PLACEHOLDER};
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::Settings;
use crate::failure::{Failure, code};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a browser calls itself, more or less; some guestbooks take nothing else.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Posts a text; the guestbook has said that it took it when this returns.
pub(crate) fn post(book: &Guestbook, settings: &Settings, text: &str) -> Result<(), Failure> {
    let name = &book.name;
    let request = book
        .headers
        .iter()
        .fold(agent(book, settings)?.post(&book.url), |request, (field, value)| request.header(field, value));
    let answer = match &book.entry {
        Entry::Form(fields) => request.send_form(fields.iter().map(|(field, value)| (field, placed(value, text)))),
        Entry::Json(document) => {
            request.content_type("application/json").send(filled(document, text, book, settings)?.to_string())
        }
    };
    let status = match answer {
        Ok(answer) => answer.status().as_u16(),
        Err(error) => {
            let why = error.to_string().replace(char::is_control, " ");
            return Err(Failure::new(code::UNAVAILABLE, format_args!("the guestbook {name} did not take it: {why}")));
        }
    };
    match status {
        // Most send the browser back to the page. Other redirects say that it is to be posted elsewhere.
        200..=299 | 302 | 303 => Ok(()),
        _ => Err(Failure::new(code::UNAVAILABLE, format_args!("the guestbook {name} did not take it: HTTP {status}"))),
    }
}

fn agent(book: &Guestbook, settings: &Settings) -> Result<Agent, Failure> {
    let roots = match &book.ca_file {
        None => RootCerts::PlatformVerifier,
        Some(file) => {
            let pem = settings.certificates(file)?;
            let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            RootCerts::new_with_certs(&certificates)
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        // An entry goes where it is told to go, and nowhere else.
        .max_redirects(0)
        .max_redirects_will_error(false);
    Ok(config.build().new_agent())
}

fn placed(value: &str, text: &str) -> String {
    value.replace(PLACEHOLDER, text)
}

/// The document with the text in its place. It is put into the strings of the document, not into the writing of it.
fn filled(document: &str, text: &str, book: &Guestbook, settings: &Settings) -> Result<Value, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        let why = format_args!("{}: `json` of the guestbook {}: {why}", settings.path().display(), book.name);
        Failure::new(code::CONFIG, why)
    };
    let mut value: Value = serde_json::from_str(document).map_err(|error| wrong(&error))?;
    if fill(&mut value, text) { Ok(value) } else { Err(wrong(&"no text in it has a place for the entry, \"{text}\"")) }
}

/// Whether there was a place.
fn fill(value: &mut Value, text: &str) -> bool {
    match value {
        Value::String(string) => {
            let there = string.contains(PLACEHOLDER);
            *string = placed(string, text);
            there
        }
        // Each of them, not the first alone.
        Value::Array(values) => values.iter_mut().fold(false, |there, value| fill(value, text) | there),
        Value::Object(values) => values.values_mut().fold(false, |there, value| fill(value, text) | there),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_put_into_strings_and_ends_none() {
        let mut value =
            serde_json::from_str(r#"{"a": ["x {text}"], "{text}": 1, "b": {"c": "{text}{text}"}}"#).unwrap();
        assert!(fill(&mut value, "\"}, \\"));
        assert_eq!(value["a"][0], "x \"}, \\");
        assert_eq!((&value["b"]["c"], &value["{text}"]), (&"\"}, \\\"}, \\".into(), &1.into()));
        assert!(!fill(&mut serde_json::from_str(r#"{"{text}": null}"#).unwrap(), "x"));
    }
}
