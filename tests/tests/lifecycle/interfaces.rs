//! Interfaces: many, of all kinds, late, and in motion.

use std::net::IpAddr;

use klopf_tests::{
    CLIENT4, Case, Daemon, Need, Result, Running, SERVER4, Stage, Wire, configure_klopfd, ensure, until,
};

use crate::PORTS;

const IP_NEEDS: [Need; 1] = Wire::NEEDS;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("interface_that_comes_later_is_followed", &IP_NEEDS, later),
        Case::new("interface_that_flaps_is_followed", &IP_NEEDS, flapping),
        Case::new("interface_that_is_made_anew_is_followed", &IP_NEEDS, anew),
        Case::new("interface_that_changes_its_address_is_followed", &IP_NEEDS, moved),
        Case::new("interfaces_that_are_named_take_knocks_and_no_others", &IP_NEEDS, named),
        Case::new("interfaces_are_all_watched_unless_named", &IP_NEEDS, all),
        Case::new("interface_loopback_takes_knocks", &[], loopback),
        Case::new("interface_tun_takes_knocks", &[IP_NEEDS.as_slice(), &[Need::Tun]].concat(), tun),
        Case::new("interface_vlan_takes_knocks", &[IP_NEEDS.as_slice(), &[Need::Vlan]].concat(), vlan),
    ]
}

fn later(stage: &Stage) -> Result {
    let mut klopfd = started(stage, &["late0"])?;
    klopfd.until("it says what it waits for", |log| log.contains("late0"))?;
    stage.link("late0")?;
    stage.server.ip("addr add 10.98.0.1/24 dev late0")?;
    until_opens(stage, "late0", "10.98.0.2", "10.98.0.1")
}

fn flapping(stage: &Stage) -> Result {
    let _klopfd = started(stage, &["eth0"])?;
    until_opens(stage, "eth0", "10.99.0.3", "10.99.0.1")?;
    stage.server.ip("link set eth0 down")?;
    stage.server.ip("link set eth0 up")?;
    until_opens(stage, "eth0", "10.99.0.4", "10.99.0.1")
}

fn anew(stage: &Stage) -> Result {
    let _klopfd = started(stage, &["eth0"])?;
    until_opens(stage, "eth0", "10.99.0.3", "10.99.0.1")?;
    stage.server.ip("link del eth0")?;
    stage.link("eth0")?;
    stage.server.ip("addr add 10.99.0.1/24 dev eth0")?;
    until_opens(stage, "eth0", "10.99.0.4", "10.99.0.1")
}

fn moved(stage: &Stage) -> Result {
    let _klopfd = started(stage, &["eth0"])?;
    until_opens(stage, "eth0", "10.99.0.3", "10.99.0.1")?;
    stage.server.ip("addr del 10.99.0.1/24 dev eth0")?;
    stage.server.ip("addr add 10.99.0.77/24 dev eth0")?;
    until_opens(stage, "eth0", "10.99.0.4", "10.99.0.77")
}

fn named(stage: &Stage) -> Result {
    two_more_links(stage)?;
    let _klopfd = started(stage, &["eth0", "eth1"])?;
    Wire::link(stage, "eth2")?.knock("10.97.0.2".parse()?, "10.97.0.1".parse()?, &PORTS)?;
    until_opens(stage, "eth0", "10.99.0.2", "10.99.0.1")?;
    until_opens(stage, "eth1", "10.98.0.2", "10.98.0.1")?;
    ensure!(stage.noted("open 10.97.0.2") == 0, "an interface that is not named took a knock");
    Ok(())
}

fn all(stage: &Stage) -> Result {
    let config = configure_klopfd(stage, &["eth0"], &door(stage)?)?;
    let text = std::fs::read_to_string(config)?;
    stage.write("klopf.toml", &text.replace("interfaces = [\"eth0\"]\n", ""))?;
    two_more_links(stage)?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    until_opens(stage, "eth0", "10.99.0.2", "10.99.0.1")?;
    until_opens(stage, "eth1", "10.98.0.2", "10.98.0.1")?;
    until_opens(stage, "eth2", "10.97.0.2", "10.97.0.1")?;
    stage.link("eth3")?;
    stage.server.ip("addr add 10.96.0.1/24 dev eth3")?;
    until_opens(stage, "eth3", "10.96.0.2", "10.96.0.1")
}

fn loopback(stage: &Stage) -> Result {
    let _klopfd = started(stage, &["lo"])?;
    let ports = PORTS.map(|port| port.to_string());
    let done = stage.server.command(klopf_tests::built("klopf")?).args(["knock", "127.0.0.1"]).args(ports).output()?;
    ensure!(done.status.success(), "klopf knock: {done:?}");
    stage.until_noted("open 127.0.0.1", 1)
}

fn tun(stage: &Stage) -> Result {
    let mut wire = Wire::tun(stage, "tun0")?;
    stage.server.ip("addr add 10.97.0.1/24 dev tun0")?;
    stage.server.ip("link set tun0 up")?;
    let _klopfd = started(stage, &["tun0"])?;
    wire.knock("10.97.0.2".parse()?, "10.97.0.1".parse()?, &PORTS)?;
    stage.until_noted("open 10.97.0.2", 1)?;
    stage.server.ip("addr add fd00:97::1/64 dev tun0 nodad")?;
    until("the IPv6 knock opens", || {
        wire.knock("fd00:97::2".parse()?, "fd00:97::1".parse()?, &PORTS)?;
        Ok(stage.noted("open fd00:97::2") > 0)
    })
}

fn vlan(stage: &Stage) -> Result {
    for host in [&stage.server, &stage.client] {
        host.ip("link add link eth0 name eth0.5 type vlan id 5")?;
        host.ip("link set eth0.5 up")?;
    }
    stage.server.ip("addr add 10.95.0.1/24 dev eth0.5")?;
    let _klopfd = started(stage, &["eth0.5"])?;
    // Sent on the VLAN, so that the tag is put on by the client and taken off by the server.
    until_opens(stage, "eth0.5", "10.95.0.2", "10.95.0.1")?;
    // Without the tag it comes in by eth0, which is not watched.
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &PORTS)?;
    until_opens(stage, "eth0.5", "10.95.0.3", "10.95.0.1")?;
    ensure!(stage.noted("open 10.99.0.2") == 0, "an interface that is not named took a knock");
    Ok(())
}

fn two_more_links(stage: &Stage) -> Result {
    stage.link("eth1")?;
    stage.link("eth2")?;
    stage.server.ip("addr add 10.98.0.1/24 dev eth1")?;
    stage.server.ip("addr add 10.97.0.1/24 dev eth2")
}

fn door(stage: &Stage) -> Result<String> {
    let note = stage.note()?;
    Ok(format!("[door.door]\nsequence = {PORTS:?}\nwithin = \"60s\"\non-open = [{note:?}, \"open\", \"{{ip}}\"]\n"))
}

fn started(stage: &Stage, interfaces: &[&str]) -> Result<Running> {
    configure_klopfd(stage, interfaces, &door(stage)?)?;
    Daemon::Klopfd.start(stage)
}

/// Knocks until it opens: when the daemon has noticed an interface cannot be seen from outside.
fn until_opens(stage: &Stage, interface: &str, source: &str, destination: &str) -> Result {
    let (from, to): (IpAddr, IpAddr) = (source.parse()?, destination.parse()?);
    let mut wire = Wire::link(stage, interface)?;
    until(&format!("a knock from {source} on {interface} opens"), || {
        wire.knock(from, to, &PORTS)?;
        Ok(stage.noted(&format!("open {source}")) > 0)
    })
}
