//! What was found, for people and for programs.

use std::process::ExitCode;

use serde::Serialize;

use crate::say;
use crate::terminal::{width, wrapped};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Fine,
    /// A knock works, but not always, or not for ever.
    Warning,
    /// A knock does not work.
    Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    about: &'static str,
    text: String,
    remedy: Option<String>,
}

/// All findings. Those for people are shown as they come, since a rehearsal takes its time.
pub(super) struct Findings {
    json: bool,
    /// Columns of a line.
    width: usize,
    all: Vec<Finding>,
}

/// Columns of the first two words.
const LEVEL: usize = 9;
const ABOUT: usize = 15;

impl Findings {
    pub(super) fn new(json: bool) -> Self {
        Self { json, width: width(), all: Vec::new() }
    }

    pub(super) fn fine(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(Finding { level: Level::Fine, about, text: text.into(), remedy: None });
    }

    pub(super) fn warn(&mut self, about: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Finding { level: Level::Warning, about, text: text.into(), remedy: Some(remedy.into()) });
    }

    pub(super) fn wrong(&mut self, about: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Finding { level: Level::Wrong, about, text: text.into(), remedy: Some(remedy.into()) });
    }

    /// How much is not fine with something.
    pub(super) fn faults(&self, about: &str) -> usize {
        self.all.iter().filter(|one| one.about == about && one.level != Level::Fine).count()
    }

    fn add(&mut self, finding: Finding) {
        if !self.json {
            say(shown(&finding, self.width));
        }
        self.all.push(finding);
    }

    fn count(&self, level: Level) -> usize {
        self.all.iter().filter(|one| one.level == level).count()
    }

    /// Says how it stands, and with which exit code to end.
    pub(super) fn end(self) -> ExitCode {
        let (wrong, warnings) = (self.count(Level::Wrong), self.count(Level::Warning));
        if self.json {
            let report = serde_json::json!({ "wrong": wrong, "warnings": warnings, "findings": self.all });
            say(report);
        } else {
            say(format_args!("\n{}", summary(wrong, warnings)));
        }
        u8::from(wrong > 0).into()
    }
}

fn summary(wrong: usize, warnings: usize) -> String {
    let warned = match warnings {
        0 => String::new(),
        1 => " There is one warning.".to_owned(),
        _ => format!(" There are {warnings} warnings."),
    };
    match wrong {
        0 => format!("Nothing is wrong.{warned}"),
        1 => format!("One thing is wrong.{warned}"),
        _ => format!("{wrong} things are wrong; mend the first one first.{warned}"),
    }
}

/// A line or some, with colours; they are left out where nobody sees them.
fn shown(finding: &Finding, width: usize) -> String {
    let (word, colour) = match finding.level {
        Level::Fine => ("fine", "\x1b[32m"),
        Level::Warning => ("warning", "\x1b[33m"),
        Level::Wrong => ("WRONG", "\x1b[1;31m"),
    };
    let indent = " ".repeat(LEVEL + ABOUT);
    let body = wrapped(&finding.text, width.saturating_sub(indent.len()));
    let mut text = format!("{colour}{word:LEVEL$}\x1b[0m{:ABOUT$}{}", finding.about, body.join(&format!("\n{indent}")));
    for line in
        finding.remedy.iter().flat_map(|remedy| wrapped(&format!("→ {remedy}"), width.saturating_sub(indent.len() + 2)))
    {
        let hang = if line.starts_with('→') { "" } else { "  " };
        text.push_str(&format!("\n{indent}{hang}{line}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_stand_under_one_another() {
        let text = "word ".repeat(30);
        let finding = Finding { level: Level::Wrong, about: "clock", text, remedy: Some("mend it".into()) };
        let text = anstream::adapter::strip_str(&shown(&finding, 80)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("WRONG    clock          word"), "{text}");
        assert!(lines[1].starts_with(&" ".repeat(24)) && lines.iter().all(|line| line.chars().count() <= 80));
        assert_eq!(lines.last().unwrap().trim(), "→ mend it");
    }

    #[test]
    fn the_end_says_how_it_stands() {
        assert_eq!(summary(0, 0), "Nothing is wrong.");
        assert_eq!(summary(1, 2), "One thing is wrong. There are 2 warnings.");
    }
}
