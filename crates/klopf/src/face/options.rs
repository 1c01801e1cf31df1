//! Options in the manner of getopt_long(3): in any place, bundled, long ones abbreviated.

use std::fmt::Write;

use crate::send::Family;

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Udp,
    Delay,
    Ipv4,
    Ipv6,
    Verbose,
    Version,
    Help,
}

/// An option as the parser, the usage and the man page know it.
pub(crate) struct Opt {
    pub(crate) meaning: Meaning,
    pub(crate) short: char,
    pub(crate) long: &'static str,
    /// The name of its value, when it takes one.
    pub(crate) value: Option<&'static str>,
    pub(crate) help: &'static str,
}

const fn opt(
    meaning: Meaning,
    short: char,
    long: &'static str,
    value: Option<&'static str>,
    help: &'static str,
) -> Opt {
    Opt { meaning, short, long, value, help }
}

pub(crate) const OPTIONS: [Opt; 7] = [
    opt(Meaning::Udp, 'u', "udp", None, "send every hit over UDP, whatever its PROTO"),
    opt(Meaning::Delay, 'd', "delay", Some("t"), "pause for t milliseconds after each hit"),
    opt(Meaning::Ipv4, '4', "ipv4", None, "use an IPv4 address of the host"),
    opt(Meaning::Ipv6, '6', "ipv6", None, "use an IPv6 address of the host"),
    opt(Meaning::Verbose, 'v', "verbose", None, "name each hit on standard output"),
    opt(Meaning::Version, 'V', "version", None, "print the version"),
    opt(Meaning::Help, 'h', "help", None, "print this help"),
];

pub(crate) const SYNOPSIS: &str = "knock [options] <host> <port[:proto]> [port[:proto]] ...";
pub(crate) const EXAMPLE: &str = "knock server.example 42000 1337 23000:udp";

/// The usage, without a newline at the end.
pub(crate) fn usage() -> String {
    let mut text = format!("usage: {SYNOPSIS}\noptions:\n");
    for opt in &OPTIONS {
        let long = opt.value.map_or_else(|| opt.long.to_owned(), |value| format!("{} <{value}>", opt.long));
        let _ = writeln!(text, "  -{}, --{long:<14} {}", opt.short, opt.help);
    }
    text + "\nexample:  " + EXAMPLE + "\n"
}

/// What the command line asks for. Options that come again replace the earlier one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) udp: bool,
    pub(crate) delay: String,
    pub(crate) family: Family,
    pub(crate) verbose: bool,
    pub(crate) operands: Vec<String>,
}

/// Why no knock is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Help,
    Version,
    /// Wrong use, in getopt's words.
    Wrong(String),
}

/// Reads a command line without the program's name. The first option that stops decides.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Request, Stop> {
    let mut request =
        Request { udp: false, delay: "0".to_owned(), family: Family::Any, verbose: false, operands: Vec::new() };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            request.operands.extend(args);
            break;
        } else if let Some(long) = arg.strip_prefix("--") {
            request.long(long, &mut args)?;
        } else if let Some(bundle) = arg.strip_prefix('-').filter(|bundle| !bundle.is_empty()) {
            request.bundle(bundle, &mut args)?;
        } else {
            request.operands.push(arg);
        }
    }
    Ok(request)
}

impl Request {
    fn long(&mut self, typed: &str, args: &mut impl Iterator<Item = String>) -> Result<(), Stop> {
        let (name, value) = typed.split_once('=').map_or((typed, None), |(name, value)| (name, Some(value.to_owned())));
        let opt = find_long(name, typed)?;
        match (opt.value, value) {
            (None, Some(_)) => wrong(format!("option '--{}' doesn't allow an argument", opt.long)),
            (None, None) => self.set(opt.meaning, String::new()),
            (Some(_), value) => match value.or_else(|| args.next()) {
                Some(value) => self.set(opt.meaning, value),
                None => wrong(format!("option '--{}' requires an argument", opt.long)),
            },
        }
    }

