//! `on-open` and `on-close`: what a door runs.

use std::time::Duration;

use super::doors::{LONGEST_OPEN, Place};
use super::report::{Report, Value, Wrong, in_order};
use super::{Door, values};
use crate::suggest::nearest;

const EXAMPLE: &str = r#"["/usr/bin/logger", "open for {ip}"]"#;
const KEYS: [&str; 2] = ["run", "after"];
const PLACEHOLDERS: [&str; 10] = ["ip", "addr", "door", "key", "port", "for", "flag0", "flag1", "flag2", "flag3"];
const MOST: usize = 16;

/// A command of a door, and when it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The program, by an absolute path, and its arguments, with placeholders.
    pub run: Vec<String>,
    /// How long after the opening, or the closing; 0 unless written, at most 30 d.
    pub after: Duration,
}

/// One command, or several; what has a fault is left out.
pub(super) fn read(key: &str, list: &Value<'_>, place: &mut Place, report: &mut Report<'_>) -> Vec<Action> {
    if list.get_ref().as_str().is_some() {
        let text = format!("`{key}` must be a list, for no shell takes it apart");
        report.fault(list.span(), Wrong::new(text, format!("write it like `{key} = {EXAMPLE}`")));
        return Vec::new();
    }
    let Some(elements) = report.list(key, list, EXAMPLE) else { return Vec::new() };
    let several = |value: &&Value<'_>| value.get_ref().is_array() || value.get_ref().is_table();
    if !elements.first().is_some_and(several) {
        let run = command(key, list, place, report);
        return run.into_iter().map(|run| Action { run, after: Duration::ZERO }).collect();
    }
    if let Some(first) = elements.get(MOST) {
        let help = "write a script that runs them, and run that";
        report.fault(first.span(), Wrong::new(format!("`{key}` has more than {MOST} commands"), help));
        return Vec::new();
    }
    elements.into_iter().filter_map(|element| action(key, element, place, report)).collect()
}

fn action(key: &str, value: &Value<'_>, place: &mut Place, report: &mut Report<'_>) -> Option<Action> {
    let Some(table) = value.get_ref().as_table() else {
        if value.get_ref().as_str().is_some() {
            let text = format!("each command of `{key}` is a list of its own");
            report.fault(value.span(), Wrong::new(text, format!("write it like `{key} = [{EXAMPLE}, ...]`")));
            return None;
        }
        return command(key, value, place, report).map(|run| Action { run, after: Duration::ZERO });
    };
    let (mut run, mut after, mut written) = (None, Duration::ZERO, false);
    let opens = key == "on-open";
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            "run" => {
                written = true;
                run = command("run", value, place, report);
            }
            "after" => {
                let text = report.string("after", value, r#""10s""#);
                let time = text.and_then(|text| report.checked(value.span(), values::duration(text, LONGEST_OPEN)));
                after = time.unwrap_or_default();
                if opens {
                    place.late.push((value.span(), after));
                }
            }
            other => {
                written |= nearest(other, &KEYS) == Some("run");
                report.unknown_key(key, "a command", &KEYS);
            }
        }
    }
    if !written {
        let help = format!("add what is run: `{{ run = {EXAMPLE}, after = \"10s\" }}`");
        report.missing(value.span(), Wrong::new("the command has no `run`", help));
    }
    run.map(|run| Action { run, after })
}

fn command(key: &str, list: &Value<'_>, place: &mut Place, report: &mut Report<'_>) -> Option<Vec<String>> {
    let elements = report.list(key, list, EXAMPLE)?;
    let Some(program) = elements.first() else {
        let wrong = Wrong::new(format!("`{key}` names no program"), format!("write it like `{key} = {EXAMPLE}`"));
        report.fault(list.span(), wrong);
        return None;
    };
    if program.get_ref().as_str().is_some_and(|path| !path.starts_with('/')) {
        let text = "the program must be an absolute path";
        report.fault(program.span(), Wrong::new(text, "begin it with `/`, e.g. `/usr/bin/logger`"));
    }
    let mut arguments = Vec::new();
    for element in elements {
        let Some(text) = report.string(key, element, EXAMPLE) else { continue };
        check_placeholders(text, element, place, report);
        arguments.push(text.to_owned());
    }
    Some(arguments)
}

/// Warns of `{...}` that is nearly a placeholder, and of what knockd takes for one; notes those that not every door fills in.
fn check_placeholders(text: &str, element: &Value<'_>, place: &mut Place, report: &mut Report<'_>) {
    if text.to_ascii_lowercase().contains("%ip%") {
        report.warn(element.span(), Wrong::new("`%IP%` is left as it is", "did you mean `{ip}`?"));
    }
    for piece in text.split('{').skip(1) {
        let Some((word, _)) = piece.split_once('}') else { continue };
        let meant = PLACEHOLDERS.iter().find(|known| known.eq_ignore_ascii_case(word)).copied();
        match meant.or_else(|| nearest(word, &PLACEHOLDERS)) {
            Some("key") if meant == Some(word) => place.key_words.push(element.span()),
            Some(known) if meant == Some(word) => place.words.push((known, element.span())),
            Some(meant) if meant != word => {
                let text = format!("`{{{word}}}` is left as it is");
                report.warn(element.span(), Wrong::new(text, format!("did you mean `{{{meant}}}`?")));
            }
            Some(_) | None => {}
        }
    }
}

/// Warns of placeholders that nothing fills in at the door, and of commands that it closes before.
pub(super) fn check(door: &Door, place: &Place, report: &mut Report<'_>) {
    let fields = door.encoded.map(|encoded| encoded.template.fields);
    // With a fault in it nobody knows what it has.
    let known = place.encoded.is_none() || fields.is_some();
    for (word, span) in place.words.iter().filter(|_| known) {
        let (there, field) = match *word {
            "port" => (fields.is_some_and(|fields| fields.port), "port"),
            word if word.starts_with("flag") => (fields.is_some_and(|fields| fields.flags), "flag"),
            _ => continue,
        };
        if !there {
            let text = format!("nobody who opens `{}` says what `{{{word}}}` is", door.name);
            let help =
                format!("an `encoded` sequence says it that has \"{field}\" among its `fields`; else leave it out");
            report.warn(span.clone(), Wrong::new(text, help));
        }
    }
    let Some(open_for) = door.open_for.filter(|_| door.may_ask.hold.is_none()) else { return };
    for (span, _) in place.late.iter().filter(|(_, after)| *after >= open_for) {
        let wrong = Wrong::new("the door has closed by then", "write less than `open-for`, or run it with `on-close`");
        report.warn(span.clone(), wrong);
    }
}
