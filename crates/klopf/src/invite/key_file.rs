//! What is written into the file of a key.

use std::fmt::Write as _;

use data_encoding::BASE32_NOPAD;
use klopf_config::native::moment_text;
use klopf_spa::{Psk, Public};
use zeroize::Zeroizing;

use super::options::{End, Options, Valid};

/// Room for it, so that no copy of a secret is left behind where it was too small; long lists of terms have none.
const ROOM: usize = 8192;

/// The text. `now` is in seconds since 1970; the terms are as they were typed, and not checked.
pub(super) fn text(
    options: &Options,
    public: &Public,
    psk: &Psk,
    totp: Option<&[u8; 20]>,
    now: u64,
) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(ROOM));
    let mut line = |key: &str, value: &str| {
        for part in [key, " = ", value, "\n"] {
            text.push_str(part);
        }
    };
    line("public", &quoted(&public.text()));
    line("psk", &Zeroizing::new(quoted(&psk.text())));
    if let Some(secret) = totp {
        line("totp", &Zeroizing::new(quoted(&Zeroizing::new(BASE32_NOPAD.encode(secret)))));
    }
    line("doors", &listed(options.doors.iter().map(|door| &**door)));
    if let Valid::For(time) = options.valid {
        line("join-before", &moment_text(now.saturating_add(time.as_secs())));
    }
    if !options.reusable {
        line("once", "true");
    }
    match &options.expires {
        Some(End::After(time)) => line("expires", &moment_text(now.saturating_add(time.as_secs()))),
        Some(End::At(moment)) => line("expires", moment),
        None => {}
    }
    if let Some(most) = options.max_uses {
        line("max-uses", &most.to_string());
    }
    if let Some(time) = &options.max_open_for {
        line("max-open-for", &quoted(time));
    }
    for (key, values) in [("networks", &options.networks), ("hours", &options.hours)] {
        if !values.is_empty() {
            line(key, &listed(values.iter().map(String::as_str)));
        }
    }
    if options.no_clock {
        line("no-clock", "true");
    }
    with_remark(&format!("Made by klopf invite, {}.", moment_text(now)), &text)
}

/// A key that opens nothing any more, and whose name is still there.
pub(super) fn ended(public: &Public, psk: &Psk, now: u64) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(ROOM));
    for part in ["public = \"", &public.text(), "\"\npsk = \"", &psk.text(), "\"\nexpires = 1970-01-01T00:00:01Z\n"] {
        text.push_str(part);
    }
    with_remark(&format!("Ended by klopf uninvite, {}; a door of klopf.toml still names it.", moment_text(now)), &text)
}

fn with_remark(remark: &str, text: &str) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(text.len() + remark.len() + 3));
    for part in ["# ", remark, "\n", text] {
        whole.push_str(part);
    }
    whole
}

/// A string in TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn listed<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<String> = texts.map(quoted).collect();
    format!("[{}]", all.join(", "))
}
