//! Command lines in the manner of getopt_long(3): one table of options gives the parser, the usage and the man page.
//!
//! This crate knows no program: what an option means is its caller's affair. It reads no environment, so
//! `POSIXLY_CORRECT` changes nothing, and prints nothing.
#![forbid(unsafe_code)]

pub mod man;

use std::fmt::Write;

/// An option as the parser, the usage and the man page know it.
#[derive(Clone, Copy, Debug)]
pub struct Opt<M> {
    /// What the caller knows it by.
    pub meaning: M,
    /// The letter after one dash, when it has one.
    pub short: Option<char>,
    /// The name after two dashes.
    pub long: &'static str,
    /// The name of its value, when it takes one.
    pub value: Option<&'static str>,
    /// What it does, in a line.
    pub help: &'static str,
}

impl<M: Copy> Opt<M> {
    /// A row of the table.
    pub const fn new(
        meaning: M,
        short: Option<char>,
        long: &'static str,
        value: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self { meaning, short, long, value, help }
    }
}

/// A part of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<M> {
    /// An option with its value, which is empty if it takes none.
    Option(M, String),
    /// What is neither an option nor the value of one.
    Operand(String),
    /// What is wrong, in getopt's words; always the last item.
    Wrong(String),
}

/// The items of a command line without the program's name, in their order, up to the first that is wrong.
///
/// Options stand in any place up to `--`; short ones may be bundled, long ones abbreviated.
pub fn parse<M: Copy>(options: &[Opt<M>], args: impl IntoIterator<Item = String>) -> Vec<Item<M>> {
    let mut line = Line { options, args: args.into_iter(), items: Vec::new() };
    if let Err(what) = line.read() {
        line.items.push(Item::Wrong(what));
    }
    line.items
}

/// The usage: a line for the synopsis and one for each option.
#[must_use]
pub fn usage<M>(synopsis: &str, options: &[Opt<M>]) -> String {
    let mut text = format!("usage: {synopsis}\noptions:\n");
    for opt in options {
        let short = opt.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let long = opt.value.map_or_else(|| opt.long.to_owned(), |value| format!("{} <{value}>", opt.long));
        let _ = writeln!(text, "  {short}--{long:<16} {}", opt.help);
    }
    text
}

struct Line<'a, M, A> {
    options: &'a [Opt<M>],
    args: A,
    items: Vec<Item<M>>,
}

