//! The command line of `knockd`.

use std::ffi::OsString;
use std::process::ExitCode;

use klopf_getopt::man::{self, Roff, bold, roman};
use klopf_getopt::{Item, Opt};

#[derive(Clone, Copy)]
enum Meaning {
    Interface,
    Daemon,
    Config,
    Debug,
    Lookup,
    PidFile,
    LogFile,
    Verbose,
    OnlyIpv4,
    WithoutSeccomp,
    Version,
    Help,
}

const OPTIONS: [Opt<Meaning>; 12] = [
    Opt::new(Meaning::Interface, Some('i'), "interface", Some("int"), "the interface to watch (default eth0)"),
    Opt::new(Meaning::Daemon, Some('d'), "daemon", None, "go to the background"),
    Opt::new(Meaning::Config, Some('c'), "config", Some("file"), "the configuration (default /etc/knockd.conf)"),
    Opt::new(Meaning::Debug, Some('D'), "debug", None, "print what is read and seen"),
    Opt::new(Meaning::Lookup, Some('l'), "lookup", None, "log the names of addresses, as DNS tells them"),
    Opt::new(Meaning::PidFile, Some('p'), "pidfile", Some("file"), "the pid file (default /var/run/knockd.pid)"),
    Opt::new(Meaning::LogFile, Some('g'), "logfile", Some("file"), "the log file"),
    Opt::new(Meaning::Verbose, Some('v'), "verbose", None, "print the log as well"),
    Opt::new(Meaning::OnlyIpv4, Some('4'), "only-ip-v4", None, "leave IPv6 alone"),
    Opt::new(Meaning::WithoutSeccomp, None, "without-seccomp", None, "start even if the kernel has no seccomp"),
    Opt::new(Meaning::Version, Some('V'), "version", None, "print the version"),
    Opt::new(Meaning::Help, Some('h'), "help", None, "print this help"),
];

const SYNOPSIS: &str = "knockd [options]";

/// What the command line asks for. Options that come again replace the earlier one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cli {
    pub(super) interface: Option<String>,
    pub(super) daemon: bool,
    pub(super) config: String,
    pub(super) debug: bool,
    pub(super) lookup: bool,
    pub(super) pid_file: Option<String>,
    pub(super) log_file: Option<String>,
    pub(super) verbose: bool,
    pub(super) only_ipv4: bool,
    /// Start even where the kernel has no seccomp.
    pub(super) without_seccomp: bool,
}

/// Reads a command line that begins with the program's name; help, version and complaints are written here.
///
/// Also after wrong use the exit code is 0, as it is knockd's.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
    let program = args.next().unwrap_or_else(|| "knockd".to_owned());
    read(args).map_err(|stop| {
        match stop {
            Stop::Version => crate::print(concat!("knockd 0.8\nklopf ", env!("CARGO_PKG_VERSION"))),
            Stop::Help => crate::print(&usage()),
            Stop::Wrong(what) => {
                crate::say(&format!("{program}: {what}"));
                crate::print(&usage());
            }
        }
        ExitCode::SUCCESS
    })
}

/// The usage, with a newline at the end.
pub(super) fn usage() -> String {
    klopf_getopt::usage(SYNOPSIS, &OPTIONS)
}

/// knockd.1.
pub(crate) fn man_page() -> String {
    let mut page = man::page("knockd", "1", "open doors to those who knock right", SYNOPSIS);
    man::section(
        &mut page,
        "DESCRIPTION",
        [
            bold("knockd"),
            roman(
                " watches an interface for knocks: packets to the ports of a sequence, in order and in time. It listens \
                 on no port and answers nothing. When a source has knocked a door's whole sequence, it runs the door's \
                 command, with the address of the source in the place of %IP%. It reads the configuration of knockd \
                 0.8 as it stands; ",
            ),
            bold("klopfd"),
            roman("(8) is the same daemon with a configuration of its own."),
        ],
    );
    man::options(&mut page, &OPTIONS);
    configuration(&mut page);
    page.control("SH", ["SIGNALS"]);
    tagged(
        &mut page,
        &[
            ("HUP", "Read the configuration again and open the log file anew. A wrong configuration changes nothing."),
            ("TERM, INT", "Close what is open and end."),
            ("USR1", "Log the counters."),
        ],
    );
    page.control("SH", ["FILES"]);
    tagged(
        &mut page,
        &[("/etc/knockd.conf", "The configuration."), ("/var/run/knockd.pid", "The process id, with --daemon only.")],
    );
    page.control("SH", ["EXIT STATUS"]);
    tagged(
        &mut page,
        &[
            ("0", "Help or version was printed, or the options are wrong."),
            ("1", "The configuration is wrong, or the daemon cannot do its work."),
            ("2", "Ended by INT."),
            ("15", "Ended by TERM."),
        ],
    );
    let others = [bold("knock"), roman("(1), "), bold("klopf"), roman("(1), "), bold("klopfd"), roman("(8)")];
    man::section(&mut page, "SEE ALSO", others);
    page.render()
}