    fn bundle(&mut self, bundle: &str, args: &mut impl Iterator<Item = String>) -> Result<(), Stop> {
        let mut rest = bundle.chars();
        while let Some(short) = rest.next() {
            let Some(opt) = OPTIONS.iter().find(|opt| opt.short == short) else {
                return wrong(format!("invalid option -- '{short}'"));
            };
            if opt.value.is_none() {
                self.set(opt.meaning, String::new())?;
                continue;
            }
            let attached = Some(rest.as_str()).filter(|value| !value.is_empty()).map(str::to_owned);
            return match attached.or_else(|| args.next()) {
                Some(value) => self.set(opt.meaning, value),
                None => wrong(format!("option requires an argument -- '{short}'")),
            };
        }
        Ok(())
    }

    fn set(&mut self, meaning: Meaning, value: String) -> Result<(), Stop> {
        match meaning {
            Meaning::Udp => self.udp = true,
            Meaning::Delay => self.delay = value,
            Meaning::Ipv4 => self.family = Family::V4,
            Meaning::Ipv6 => self.family = Family::V6,
            Meaning::Verbose => self.verbose = true,
            Meaning::Version => return Err(Stop::Version),
            Meaning::Help => return Err(Stop::Help),
        }
        Ok(())
    }
}

/// The option with this name, or the only one whose name begins so. `typed` is what the user wrote after `--`.
fn find_long(name: &str, typed: &str) -> Result<&'static Opt, Stop> {
    let fitting: Vec<&Opt> = OPTIONS.iter().filter(|opt| opt.long.starts_with(name)).collect();
    match fitting.as_slice() {
        [opt] => Ok(opt),
        [] => wrong(format!("unrecognized option '--{typed}'")),
        many => {
            let names: Vec<String> = many.iter().map(|opt| format!("'--{}'", opt.long)).collect();
            wrong(format!("option '--{typed}' is ambiguous; possibilities: {}", names.join(" ")))
        }
    }
}

fn wrong<T>(what: String) -> Result<T, Stop> {
    Err(Stop::Wrong(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, Stop> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_stand_anywhere_and_in_any_form() {
        for line in [
            "-u -v -d 5 -6 h 1 2",
            "-uv6d5 h 1 2",
            "h 1 2 -uv6d 5",
            "h -u 1 -v --delay=5 2 --ipv6",
            "--ud --verb --del 5 --ipv6 -- h 1 2",
            "-4 -6 -d 9 -d5 -uuvv h 1 2",
        ] {
            let request = Request {
                udp: true,
                delay: "5".to_owned(),
                family: Family::V6,
                verbose: true,
                operands: ["h", "1", "2"].map(str::to_owned).to_vec(),
            };
            assert_eq!(read(line), Ok(request), "{line}");
        }
    }

    #[test]
    fn after_two_dashes_everything_is_an_operand() {
        assert_eq!(read("h 1 -- -v -- 2 -").unwrap().operands, ["h", "1", "-v", "--", "2", "-"]);
        assert_eq!(read("- h").unwrap().operands, ["-", "h"]);
    }

    #[test]
    fn the_first_option_that_stops_decides() {
        for (line, stop) in [
            ("-h -V", Stop::Help),
            ("-vVx", Stop::Version),
            ("--vers", Stop::Version),
            ("--h", Stop::Help),
            ("-x -V", Stop::Wrong("invalid option -- 'x'".to_owned())),
            ("-u-", Stop::Wrong("invalid option -- '-'".to_owned())),
            ("-d", Stop::Wrong("option requires an argument -- 'd'".to_owned())),
            ("--del", Stop::Wrong("option '--delay' requires an argument".to_owned())),
            ("--ud=3", Stop::Wrong("option '--udp' doesn't allow an argument".to_owned())),
            ("--foo=3", Stop::Wrong("unrecognized option '--foo=3'".to_owned())),
            ("--ver", Stop::Wrong("option '--ver' is ambiguous; possibilities: '--verbose' '--version'".to_owned())),
            ("--ipv=1", Stop::Wrong("option '--ipv=1' is ambiguous; possibilities: '--ipv4' '--ipv6'".to_owned())),
        ] {
            assert_eq!(read(line), Err(stop), "{line}");
        }
    }
}
