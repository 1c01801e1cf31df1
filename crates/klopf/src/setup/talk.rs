//! Questions and answers, a line each: for any terminal, and for scripts.

use std::io::{BufRead, Read, Write};

use crate::failure::{Failure, code};
use crate::terminal::wrapped;

/// Columns of what is said.
const WIDTH: usize = 80;
/// Bytes of an answer; a longer one is cut off.
const LONGEST: u64 = 4096;

/// Somebody who answers.
pub(super) struct Talk<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
}

/// What is asked, what is taken for an empty line, and what a question mark tells.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) text: &'a str,
    pub(super) default: Option<&'a str>,
    pub(super) help: &'a str,
}

impl<'a> Talk<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead, output: &'a mut dyn Write) -> Self {
        Self { input, output }
    }

    /// A line, or more where it is long; what is indented stays so.
    pub(super) fn say(&mut self, text: &str) {
        let rest = text.trim_start();
        let indent = " ".repeat(text.len() - rest.len());
        for line in wrapped(rest, WIDTH - indent.len()) {
            // Whoever does not hear it any more does not answer either.
            let _ = writeln!(self.output, "{indent}{line}");
        }
    }

    /// Asks until `read` takes the answer; its error says what is wrong.
    pub(super) fn ask<T>(
        &mut self,
        ask: Ask<'_>,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        loop {
            let default = ask.default.map(|default| format!(" [{default}]")).unwrap_or_default();
            let _ = write!(self.output, "{}{default}: ", ask.text).and_then(|()| self.output.flush());
            let line = self.line()?;
            let answer = match (line.as_str(), ask.default) {
                ("?", _) => {
                    self.say(&format!("  {}", ask.help));
                    continue;
                }
                ("", Some(default)) => default,
                ("", None) => {
                    self.say("  There is no default here; ? explains.");
                    continue;
                }
                (answer, _) => answer,
            };
            match read(answer) {
                Ok(read) => return Ok(read),
                Err(why) => self.say(&format!("  {why}")),
            }
        }
    }

    /// One of some, by its number or its name; each has a text. The first is the default.
    pub(super) fn choose(&mut self, choices: &[(&str, &str)], help: &str) -> Result<usize, Failure> {
        let wide = choices.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (number, (name, text)) in (1..).zip(choices) {
            self.say(&format!("  {number}) {name:wide$}  {text}"));
        }
        self.ask(Ask { text: "Which", default: Some("1"), help }, |answer| {
            let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let named = choices.iter().position(|(name, _)| name.eq_ignore_ascii_case(answer));
            let number = number.filter(|number| *number < choices.len());
            number.or(named).ok_or_else(|| format!("Type a number from 1 to {}, or its name.", choices.len()))
        })
    }

    pub(super) fn yes(&mut self, text: &str, default: bool, help: &str) -> Result<bool, Failure> {
        let default = Some(if default { "yes" } else { "no" });
        self.ask(Ask { text, default, help }, |answer| match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("Type yes or no.".to_owned()),
        })
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        let read = (&mut self.input).take(LONGEST).read_until(b'\n', &mut line);
        match read {
            Ok(1..) => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
            Ok(0) => {
                let _ = writeln!(self.output);
                Err(Failure::new(code::STOPPED, "no more answers, so it stops; nothing is written"))
            }
            Err(error) => Err(Failure::new(code::STOPPED, format_args!("the answer cannot be read: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk<T>(typed: &str, with: impl FnOnce(&mut Talk<'_>) -> T) -> (T, String) {
        let (mut input, mut output) = (typed.as_bytes(), Vec::new());
        let done = with(&mut Talk::new(&mut input, &mut output));
        (done, String::from_utf8(output).unwrap())
    }

    #[test]
    fn it_asks_until_the_answer_is_one() {
        let choices = [("packet", "sealed"), ("mail", "a mail")];
        let (chosen, said) = talk("0\n3\nmails\n?\n\n", |talk| talk.choose(&choices, "Help."));
        assert_eq!(chosen, Ok(0));
        assert!(said.starts_with("  1) packet  sealed\n  2) mail    a mail\nWhich [1]: "), "{said}");
        assert_eq!((said.matches("a number from 1 to 2").count(), said.matches("  Help.\n").count()), (3, 1));
        assert_eq!(talk("MAIL\n", |talk| talk.choose(&choices, "")).0, Ok(1));
        assert_eq!(talk("maybe\nY\r\n", |talk| talk.yes("So", false, "")).0, Ok(true));
        assert_eq!(talk("\n", |talk| talk.yes("So", false, "")).0, Ok(false));
    }

    #[test]
    fn the_end_of_the_input_is_no_answer() {
        let (asked, said) = talk("?\n", |talk| talk.yes("So", true, "Help."));
        assert_eq!(asked.unwrap_err().code, code::STOPPED);
        assert_eq!(said, "So [yes]: \n  Help.\nSo [yes]: \n".replacen(": \n", ": ", 1));
        let no_default = Ask { text: "URL", default: None, help: "" };
        assert!(talk("\n\n", |talk| talk.ask(no_default, |text| Ok(text.to_owned()))).0.is_err());
    }
}
