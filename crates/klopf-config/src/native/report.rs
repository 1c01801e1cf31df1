//! Faults collected while a document is walked.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::fault::{MAX_FAULTS, escaped, place};
use crate::suggest::{listed, nearest};
use crate::{Fault, Level};

pub(super) type Key<'a> = Spanned<DeString<'a>>;
pub(super) type Value<'a> = Spanned<DeValue<'a>>;
pub(super) type Entry<'t, 'a> = (&'t Key<'a>, &'t Value<'a>);

/// What is wrong and what to do.
pub(super) struct Wrong {
    pub(super) text: String,
    pub(super) help: String,
}

impl Wrong {
    pub(super) fn new(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { text: text.into(), help: help.into() }
    }
}

/// The faults and warnings of one document.
pub(super) struct Report<'s> {
    file: &'s str,
    source: &'s str,
    found: Vec<(usize, Fault)>,
    /// Lines, from 1, that are not TOML: what else seems wrong in them is not said.
    broken: Vec<usize>,
    /// The last line with an element too many for its list, while such lines follow one another.
    unclosed: Option<usize>,
}

impl<'s> Report<'s> {
    pub(super) fn new(file: &'s str, source: &'s str) -> Self {
        Self { file, source, found: Vec::new(), broken: Vec::new(), unclosed: None }
    }

    /// The text is not TOML here.
    pub(super) fn syntax(&mut self, span: Range<usize>, text: &str) {
        let text = text.trim_end_matches(", expected literal string");
        let in_list = text.starts_with("missing comma between array elements");
        let help = match text {
            "duplicate key" => "remove one of the two",
            _ if in_list => "separate the elements by commas, and close the list with `]`",
            _ => "write `key = value`, texts in double quotes, lists in square brackets",
        };
        let line = place(self.source, &span).0;
        // A list that is not closed makes every line behind it wrong.
        let follows = in_list && self.unclosed.is_some_and(|last| line <= last + 2);
        if !follows && !self.broken.contains(&line) {
            self.fault(span, Wrong::new(text, help));
        }
        self.unclosed = in_list.then_some(line);
        self.broken.push(line);
    }

    /// Something is not there; in a document that is not TOML it may well be.
    pub(super) fn missing(&mut self, span: Range<usize>, wrong: Wrong) {
        if self.broken.is_empty() {
            self.fault(span, wrong);
        }
    }

    pub(super) fn fault(&mut self, span: Range<usize>, wrong: Wrong) {
        self.add(Level::Error, span, wrong);
    }

    pub(super) fn warn(&mut self, span: Range<usize>, wrong: Wrong) {
        self.add(Level::Warning, span, wrong);
    }

    /// The value, or a fault at its place.
    pub(super) fn checked<T>(&mut self, span: Range<usize>, value: Result<T, Wrong>) -> Option<T> {
        value.map_err(|wrong| self.fault(span, wrong)).ok()
    }

    /// A value of the wrong type. `example` is a whole value.
    pub(super) fn mistyped(&mut self, key: &str, value: &Value<'_>, wanted: &str, example: &str) {
        let found = match value.get_ref() {
            DeValue::Integer(_) => "an integer",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
            DeValue::String(_) => "a string",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
        };
        let text = format!("`{key}` must be {wanted}, not {found}");
        self.fault(value.span(), Wrong::new(text, format!("write it like `{key} = {example}`")));
    }

    pub(super) fn unknown_key(&mut self, key: &Key<'_>, place: &str, known: &[&str]) {
        let help = match nearest(key.get_ref(), known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the keys here are {}", listed(known)),
        };
        self.fault(key.span(), Wrong::new(format!("unknown key `{}` in {place}", key.get_ref()), help));
    }

    /// A text without NUL, which neither paths nor arguments can hold.
    pub(super) fn string<'v>(&mut self, key: &str, value: &'v Value<'_>, example: &str) -> Option<&'v str> {
        let Some(text) = value.get_ref().as_str() else {
            self.mistyped(key, value, "a string", example);
            return None;
        };
        if text.contains('\0') {
            self.fault(value.span(), Wrong::new(format!("`{key}` holds a NUL character"), "remove `\\u0000`"));
            return None;
        }
        Some(text)
    }

    /// A whole number of `least` to `most`. `example` is one.
    pub(super) fn integer<N: TryFrom<i64>>(
        &mut self,
        key: &str,
        value: &Value<'_>,
        (least, most): (i64, i64),
        example: &str,
    ) -> Option<N> {
        let Some(number) = value.get_ref().as_integer() else {
            self.mistyped(key, value, "an integer", example);
            return None;
        };
        let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|n| (least..=most).contains(n)).and_then(|n| n.try_into().ok());
        if number.is_none() {
            let wrong = Wrong::new(format!("`{key}` is {least} to {most}"), "write another number, or remove the line");
            self.fault(value.span(), wrong);
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.mistyped(key, value, "true or false", "true");
        }
        boolean
    }

    /// One of two words.
    pub(super) fn choice<T>(&mut self, key: &str, value: &Value<'_>, choices: [(&str, T); 2]) -> Option<T> {
        let [(one, _), (other, _)] = choices;
        let text = self.string(key, value, &format!("\"{one}\""))?;
        let help = format!("write `{one}` or `{other}`");
        let choice = choices.into_iter().find(|(word, _)| *word == text).map(|(_, choice)| choice);
        self.checked(value.span(), choice.ok_or_else(|| Wrong::new(format!("`{key}` cannot be `{text}`"), help)))
    }

    /// The elements of a list.
    pub(super) fn list<'v, 'a>(
        &mut self,
        key: &str,
        value: &'v Value<'a>,
        example: &str,
    ) -> Option<Vec<&'v Value<'a>>> {
        let DeValue::Array(array) = value.get_ref() else {
            self.mistyped(key, value, "a list", example);
            return None;
        };
        Some(array.iter().collect())
    }

    /// Faults and warnings, each in file order. What is not TOML may hold what a warning misses, so there are none then.
    pub(super) fn finish(mut self) -> (Vec<Fault>, Vec<Fault>) {
        self.found.retain(|(_, fault)| fault.level == Level::Error || self.broken.is_empty());
        self.found.sort_by_key(|(start, _)| *start);
        self.found.into_iter().map(|(_, fault)| fault).partition(|fault| fault.level == Level::Error)
    }

    fn add(&mut self, level: Level, span: Range<usize>, wrong: Wrong) {
        if self.found.iter().filter(|(_, fault)| fault.level == level).count() >= MAX_FAULTS {
            return;
        }
        let (line, column, excerpt, width) = place(self.source, &span);
        if self.broken.contains(&line) {
            return;
        }
        let (text, help, file) = (escaped(&wrong.text), escaped(&wrong.help), escaped(self.file));
        self.found.push((span.start, Fault { level, file, line, column, text, help, excerpt, width }));
    }
}

/// Keys and values in file order.
pub(super) fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<Entry<'t, 'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
