//! The page of figures, made of the parts that there are.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::part::{Kept, Target};
use crate::plot;

const HEAD: &str = "# Performance

Klopf side by side with knockd, fwknopd and the kernel's own recipe. **This page and the plot are made by `make bench`**; what is written
here is what was measured, also where another program wins.
";

const HOW: &str = "## How it is measured

`make bench`, as root, on Debian or Ubuntu, repeats all of this: it installs the other programs from the distribution's packages, and needs about
as long as the table below says. `make bench ROUNDS=1` is shorter, and `make bench-flood` and the like make one part and leave the others as they are.

Each program runs on a server in a network namespace of its own, and all traffic comes over a veth link from another namespace. The programs take
turns, round by round, so that what else goes on on the machine meets all alike. Packets are ours (AF_PACKET), users run the real clients and connect with
a real TCP connection through the real firewall.

| program | its configuration |
|---|---|
| Klopf, packet | `[packet]`, one door that guards tcp/22, a key for each user (`klopf invite`, `klopf join`); users run `klopf open` |
| Klopf, sequence | one door that guards tcp/22, three ports, `within = \"5s\"`; users run `klopf knock` |
| knockd | its man page's example: three ports, `seq_timeout = 5`, `tcpflags = syn`, a command that adds a rule to iptables, whose policy is DROP; users run `knock` |
| fwknopd | one stanza with an AES and an HMAC key, `ENABLE_UDP_SERVER Y`, which opens sooner here than libpcap, iptables with policy DROP; users run `fwknop` |
| nft recipe | the [nftables wiki's](https://wiki.nftables.org/wiki-nftables/index.php/Port_knocking_example): sets with a timeout of one second for each next hit, no daemon; users run `knock` |
| Klopf's knockd | knockd's configuration, read by Klopf's drop-in replacement |
";

/// Why targets are missed, by how their names begin.
const WHY: [(&str, &str); 4] = [
    (
        "Klopf, packet: µs until it is open",
        "What a sequence takes (below), and to open the packet, with one X25519 and one Ed25519. After a rest, as before each knock here, that takes \
         much longer than in a loop, as everything does (*open* and *rested* in *Micro*).",
    ),
    (
        "Klopf, sequence: µs until it is open",
        "The packet wakes the watch, and the watch the keeper. To wake a process on a processor that sleeps takes 50 to 60 µs on the virtual \
         machine of this page (and 600 to 1,600 in 1 of 100 cases); the grant itself takes the kernel 5 µs (see *Micro*). One process instead of \
         two would be faster, and would read strangers' packets with all rights.",
    ),
    (
        "Klopf, sequence after a pause",
        "It would take arming the kernel for the last hit, which was tried: [decisions](decisions.md#arming-the-kernel-for-the-last-hit) says \
         what it does, and why it is not right in every fault.",
    ),
    (
        "CPU for a datagram of junk",
        "The check is the smaller part (last row); the rest is waking up each half millisecond, for some 25 packets each time, reading them from the ring, and parsing.",
    ),
];

/// Writes the page and the plot into a directory.
pub(crate) fn write(kept: &Path, names: &[&str], docs: &Path) -> Result<()> {
    let parts: Vec<Kept> = names.iter().filter_map(|name| Kept::load(kept, name)).collect();
    let Some(newest) = parts.iter().max_by_key(|kept| kept.machine.day.clone()) else {
        return Err(Error::Program("nothing has been measured yet".into()));
    };
    let mut page = format!("{HEAD}\n![Real users that get in under a flood, and open times](performance.svg)\n\n");
    page += &format!("Measured on {}.\n\n", newest.machine.line());
    page += "## Targets\n\n| | aim | measured | |\n|---|---|---|---|\n";
    for Target { what, aim, got, met } in parts.iter().flat_map(|kept| &kept.part.targets) {
        page += &format!("| {what} | {aim} | {got} | {} |\n", if *met { "met" } else { "**missed**" });
    }
    let missed = parts.iter().flat_map(|kept| &kept.part.targets).filter(|target| !target.met);
    let whys = missed.filter_map(|Target { what, .. }| WHY.iter().find(|(begin, _)| what.starts_with(begin)));
    let whys: String = whys.map(|(what, why)| format!("- *{what}*: {why}\n")).collect();
    if !whys.is_empty() {
        page += &format!("\nWhy some are missed:\n\n{whys}");
    }
    for Kept { part, machine } in &parts {
        page += &format!("\n## {}\n", part.title);
        let mut tables = part.tables.iter();
        for text in &part.text {
            page += &format!("\n{text}\n");
            // A paragraph that ends like this one announces its table:
            if text.ends_with(':') {
                tables.next().into_iter().for_each(|table| page += &format!("\n{}", table.markdown()));
            }
        }
        tables.for_each(|table| page += &format!("\n{}", table.markdown()));
        let debug = if machine.debug { ", a debug build that does not count" } else { "" };
        page += &format!("\n{}, rounds: {}, load before: {}{debug}\n", machine.day, machine.rounds, machine.load);
    }
    page += &format!("\n{HOW}");
    let curves: Vec<_> = parts.iter().flat_map(|kept| &kept.part.curves).collect();
    for (name, text) in [("performance.md", page), ("performance.svg", plot::svg(&curves))] {
        fs::write(docs.join(name), text).map_err(Error::io(format!("write {name}")))?;
    }
    Ok(())
}
