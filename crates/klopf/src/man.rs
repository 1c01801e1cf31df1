//! Man pages, from the definitions of the command lines and from the example of a configuration.

use std::path::Path;
use std::{fs, io};

use clap::Command;
use clap_mangen::Man;
use klopf_getopt::man::{self, Inline, Roff, bold, italic, roman};

use crate::cli::command;
use crate::face::{EXAMPLE, OPTIONS, SYNOPSIS};
use crate::terminal::wrapped;

/// Every key with its meaning; the one that is installed.
pub(crate) const CONFIGURATION: &str = include_str!("../../../examples/klopf.toml");
/// The same for `client.toml`.
const CLIENT: &str = include_str!("../../../examples/client.toml");

const FILES: [(&str, &str); 6] = [
    ("/etc/klopf/klopf.toml", "The daemon's configuration."),
    ("/etc/klopf/keys.d", "A file for each key that klopf invite has made."),
    ("/var/spool/klopf", "The box into which klopf deliver puts mails, for [mail.NAME] with a maildir."),
    ("/etc/klopf/server.key", "The server's own key, which klopf invite has made. Keep a copy."),
    ("/run/klopf/control.sock", "Where the daemon is asked."),
    ("/var/lib/klopf/unlocked", "There after klopf unlock: nothing is guarded until klopf lock."),
];

/// What a person has.
const OWN_FILES: [(&str, &str); 2] = [
    ("~/.config/klopf/profiles", "A file for each server that klopf join has stored."),
    ("~/.config/klopf/client.toml", "How mails and entries leave: [smtp], and [guestbook.NAME] for each guestbook."),
];

/// Writes `klopf.1`, a page for each of its tasks, `knock.1`, `klopf.toml.5` and `klopf-client.toml.5`.
pub(crate) fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut klopf = command().disable_help_subcommand(true);
    klopf.build();
    let tasks: Vec<Command> = klopf.get_subcommands().filter(|task| !task.is_hide_set()).cloned().collect();
    for command in tasks.into_iter().chain([klopf]) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        fs::write(dir.join(format!("{name}.1")), page(&name, command)?)?;
    }
    fs::write(dir.join("knock.1"), knock())?;
    fs::write(dir.join("klopf-client.toml.5"), client())?;
    fs::write(dir.join("klopf.toml.5"), configuration())
}

/// The page of `klopf` or of one of its tasks.
fn page(name: &str, mut command: Command) -> io::Result<String> {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let usage = command.render_usage().to_string();
    let mut page = man::page(name, "1", &about, usage.trim_start_matches("Usage: "));
    let (whole, daemon) = (command.has_subcommands(), command.get_opts().any(|option| option.get_id() == "config"));
    let mut middle = Vec::new();
    let generated = Man::new(command);
    generated.render_options_section(&mut middle)?;
    if whole {
        generated.render_subcommands_section(&mut middle)?;
    } else {
        man::section(&mut page, "DESCRIPTION", [roman(format!("{about}."))]);
    }
    let mut rest = Roff::new();
    explain(&mut rest, &after);
    let own = if whole || !daemon { OWN_FILES.as_slice() } else { &[] };
    let hosts = if whole || daemon { FILES.as_slice() } else { &[] };
    let files: Vec<_> =
        own.iter().chain(hosts).copied().filter(|(file, _)| whole || daemon || after.contains(&leaf(file))).collect();
    if !files.is_empty() {
        list_files(&mut rest, &files);
    }
    let mut others: Vec<Inline> = if whole { Vec::new() } else { vec![bold("klopf"), roman("(1), ")] };
    if files.iter().any(|(file, _)| leaf(file) == "client.toml") {
        others.extend([bold("klopf-client.toml"), roman("(5), ")]);
    }
    others.extend([bold("klopfd"), roman("(8), "), bold("klopf.toml"), roman("(5), "), bold("knock"), roman("(1)")]);
    man::section(&mut rest, "SEE ALSO", others);
    Ok(format!("{}{}{}", page.render(), String::from_utf8_lossy(&middle), rest.render()))
}

