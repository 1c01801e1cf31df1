//! Faults collected while a document is walked.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::secrets;
use crate::fault::{MAX_FAULTS, escaped, place};
use crate::suggest::{listed, nearest};
use crate::{Fault, Level};

pub(super) type Key<'a> = Spanned<DeString<'a>>;
pub(super) type Value<'a> = Spanned<DeValue<'a>>;
pub(super) type Entry<'t, 'a> = (&'t Key<'a>, &'t Value<'a>);

/// More lines that are not TOML are not looked at.
const MOST_BROKEN: usize = 1000;

/// What is wrong and what to do.
pub struct Wrong {
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub help: String,
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
    is_key: bool,
    found: Vec<(usize, Fault)>,
    /// How much of each line may be shown.
    shown: Vec<Option<usize>>,
    /// Lines, from 1, that are not TOML: what else seems wrong in them is not said.
    broken: Vec<usize>,
    /// What stands below a header that is not TOML, and so seems to belong elsewhere.
    astray: Vec<Range<usize>>,
    /// The last line with an element too many for its list, while such lines follow one another.
    unclosed: Option<usize>,
}

impl<'s> Report<'s> {
    /// Of a `klopf.toml`, or of a file that is a key as a whole.
    pub(super) fn new(file: &'s str, source: &'s str, is_key: bool) -> Self {
        let shown = secrets::shown_of_lines(source, is_key);
        let (found, broken, astray) = (Vec::new(), Vec::new(), Vec::new());
        Self { file, source, is_key, found, shown, broken, astray, unclosed: None }
    }

    /// The file's name as given.
    pub(super) fn file(&self) -> &'s str {
        self.file
    }

    /// Whether the file could not be read as a whole, so that something may be there that is not known.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Says that nothing of the file is known, because of a fault.
    pub(super) fn unread(&mut self, span: Range<usize>, wrong: Wrong) {
        self.fault(span, wrong);
        self.broken.push(0);
    }

    /// How many faults there are, at most a hundred.
    pub(super) fn faults(&self) -> usize {
        self.found.iter().filter(|(_, fault)| fault.level == Level::Error).count()
    }

    /// Whether more warnings would be left out.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() - self.faults() >= MAX_FAULTS
    }

    /// The text is not TOML here; `document` is what can be read of it.
    pub(super) fn syntax(&mut self, span: Range<usize>, text: &str, document: &DeTable<'_>) {
        let text = text.trim_end_matches(", expected literal string");
        if self.broken.len() >= MOST_BROKEN {
            return;
        }
        let in_list = text.starts_with("missing comma between array elements");
        let help = match text {
            "duplicate key" => match self.line_before(&span, document) {
                Some(line) => format!("remove one of the two; the first is in line {line}"),
                None => "remove one of the two".to_owned(),
            },
            _ if in_list => "separate the elements by commas, and close the list with `]`".to_owned(),
            _ => "write `key = value`, texts in double quotes, lists in square brackets".to_owned(),
        };
        let line = place(self.source, &span).0;
        // A list that is not closed makes every line behind it wrong.
        let follows = in_list && self.unclosed.is_some_and(|last| line <= last + 2)
            || text == "duplicate key" && self.is_astray(&span);
        if !follows && !self.broken.contains(&line) {
            self.fault(span.clone(), Wrong::new(text, help));
        }
        self.unclosed = in_list.then_some(line);
        self.broken.push(line);
        self.astray.extend(below_header(self.source, span.start));
    }

    /// Where the key at `span` is written for the first time, if it is one of a section.
    fn line_before(&self, span: &Range<usize>, document: &DeTable<'_>) -> Option<usize> {
        let name = self.source.get(span.clone())?.trim_matches(['"', '\'']);
        // Of a header the document knows the last one only.
        let bare = |line: &'s str| line.split('#').next().unwrap_or_default().trim();
        let (line, ..) = place(self.source, span);
        let header = self.source.lines().nth(line - 1).map(bare).filter(|line| line.starts_with('['));
        if let Some(header) = header {
            let first = self.source.lines().take(line - 1).position(|line| bare(line) == header);
            return first.map(|index| index + 1);
        }
        let top: Vec<_> = tables(document).collect();
        let doors = top.iter().flat_map(|table| tables(table));
        let keys = top.iter().copied().chain(doors).chain([document]).flat_map(DeTable::keys);
        let all = keys.filter(|key| key.get_ref() == name).map(Spanned::span);
        let first = all.filter(|other| other.start < span.start).max_by_key(|other| other.start)?;
        Some(place(self.source, &first).0)
    }

    fn is_astray(&self, span: &Range<usize>) -> bool {
        self.astray.iter().any(|range| range.contains(&span.start))
    }

    /// A key is not where it belongs; below a header that is not TOML that says nothing.
    pub(super) fn misplaced(&mut self, span: Range<usize>, wrong: Wrong) {
        if !self.is_astray(&span) {
            self.fault(span, wrong);
        }
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
        let name = self.name(key);
        self.misplaced(key.span(), Wrong::new(format!("unknown key `{name}` in {place}"), help));
    }

    /// A key as it can be named in a message: what stands where nothing is shown may be a secret.
    pub(super) fn name<'k>(&self, key: &'k Key<'_>) -> &'k str {
        let (line, column, ..) = place(self.source, &key.span());
        let hidden = self.shown.get(line - 1).copied().flatten().is_some_and(|shown| column > shown);
        if hidden { "…" } else { key.get_ref() }
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

    /// One of some words.
    pub(super) fn choice<T, const N: usize>(
        &mut self,
        key: &str,
        value: &Value<'_>,
        choices: [(&str, T); N],
    ) -> Option<T> {
        let words = choices.each_ref().map(|(word, _)| *word);
        let (last, others) = words.split_last()?;
        let text = self.string(key, value, &format!("\"{last}\""))?;
        let help = format!("write {} or `{last}`", listed(others));
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
        let shown = self.shown.get(line - 1).copied().flatten();
        let (column, excerpt, width) = match shown {
            Some(shown) => secrets::masked(&excerpt, shown, column, width),
            None => (column, excerpt, width),
        };
        let message = |text: &str| escaped(&secrets::without_secrets(text, self.is_key));
        let (text, help, file) = (message(&wrong.text), message(&wrong.help), escaped(self.file));
        self.found.push((span.start, Fault { level, file, line, column, text, help, excerpt, width }));
    }
}

/// Keys and values in file order.
pub(super) fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<Entry<'t, 'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn tables<'t, 'a>(table: &'t DeTable<'a>) -> impl Iterator<Item = &'t DeTable<'a>> {
    table.values().filter_map(|value| value.get_ref().as_table())
}

/// The lines from that of a header up to the next one; nothing if there is no header at `at`.
fn below_header(source: &str, at: usize) -> Option<Range<usize>> {
    let start = source.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = source.get(start..).filter(|rest| rest.trim_start_matches([' ', '\t']).starts_with('['))?;
    Some(start..rest.find("\n[").map_or(source.len(), |next| start + next))
}
