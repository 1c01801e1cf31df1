//! The command line of `klopfd`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use klopf_getopt::man::{self, Roff, bold, roman};

use crate::exit;

const CONFIGURATION: &str = "\
[door.ssh]
guard = [\"tcp/22\"]
sequence = [\"42000\", \"1337\", \"23000/udp\"]
open-for = \"30s\"";

const KNOCK: &str = "klopf knock HOST 42000 1337 23000/udp && ssh HOST";

const HERE: &str = "\
On this one, klopf status says who is let in, klopf doctor what is wrong, and klopf unlock takes every guard away.";

const GUARDS: &str = "\
Guards and leases stand in the kernel: they stay when klopfd ends, and the next one takes them over. Where somebody is \
logged in over a port that is guarded for the first time, the guards are on trial: if nobody comes in by a knock from \
another machine within two minutes (or KLOPF_TRIAL_SECONDS), they are taken away again.";

const LETTERS: &str = "\
Where klopf.toml has [mail.NAME] or [guestbook.NAME], and some key opens a door that way, klopfd starts klopf-courier, which \
fetches mails and pages with a user of its own and without any key. It is looked for beside klopfd, and in ../libexec/klopf.";

const SIGNALS: [(&str, &str); 3] = [
    ("HUP", "Read the configuration again. A wrong one changes nothing."),
    ("TERM, INT", "End. Guards and leases stay."),
    ("USR1", "Log the counters."),
];

const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "Told to end."),
    ("64", "The command line is wrong."),
    ("66", "No configuration."),
    ("71", "The system refused something, such as the guards."),
    ("73", "The log cannot be written."),
    ("75", "Another klopfd runs with the same state directory."),
    ("77", "A right is missing."),
    ("78", "The configuration is wrong."),
];

const FILES: [(&str, &str); 9] = [
    ("/etc/klopf/klopf.toml", "The configuration."),
    ("/var/lib/klopf/replay", "Which sealed knocks, tokens and codes were accepted, so that none counts again."),
    ("/var/lib/klopf/logs", "How far the files of logs were read."),
    ("/var/lib/klopf/journal-NAME", "The same for the log NAME, if it is in systemd's journal."),
    ("/var/spool/klopf", "The box for klopf deliver, if [mail.NAME] has it for a maildir."),
    ("/var/lib/klopf/doors.journal", "Leases and commands that are under way, to be taken up again after a crash."),
    ("/var/lib/klopf/confirmed", "Ports whose guard needs no trial again."),
    ("/var/lib/klopf/unlocked", "As long as it is there nothing is guarded; klopf lock removes it."),
    ("/run/klopf/control.sock", "Where klopf asks."),
];

/// Opens doors to those who knock right.
///
/// Closes the ports that doors guard, and watches the network for knocks, without listening on any port. When somebody has
/// knocked right, by a sequence, a sealed packet, a line in a log, a mail or an entry in a guestbook, it lets the address in for a while, or runs
/// the door's command. Stays in the foreground and says
/// `ready` when the doors are guarded and watched.
#[derive(Parser)]
#[command(name = "klopfd", version, max_term_width = 100, after_help = after_help())]
struct Cli {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "/etc/klopf/klopf.toml")]
    config: PathBuf,
    /// Only check the configuration: exit code 78 and all faults if it is wrong
    #[arg(long)]
    check: bool,
    /// Watch as always, and only say what would be done: no port is guarded, no command is run, no mail is fetched, and
    /// nothing is written down. Goes well beside a klopfd that runs
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// Write the man pages of the daemons to a directory
    #[arg(long, value_name = "DIR", hide = true)]
    man: Option<PathBuf>,
}

/// What the command line asks for.
pub(super) enum Wish {
    /// In earnest, or as a dry run.
    Run {
        config: PathBuf,
        dry_run: bool,
    },
    Check {
        config: PathBuf,
    },
    Man {
        directory: PathBuf,
    },
}

/// Reads the command line; help and errors are written here.
pub(super) fn parse() -> Result<Wish, ExitCode> {
    let cli = Cli::try_parse().map_err(|error| {
        // Nobody reads what cannot be written.
        let _ = error.print();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
            _ => ExitCode::from(exit::USAGE),
        }
    })?;
    Ok(match cli {
        Cli { man: Some(directory), .. } => Wish::Man { directory },
        Cli { check: true, config, .. } => Wish::Check { config },
        Cli { config, dry_run, .. } => Wish::Run { config, dry_run },
    })
}

/// Writes klopfd.8 and knockd.1.
pub(super) fn write_man_pages(directory: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(directory.join("klopfd.8"), man_page()?))
        .and_then(|()| std::fs::write(directory.join("knockd.1"), crate::knockd::man_page()));
    if let Err(error) = written {
        crate::say(&format!("error: cannot write to {}: {}", directory.display(), crate::keeper::reason(&error)));
        return ExitCode::from(exit::CANNOT_CREATE);
    }
    ExitCode::SUCCESS
}

fn after_help() -> String {
    let listed = |title: &str, list: &[(&str, &str)]| {
        let widest = list.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        let lines: Vec<String> = list.iter().map(|(what, text)| format!("  {what:widest$}  {text}")).collect();
        format!("{title}:\n{}", lines.join("\n"))
    };
    let configuration = CONFIGURATION.replace('\n', "\n  ");
    [
        format!("Configuration, /etc/klopf/klopf.toml:\n  {configuration}"),
        format!("Then, on another machine:\n  {KNOCK}"),
        HERE.to_owned(),
        GUARDS.to_owned(),
        LETTERS.to_owned(),
        listed("Signals", &SIGNALS),
        listed("Exit codes", &EXIT_CODES),
    ]
    .join("\n\n")
}

fn man_page() -> io::Result<String> {
    let cli = Cli::command();
    let about = cli.get_long_about().map(ToString::to_string).unwrap_or_default();
    let name = "let those in who knock right";
    let mut page = man::page("klopfd", "8", name, "klopfd [-c FILE] [--check | --dry-run]");
    page.control("SH", ["DESCRIPTION"]);
    for text in about.split("\n\n").skip(1).chain([GUARDS, LETTERS]) {
        man::paragraph(&mut page, [roman(text)]);
    }
    let mut options = Vec::new();
    clap_mangen::Man::new(cli).render_options_section(&mut options)?;
    let mut rest = Roff::new();
    rest.control("SH", ["EXAMPLE"]);
    man::paragraph(&mut rest, [roman("In /etc/klopf/klopf.toml, of which klopf.toml(5) has every key:")]);
    literal(&mut rest, CONFIGURATION);
    man::paragraph(&mut rest, [roman("On another machine:")]);
    literal(&mut rest, KNOCK);
    man::paragraph(&mut rest, [roman(HERE)]);
    for (title, list) in [("SIGNALS", SIGNALS.as_slice()), ("EXIT STATUS", &EXIT_CODES), ("FILES", &FILES)] {
        rest.control("SH", [title]);
        for (what, text) in list {
            rest.control("TP", []).text([bold(*what)]).text([roman(*text)]);
        }
    }
    let others = [bold("klopf.toml"), roman("(5), "), bold("klopf"), roman("(1), "), bold("knockd"), roman("(1)")];
    man::section(&mut rest, "SEE ALSO", others);
    Ok(format!("{}{}{}", page.render(), String::from_utf8_lossy(&options), rest.render()))
}

fn literal(page: &mut Roff, text: &str) {
    page.control("PP", []).control("nf", []).text([roman(text)]).control("fi", []);
}
