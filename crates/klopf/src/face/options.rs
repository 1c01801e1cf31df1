//! The command line of `knock`.

use klopf_getopt::{Item, Opt};

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

pub(crate) const OPTIONS: [Opt<Meaning>; 7] = [
    Opt::new(Meaning::Udp, Some('u'), "udp", None, "send every hit over UDP, whatever its PROTO"),
    Opt::new(Meaning::Delay, Some('d'), "delay", Some("t"), "pause for t milliseconds after each hit"),
    Opt::new(Meaning::Ipv4, Some('4'), "ipv4", None, "use an IPv4 address of the host"),
    Opt::new(Meaning::Ipv6, Some('6'), "ipv6", None, "use an IPv6 address of the host"),
    Opt::new(Meaning::Verbose, Some('v'), "verbose", None, "name each hit on standard output"),
    Opt::new(Meaning::Version, Some('V'), "version", None, "print the version"),
    Opt::new(Meaning::Help, Some('h'), "help", None, "print this help"),
];

pub(crate) const SYNOPSIS: &str = "knock [options] <host> <port[:proto]> [port[:proto]] ...";
pub(crate) const EXAMPLE: &str = "knock server.example 42000 1337 23000:udp";

/// The usage, without a newline at the end.
pub(crate) fn usage() -> String {
    klopf_getopt::usage(SYNOPSIS, &OPTIONS) + "\nexample:  " + EXAMPLE + "\n"
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
    for item in klopf_getopt::parse(&OPTIONS, args) {
        match item {
            Item::Option(Meaning::Udp, _) => request.udp = true,
            Item::Option(Meaning::Delay, value) => request.delay = value,
            Item::Option(Meaning::Ipv4, _) => request.family = Family::V4,
            Item::Option(Meaning::Ipv6, _) => request.family = Family::V6,
            Item::Option(Meaning::Verbose, _) => request.verbose = true,
            Item::Option(Meaning::Version, _) => return Err(Stop::Version),
            Item::Option(Meaning::Help, _) => return Err(Stop::Help),
            Item::Operand(text) => request.operands.push(text),
            Item::Wrong(what) => return Err(Stop::Wrong(what)),
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, Stop> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_last_of_equal_options_counts() {
        for line in ["-u -v -d 5 -6 h 1 2", "h 1 2 -uv6d 5", "-4 -6 -d 9 --del=5 -uuvv -- h 1 2"] {
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
    fn the_first_option_that_stops_decides() {
        for (line, stop) in [
            ("-h -V", Stop::Help),
            ("-vVx", Stop::Version),
            ("-x -V", Stop::Wrong("invalid option -- 'x'".to_owned())),
            ("--ver", Stop::Wrong("option '--ver' is ambiguous; possibilities: '--verbose' '--version'".to_owned())),
        ] {
            assert_eq!(read(line), Err(stop), "{line}");
        }
    }
}