fn configuration(page: &mut Roff) {
    const EXAMPLE: &str = "\
[options]
    UseSyslog

[ssh]
    sequence      = 42000,23000:udp,1337
    seq_timeout   = 5
    tcpflags      = syn
    start_command = /usr/sbin/iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT
    cmd_timeout   = 30
    stop_command  = /usr/sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    man::section(
        page,
        "CONFIGURATION",
        [
            roman("Every section but "),
            bold("[options]"),
            roman(
                " is a door. This one lets a source in for the 30 seconds after its knock, which has to be complete \
                 within 5 seconds:",
            ),
        ],
    );
    page.control("PP", []).control("nf", []).text([roman(EXAMPLE)]).control("fi", []);
    man::paragraph(
        page,
        [
            bold("[options]"),
            roman(
                " takes LogFile and PidFile, which go before the options -g and -p, Interface, which gives way to -i, \
                 and UseSyslog. A door takes:",
            ),
        ],
    );
    tagged(
        page,
        &[
            ("sequence", "Ports, each with :tcp (the default) or :udp, separated by commas."),
            ("one_time_sequences", "A file with a sequence in each line, each good for one opening."),
            ("seq_timeout", "Seconds from the first knock to the last; 25 when not given."),
            ("tcpflags", "Flags that TCP knocks must have, or with ! must not: fin, syn, rst, psh, ack, urg."),
            ("target", "The address that must be knocked at, instead of the interface's own."),
            ("start_command, command", "What to run, by /bin/sh, when the door opens."),
            ("cmd_timeout", "Seconds from the start command to the stop command; 10 when not given."),
            ("stop_command", "What to run then."),
            ("start_command_6, command_6, stop_command_6", "The same, for sources with an IPv6 address."),
        ],
    );
}

fn tagged(page: &mut Roff, entries: &[(&str, &str)]) {
    for (tag, text) in entries {
        page.control("TP", []).text([bold(*tag)]).text([roman(*text)]);
    }
}

/// Why no daemon is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Help,
    Version,
    /// Wrong use, in getopt's words.
    Wrong(String),
}

/// The first option that stops decides; operands are ignored.
fn read(args: impl IntoIterator<Item = String>) -> Result<Cli, Stop> {
    let mut cli = Cli {
        interface: None,
        daemon: false,
        config: "/etc/knockd.conf".to_owned(),
        debug: false,
        lookup: false,
        pid_file: None,
        log_file: None,
        verbose: false,
        only_ipv4: false,
        without_seccomp: false,
    };
    for item in klopf_getopt::parse(&OPTIONS, args) {
        match item {
            Item::Option(Meaning::Interface, name) => cli.interface = Some(name),
            Item::Option(Meaning::Daemon, _) => cli.daemon = true,
            Item::Option(Meaning::Config, file) => cli.config = file,
            Item::Option(Meaning::Debug, _) => cli.debug = true,
            Item::Option(Meaning::Lookup, _) => cli.lookup = true,
            Item::Option(Meaning::PidFile, file) => cli.pid_file = Some(file),
            Item::Option(Meaning::LogFile, file) => cli.log_file = Some(file),
            Item::Option(Meaning::Verbose, _) => cli.verbose = true,
            Item::Option(Meaning::OnlyIpv4, _) => cli.only_ipv4 = true,
            Item::Option(Meaning::WithoutSeccomp, _) => cli.without_seccomp = true,
            Item::Option(Meaning::Version, _) => return Err(Stop::Version),
            Item::Option(Meaning::Help, _) => return Err(Stop::Help),
            Item::Operand(_) => {}
            Item::Wrong(what) => return Err(Stop::Wrong(what)),
        }
    }
    Ok(cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &str) -> Result<Cli, Stop> {
        read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_option_is_understood_long_and_short() {
        let nothing = line("operands are ignored").unwrap();
        assert_eq!(nothing, line("").unwrap());
        assert_eq!((nothing.interface, nothing.config.as_str()), (None, "/etc/knockd.conf"));
        let all = Cli {
            interface: Some("lo".to_owned()),
            daemon: true,
            config: "c".to_owned(),
            debug: true,
            lookup: true,
            pid_file: Some("p".to_owned()),
            log_file: Some("g".to_owned()),
            verbose: true,
            only_ipv4: true,
            without_seccomp: true,
        };
        let long = "--interface=lo --daemon --config c --debug --lookup --pidfile p --logfile g --verbose --only-ip-v4";
        assert_eq!(line("-i eth1 -ilo -dDlv4 -c c -p p -g g --without").as_ref(), Ok(&all));
        assert_eq!(line(&format!("{long} --without-seccomp")), Ok(all));
    }

    #[test]
    fn the_first_option_that_stops_decides() {
        for (words, stop) in [
            ("-dhV", Stop::Help),
            ("operand --vers --foo", Stop::Version),
            ("--foo -V", Stop::Wrong("unrecognized option '--foo'".to_owned())),
            ("-i", Stop::Wrong("option requires an argument -- 'i'".to_owned())),
        ] {
            assert_eq!(line(words), Err(stop), "{words}");
        }
    }

    #[test]
    fn the_usage_begins_as_knockds() {
        let usage = usage();
        assert!(usage.starts_with("usage: knockd [options]\noptions:\n  -i, --interface <int>  "), "{usage}");
        assert!(usage.contains("\n      --without-seccomp  "), "{usage}");
    }

    #[test]
    fn the_man_page_names_every_option() {
        let page = man_page();
        for opt in &OPTIONS {
            assert!(page.contains(&opt.help.replace('-', r"\-")), "{}", opt.long);
        }
    }
}
