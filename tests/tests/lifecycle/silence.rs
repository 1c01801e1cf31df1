//! Nobody can tell that it is there: whatever comes in, nothing goes out.

use std::net::IpAddr;

use klopf_tests::{
    CLIENT4, CLIENT6, Case, Daemon, Door, Need, Result, Running, SERVER4, SERVER6, Signal, Stage, Wire, ensure, packet,
    until,
};

use crate::{PORTS, both};

const JUNK_FRAMES: u32 = 2000;

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    const NEEDS: &[Need] =
        &[Need::Program("nft", "nftables"), Need::Program("tcpdump", "tcpdump"), Need::Program("nmap", "nmap")];
    both("silence_whatever_comes_in", NEEDS, silence)
}

fn silence(stage: &Stage, daemon: Daemon) -> Result {
    // What the kernel answers by itself says nothing about the daemon.
    stage.server.run(
        "nft",
        &["add table inet t; \
           add chain inet t o { type filter hook output priority 0; }; \
           add rule inet t o tcp flags & rst == rst drop; \
           add rule inet t o meta l4proto { icmp, ipv6-icmp } drop"],
    )?;
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let mut capture = stage.server.command("tcpdump");
    capture.args(["-i", "eth0", "-Q", "out", "-n", "-l", "--immediate-mode", "ip or ip6"]);
    let mut capture = Running::start(capture, &stage.path("tcpdump.out"))?;
    capture.until_says("listening")?;
    let running = daemon.start(stage)?;

    let mut wire = Wire::link(stage, "eth0")?;
    wire.knock(CLIENT4, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.2", 1)?;
    wire.knock(CLIENT6, SERVER6, &PORTS)?;
    for (source, destination) in [(CLIENT4, SERVER4), (CLIENT6, SERVER6)] {
        wire.knock(source, destination, &[42000, 1337, 23000])?;
        wire.packet(&packet::datagram(source, destination, 42000, b"\0"))?;
        wire.packet(&packet::datagram(source, destination, 1, &[0xff; 1200]))?;
    }
    let server = SERVER4.to_string();
    let ports = "-p1-1500,22990-23010,41990-42010";
    stage
        .client
        .run("nmap", &["-sS", ports, "-T5", "--max-retries", "0", "--min-rate", "5000", "-n", "-Pn", &server])?;
    junk(&mut wire)?;
    // Packets are taken in order: once this one has opened, all the others have had their chance.
    let last: IpAddr = "10.99.0.9".parse()?;
    until("the last knock opens", || {
        wire.knock(last, SERVER4, &PORTS)?;
        Ok(stage.noted("open door 10.99.0.9") > 0)
    })?;

    counted(stage, &running)?;

    // The capture works: it shows what the server does send.
    stage.server.run("python3", &["-c", "import socket; socket.socket(2, 2).sendto(b'x', ('10.99.0.2', 9))"])?;
    capture.until("the capture shows the server's own datagram", |log| log.contains("10.99.0.2.9:"))?;
    let log = capture.log()?;
    let sent: Vec<&str> = log.lines().filter(|line| line.contains(" IP") && !line.contains("10.99.0.2.9:")).collect();
    ensure!(sent.is_empty(), "the server has sent:\n{}", sent.join("\n"));
    running.terminate().map(drop)
}

/// Broken packets are counted, by the kind of their fault, and none of them has a line of its own in the log.
fn counted(stage: &Stage, running: &Running) -> Result {
    running.signal(Signal::USR1)?;
    let said = || -> Result<String> { Ok(running.log()? + &stage.text("knockd.log")) };
    until("the counters are logged", || Ok(said()?.contains("counters: ")))?;
    let said = said()?;
    let counters = said.lines().find(|line| line.contains("counters: ")).unwrap_or_default();
    let none = |name: &str| counters.split_whitespace().any(|word| word == format!("{name}=0"));
    ensure!(counters.contains("bad-network-header="), "no broken packets among the counters: {counters}");
    ensure!(!(none("bad-network-header") && none("bad-transport-header")), "nothing broken was counted: {counters}");
    let lines = said.lines().count();
    ensure!(lines < usize::try_from(JUNK_FRAMES)? / 2, "{lines} lines for {JUNK_FRAMES} broken packets");
    Ok(())
}

/// Frames that are nearly packets: good ones with bytes changed and ends cut off, the same in each run.
fn junk(wire: &mut Wire) -> Result {
    let mut state: u32 = 1;
    let mut below = |limit: usize| -> Result<usize> {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Ok(usize::try_from(state >> 8)? % limit)
    };
    for number in 0..JUNK_FRAMES {
        let (source, destination) = if number % 2 == 0 { (CLIENT4, SERVER4) } else { (CLIENT6, SERVER6) };
        let port = PORTS.get(below(PORTS.len())?).copied().unwrap_or_default();
        let mut frame = packet::frame(&match below(3)? {
            0 => packet::datagram(source, destination, port, &[0xa5; 64]),
            _ => packet::syn(source, destination, port),
        });
        for _ in 0..=below(4)? {
            // The hardware addresses stay, so that it arrives.
            let place = 12 + below(frame.len() - 12)?;
            if let Some(byte) = frame.get_mut(place) {
                *byte = u8::try_from(below(256)?)?;
            }
        }
        if below(3)? == 0 {
            frame.truncate(14 + below(frame.len() - 14)?);
        }
        wire.raw(&frame)?;
    }
    Ok(())
}
