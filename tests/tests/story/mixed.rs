//! Sequences over UDP, or over both protocols; and which hits among the right ones do harm.

use std::net::IpAddr;

use klopf_tests::{
    CLIENT4, CLIENT6, Case, Daemon, Result, Running, SERVER4, SERVER6, Stage, Wire, configure_klopfd, ensure, packet,
    set_klopfd, until,
};

/// As in `klopf.toml`, and as `klopf knock` takes it.
type Hits = [&'static str];

const UDP: &Hits = &["42000/udp", "23000/udp", "1337/udp"];
const MIXED: &Hits = &["42000/udp", "23000", "1337/udp"];

/// Serves on a TCP port and on a UDP port until it is killed.
const SERVICE: &str = "import signal, socket, sys\n\
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
    datagrams.bind(('', int(sys.argv[2])))\n\
    connections = socket.create_server(('', int(sys.argv[1])))\n\
    print('serving', flush=True)\n\
    signal.pause()";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("sequence_of_datagrams_opens", &Wire::NEEDS, |stage| opens(stage, UDP)),
        Case::new("sequence_of_both_protocols_opens", &Wire::NEEDS, |stage| opens(stage, MIXED)),
        Case::new("strict_hit_on_a_listed_port_is_no_wrong_hit", &Wire::NEEDS, listed),
        Case::new("strict_hit_on_a_served_port_is_no_wrong_hit", &Wire::NEEDS, served),
    ]
}

fn opens(stage: &Stage, sequence: &Hits) -> Result {
    configure(stage, sequence)?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    for server in [SERVER4, SERVER6] {
        // The right ports over the wrong protocol, one after the other.
        for wrong in sequence {
            let other = wrong.strip_suffix("/udp").map_or_else(|| format!("{wrong}/udp"), str::to_owned);
            let from = if server.is_ipv4() { "10.99.0.3" } else { "fd00:99::3" }.parse()?;
            for right in sequence {
                hit(&mut wire, from, server, if right == wrong { &other } else { right })?;
            }
        }
        let done = Daemon::Klopfd.knocker(stage)?.arg(server.to_string()).args(sequence).output()?;
        ensure!(done.status.success(), "klopf knock: {done:?}");
    }
    stage.until_noted(&format!("open {CLIENT4}"), 1)?;
    stage.until_noted(&format!("open {CLIENT6}"), 1)?;
    klopfd.terminate()?;
    ensure!(stage.notes().len() == 2, "opened to more than those who knocked right: {:?}", stage.notes());
    Ok(())
}

fn listed(stage: &Stage) -> Result {
    configure(stage, MIXED)?;
    set_klopfd(stage, "service-ports", "[\"tcp/443\", \"udp/5000-5010\"]")?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    only_harmless(stage, &mut wire, &["443", "5000/udp", "5010/udp"], &["443/udp", "5005", "5011/udp", "444"])
}

fn served(stage: &Stage) -> Result {
    configure(stage, MIXED)?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    let mut service = stage.server.command("python3");
    service.args(["-c", SERVICE, "8443", "8553"]);
    let mut service = Running::start(service, &stage.path("service.out"))?;
    service.until_says("serving")?;
    let mut wire = Wire::link(stage, "eth0")?;
    // The first hits on a port that was closed a moment ago may still be wrong ones.
    until("the service is noticed", || {
        among(&mut wire, CLIENT4, "8443")?;
        Ok(stage.noted(&format!("open {CLIENT4}")) > 0)
    })?;
    only_harmless(stage, &mut wire, &["8443", "8553/udp"], &["8443/udp", "8553", "8444"])
}

/// A knock opens with one of the harmless hits in it, and with one of the wrong ones it does not.
fn only_harmless(stage: &Stage, wire: &mut Wire, harmless: &Hits, wrong: &Hits) -> Result {
    for (hit, number) in wrong.iter().zip(10..) {
        among(wire, format!("10.99.0.{number}").parse()?, hit)?;
    }
    for (hit, number) in harmless.iter().zip(20..) {
        let from = format!("10.99.0.{number}").parse()?;
        among(wire, from, hit)?;
        stage.until_noted(&format!("open {from}"), 1).map_err(|fault| format!("with {hit} among them: {fault}"))?;
    }
    // Packets are taken in order, so all wrong ones have had their chance.
    for (hit, number) in wrong.iter().zip(10..) {
        ensure!(stage.noted(&format!("open 10.99.0.{number}")) == 0, "opened in spite of {hit}");
    }
    Ok(())
}

/// A right knock with another hit in the middle.
fn among(wire: &mut Wire, from: IpAddr, other: &str) -> Result {
    let [first, second, third] = MIXED else { return Err("not three".into()) };
    [first, other, second, third].into_iter().try_for_each(|element| hit(wire, from, SERVER4, element))
}

fn hit(wire: &mut Wire, from: IpAddr, to: IpAddr, element: &str) -> Result {
    let packet = match element.strip_suffix("/udp") {
        Some(port) => packet::datagram(from, to, port.parse()?, b"\0"),
        None => packet::syn(from, to, element.parse()?),
    };
    wire.packet(&packet)
}

fn configure(stage: &Stage, sequence: &Hits) -> Result {
    let note = stage.note()?;
    let door =
        format!("[door.door]\nsequence = {sequence:?}\nwithin = \"60s\"\non-open = [{note:?}, \"open\", \"{{ip}}\"]\n");
    configure_klopfd(stage, &["eth0"], &door).map(drop)
}
