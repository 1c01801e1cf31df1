//! Man pages, from the definitions of the command lines.

use std::path::Path;
use std::{fs, io};

use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::cli::command;
use crate::face::{EXAMPLE, OPTIONS, SYNOPSIS};

/// Writes `klopf.1`, a page for each of its tasks, and `knock.1`.
pub(crate) fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command(), dir)?;
    fs::write(dir.join("knock.1"), knock())
}

fn knock() -> String {
    let version = concat!("klopf ", env!("CARGO_PKG_VERSION"));
    let mut page = Roff::new();
    page.control("TH", ["knock", "1", "", version]);
    page.control("SH", ["NAME"]);
    page.text([roman("knock - send a port knock")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([roman(SYNOPSIS)]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        bold("knock"),
        roman(
            " sends one packet to each port of the host, in the order given: over TCP the SYN that asks for a \
             connection, over UDP a datagram of one zero byte. A server that watches for this sequence then opens a \
             door. Nothing ever answers, so success only means that every packet was sent.",
        ),
    ]);
    page.control("PP", []);
    page.text([
        roman("A port is a number from 1 to 65535 or a service name. "),
        italic("proto"),
        roman(
            " is tcp or udp, tcp when not given. All ports are checked and the host is looked up before the first \
             packet is sent; of several addresses the one the system prefers is used.",
        ),
    ]);
    page.control("SH", ["OPTIONS"]);
    for opt in &OPTIONS {
        let mut tag = vec![bold(format!("-{}", opt.short)), roman(", "), bold(format!("--{}", opt.long))];
        if let Some(value) = opt.value {
            tag.extend([roman(" "), italic(value)]);
        }
        page.control("TP", []);
        page.text(tag);
        page.text([roman(opt.help)]);
    }
    page.control("PP", []);
    page.text([roman("Long options may be abbreviated, and options may follow the operands.")]);
    page.control("SH", ["EXIT STATUS"]);
    page.text([roman(
        "0 when every packet was sent or the version printed; 1 after help, wrong use, an unknown host, or a packet \
         that could not be sent, with the reason on standard error.",
    )]);
    page.control("SH", ["EXAMPLE"]);
    page.text([bold(EXAMPLE)]);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("klopf-knock"), roman("(1), "), bold("klopf"), roman("(1)")]);
    page.render()
}