/// The last part of a path.
fn leaf(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// What follows the options in a help: titles with indented examples or codes below, and paragraphs.
fn explain(page: &mut Roff, help: &str) {
    for block in help.split("\n\n") {
        let (title, rest) = block.split_once('\n').unwrap_or((block, ""));
        match title {
            "Examples:" => {
                page.control("SH", ["EXAMPLES"]);
                example(page, rest);
            }
            "Exit codes:" => {
                page.control("SH", ["EXIT STATUS"]);
                // What goes on in the next line stands below the meaning.
                let whole = joined_below(rest, "      ");
                for (code, meaning) in whole.lines().filter_map(|line| line.trim_start().split_once(' ')) {
                    page.control("TP", []).text([bold(code)]).text([roman(meaning.trim_start())]);
                }
            }
            _ if block.starts_with(' ') => example(page, block),
            _ => man::paragraph(page, [roman(joined(block))]),
        }
    }
}

/// A command, and below it what it does.
fn example(page: &mut Roff, text: &str) {
    let (command, meaning) = text.split_once('\n').unwrap_or((text, ""));
    page.control("TP", []).text([bold(command.trim_start())]).text([roman(joined(meaning))]);
}

/// Lines that begin so go to the end of the one before.
fn joined_below(lines: &str, begin: &str) -> String {
    lines.replace(&format!("\n{begin}"), " ")
}

fn joined(lines: &str) -> String {
    lines.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
}

fn list_files(page: &mut Roff, files: &[(&str, &str)]) {
    page.control("SH", ["FILES"]);
    for (file, text) in files {
        page.control("TP", []).text([italic(*file)]).text([roman(*text)]);
    }
}

fn configuration() -> String {
    let mut page = Roff::new();
    page.control("TH", ["klopf.toml", "5", "", concat!("klopf ", env!("CARGO_PKG_VERSION"))]);
    man::section(&mut page, "NAME", [roman("klopf.toml - configuration of klopfd")]);
    man::section(
        &mut page,
        "DESCRIPTION",
        [
            roman("What "),
            bold("klopfd"),
            roman(
                "(8) guards and watches, as TOML: a section [daemon], a section [door.NAME] for each door, and for sealed \
                 knocks [packet] and a section [key.NAME] for each key, or a file keys.d/NAME.toml beside it. \
                 [mail.NAME] and [guestbook.NAME] say where tokens come in. A name has 1 to 64 of the characters A-Z, a-z, 0-9, _, . and -. A time is a number with s, m, h or d. ",
            ),
            bold("klopf check"),
            roman(" finds every fault in it, and "),
            bold("klopf reload"),
            roman(" puts it in force."),
        ],
    );
    every_key(&mut page, CONFIGURATION);
    list_files(
        &mut page,
        &[
            ("/etc/klopf/klopf.toml", "Where klopfd looks for it."),
            ("/etc/klopf/keys.d/NAME.toml", "A key with its terms, without a header."),
        ],
    );
    let others = [bold("klopfd"), roman("(8), "), bold("klopf"), roman("(1), "), bold("klopf-check"), roman("(1)")];
    man::section(&mut page, "SEE ALSO", others);
    page.render()
}

fn client() -> String {
    let mut page = Roff::new();
    page.control("TH", ["klopf-client.toml", "5", "", concat!("klopf ", env!("CARGO_PKG_VERSION"))]);
    man::section(&mut page, "NAME", [roman("klopf-client.toml - how mails and entries of guestbooks leave a device")]);
    man::section(
        &mut page,
        "DESCRIPTION",
        [
            roman("The file client.toml, as TOML: by [smtp] "),
            bold("klopf open --via mail"),
            roman(" sends, and by a section [guestbook.NAME] for each guestbook "),
            bold("klopf post"),
            roman(" posts. What is not told there they print, to be sent by hand."),
        ],
    );
    every_key(&mut page, CLIENT);
    list_files(&mut page, &OWN_FILES);
    let others = [bold("klopf-open"), roman("(1), "), bold("klopf-post"), roman("(1), "), bold("klopf"), roman("(1)")];
    man::section(&mut page, "SEE ALSO", others);
    page.render()
}

fn every_key(page: &mut Roff, toml: &str) {
    page.control("SH", ["EVERY KEY"]);
    page.control("PP", []).control("nf", []).text([roman(narrow(toml))]).control("fi", []);
}

/// Remarks over more and shorter lines; all others as they are.
fn narrow(toml: &str) -> String {
    const WIDTH: usize = 70;
    let (mut lines, mut remark) = (Vec::new(), String::new());
    for line in toml.lines().chain([""]) {
        match line.strip_prefix("# ").filter(|text| !text.starts_with(' ')) {
            Some(text) => {
                remark.extend((!remark.is_empty()).then_some(' '));
                remark.push_str(text);
            }
            None => {
                if !remark.is_empty() {
                    lines.extend(wrapped(&remark, WIDTH).into_iter().map(|text| format!("# {text}")));
                    remark.clear();
                }
                lines.push(line.to_owned());
            }
        }
    }
    lines.join("\n").trim_end().to_owned()
}

fn knock() -> String {
    let mut page = man::page("knock", "1", "send a port knock", SYNOPSIS);
    man::section(
        &mut page,
        "DESCRIPTION",
        [
            bold("knock"),
            roman(
                " sends one packet to each port of the host, in the order given: over TCP the SYN that asks for a \
                 connection, over UDP a datagram of one zero byte. A server that watches for this sequence then opens \
                 a door. Nothing ever answers, so success only means that every packet was sent.",
            ),
        ],
    );
    man::paragraph(
        &mut page,
        [
            roman("A port is a number from 1 to 65535 or a service name. "),
            italic("proto"),
            roman(
                " is tcp or udp, tcp when not given. All ports are checked and the host is looked up before the first \
                 packet is sent; of several addresses the one the system prefers is used.",
            ),
        ],
    );
    man::options(&mut page, &OPTIONS);
    man::section(
        &mut page,
        "EXIT STATUS",
        [roman(
            "0 when every packet was sent or the version printed; 1 after help, wrong use, an unknown host, or a \
             packet that could not be sent, with the reason on standard error.",
        )],
    );
    man::section(&mut page, "EXAMPLE", [bold(EXAMPLE)]);
    let others = [bold("klopf-knock"), roman("(1), "), bold("klopf"), roman("(1), "), bold("knockd"), roman("(1)")];
    man::section(&mut page, "SEE ALSO", others);
    page.render()
}