impl<M: Copy, A: Iterator<Item = String>> Line<'_, M, A> {
    fn read(&mut self) -> Result<(), String> {
        while let Some(arg) = self.args.next() {
            if arg == "--" {
                self.items.extend(self.args.by_ref().map(Item::Operand));
            } else if let Some(long) = arg.strip_prefix("--") {
                self.long(long)?;
            } else if let Some(bundle) = arg.strip_prefix('-').filter(|bundle| !bundle.is_empty()) {
                self.bundle(bundle)?;
            } else {
                self.items.push(Item::Operand(arg));
            }
        }
        Ok(())
    }

    fn long(&mut self, typed: &str) -> Result<(), String> {
        let (name, value) = typed.split_once('=').map_or((typed, None), |(name, value)| (name, Some(value.to_owned())));
        let opt = self.find_long(name, typed)?;
        let value = match (opt.value, value) {
            (None, Some(_)) => return Err(format!("option '--{}' doesn't allow an argument", opt.long)),
            (None, None) => String::new(),
            (Some(_), value) => value
                .or_else(|| self.args.next())
                .ok_or_else(|| format!("option '--{}' requires an argument", opt.long))?,
        };
        self.items.push(Item::Option(opt.meaning, value));
        Ok(())
    }

    fn bundle(&mut self, bundle: &str) -> Result<(), String> {
        let mut rest = bundle.chars();
        while let Some(short) = rest.next() {
            let opt = self.options.iter().find(|opt| opt.short == Some(short));
            let opt = opt.ok_or_else(|| format!("invalid option -- '{short}'"))?;
            let value = match opt.value {
                None => String::new(),
                Some(_) => Some(rest.by_ref().collect())
                    .filter(|attached: &String| !attached.is_empty())
                    .or_else(|| self.args.next())
                    .ok_or_else(|| format!("option requires an argument -- '{short}'"))?,
            };
            self.items.push(Item::Option(opt.meaning, value));
        }
        Ok(())
    }

    /// The option with this name, or the only one whose name begins so. `typed` is what the user wrote after `--`.
    fn find_long(&self, name: &str, typed: &str) -> Result<Opt<M>, String> {
        let fitting: Vec<&Opt<M>> = self.options.iter().filter(|opt| opt.long.starts_with(name)).collect();
        match (fitting.as_slice(), fitting.iter().find(|opt| opt.long == name)) {
            ([opt], _) | (_, Some(opt)) => Ok(**opt),
            ([], None) => Err(format!("unrecognized option '--{typed}'")),
            (many, None) => {
                let names: Vec<String> = many.iter().map(|opt| format!("'--{}'", opt.long)).collect();
                Err(format!("option '--{typed}' is ambiguous; possibilities: {}", names.join(" ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [Opt<char>; 5] = [
        Opt::new('v', Some('v'), "verbose", None, "say more"),
        Opt::new('V', Some('V'), "version", None, "print the version"),
        Opt::new('d', Some('d'), "delay", Some("t"), "wait"),
        Opt::new('o', None, "only", None, "nothing else"),
        Opt::new('4', None, "only-ipv4", None, "no IPv6"),
    ];

    /// The items, each in a word.
    fn read(line: &str) -> String {
        let words = parse(&OPTIONS, line.split_whitespace().map(str::to_owned)).into_iter().map(|item| match item {
            Item::Option(letter, value) => format!("-{letter}{value}"),
            Item::Operand(text) => text,
            Item::Wrong(what) => format!("({what})"),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_stand_anywhere_and_in_any_form() {
        for (line, items) in [
            ("", ""),
            ("-v a -V b", "-v a -V b"),
            ("a -vVd5 b", "a -v -V -d5 b"),
            ("-vd 5 a", "-v -d5 a"),
            ("-d -v a", "-d-v a"),
            ("--delay=5 --delay 6 --del= --d=a=b", "-d5 -d6 -d -da=b"),
            ("--verb --vers", "-v -V"),
            ("--only --only-", "-o -4"),
            ("- -v -- -v -- -", "- -v -v -- -"),
        ] {
            assert_eq!(read(line), items, "{line}");
        }
    }

    #[test]
    fn the_first_wrong_item_ends_the_line() {
        for (line, items) in [
            ("-vx -V", "-v (invalid option -- 'x')"),
            ("-v-", "-v (invalid option -- '-')"),
            ("-o", "(invalid option -- 'o')"),
            ("a -d", "a (option requires an argument -- 'd')"),
            ("--del", "(option '--delay' requires an argument)"),
            ("--verb=3 a", "(option '--verbose' doesn't allow an argument)"),
            ("--foo=3", "(unrecognized option '--foo=3')"),
            ("--ver", "(option '--ver' is ambiguous; possibilities: '--verbose' '--version')"),
            ("--on=1", "(option '--on=1' is ambiguous; possibilities: '--only' '--only-ipv4')"),
        ] {
            assert_eq!(read(line), items, "{line}");
        }
    }

    #[test]
    fn the_usage_lists_every_option() {
        let usage = usage("it [options]", &OPTIONS);
        assert!(usage.starts_with("usage: it [options]\noptions:\n  -v, --verbose          say more\n"), "{usage}");
        assert!(usage.contains("\n  -d, --delay <t>        wait\n      --only             nothing else\n"), "{usage}");
        assert!(usage.ends_with("no IPv6\n"), "{usage}");
    }
}
