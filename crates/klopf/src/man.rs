//! Man pages, from the definitions of the command lines.

use std::path::Path;
use std::{fs, io};

use klopf_getopt::man::{self, bold, italic, roman};

use crate::cli::command;
use crate::face::{EXAMPLE, OPTIONS, SYNOPSIS};

/// Writes `klopf.1`, a page for each of its tasks, and `knock.1`.
pub(crate) fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command(), dir)?;
    fs::write(dir.join("knock.1"), knock())
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
