//! Leases for a part of a door: one port, a network, a time that is asked for; and dry runs.

use std::net::IpAddr;

use klopf_spa::Shape;
use klopf_spa::encoded::{Claim, Fields, Mark, Span, Template, Transport, Whom, round_hold, seal};
use klopf_spa::{Own, Psk};
use klopf_tests::{
    CLIENT4, Case, Daemon, Person, Receiver, Result, Running, SERVER4, Service, Stage, ensure, now_ms, until,
};
use serde_json::Value;

use crate::scene::{NEEDS, SSH, STRANGER4, Scene, door, tells, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("a_lease_for_one_port_opens_that_port_alone", &NEEDS, one_port),
        Case::new("a_lease_for_one_port_stays_one_after_a_restart", &NEEDS, restarted),
        Case::new("a_lease_for_a_network_lets_all_of_it_in", &NEEDS, network),
        Case::new("what_may_not_be_asked_for_opens_nothing", &NEEDS, refused),
        Case::new("commands_get_what_was_asked_for_each_at_its_time", &NEEDS, commands),
        Case::new("a_dry_run_tells_all_and_does_nothing", &NEEDS, dry_run),
    ]
}

const WEB: Service = Service::Tcp(443);
const FIRST: Service = Service::Udp(60000);
const MIDDLE: Service = Service::Udp(60500);
const FIELDS: Fields = Fields { whom: Whom::V4Net, port: true, hold: true, flags: true };

/// A scene with somebody who spells knocks.
struct Play<'a> {
    scene: Scene<'a>,
    server: Receiver,
    person: Person,
    last: Mark,
}

impl<'a> Play<'a> {
    fn set(stage: &'a Stage, lines: &str) -> Result<Self> {
        let (server, person) = (Receiver::new(Shape::None)?, Person::new("laptop")?);
        server.install(stage)?;
        person.invite(stage, "")?;
        let encoded =
            "encoded = { ports = \"40000-40255\", fields = [\"addr\", \"net\", \"port\", \"for\", \"flag\"] }";
        let guard = "guard = [\"tcp/22\", \"tcp/443\", \"udp/60000-61000\"]";
        let scene = Scene::set(stage, &door("ssh", &format!("{guard}\nkeys = [\"*\"]\n{encoded}\n{lines}")))?;
        Ok(Self { scene, server, person, last: Mark(0) })
    }

    fn guarded(stage: &'a Stage, lines: &str) -> Result<(Self, Running)> {
        let play = Self::set(stage, lines)?;
        let klopfd = Daemon::Klopfd.start(stage)?;
        Ok((play, klopfd))
    }

    /// Knocks from the client's address.
    fn knock(&mut self, address: IpAddr, prefix: u8, port: u16, seconds: u32, flags: u8) -> Result {
        let span = Span::new(40000, 40255).ok_or("no span")?;
        let template = Template { span, transport: Transport::Tcp, fields: FIELDS };
        let (allow, port) = (Some((address, prefix)), Some(port).filter(|port| *port > 0));
        let claim = Claim { allow, port, hold: round_hold(seconds), flags };
        let from = Mark::at(now_ms()? / 1000).max(Mark(self.last.0 + 1));
        let Person { seed, psk, .. } = &self.person;
        let own: Own = Own::psk(psk as &Psk);
        let sealed_by = (&self.server.key.public(), seed.public().id(), &own);
        let (symbols, mark) = seal(sealed_by, "ssh", &template, &claim, from).ok_or("cannot be spelled")?;
        self.last = mark;
        let ports: Vec<u16> = symbols.into_iter().filter_map(|symbol| span.port(symbol)).collect();
        self.scene.wire.knock(CLIENT4, SERVER4, &ports)
    }

    /// The ports of all leases, in order; 0 for all ports.
    fn leased(&self) -> Result<Vec<(String, u64)>> {
        let status = self.scene.status()?;
        let port = |lease: &Value| lease.get("port").and_then(Value::as_u64).unwrap_or(0);
        let mut all: Vec<_> =
            status.list("leases").iter().map(|lease| (text(lease, "address").to_owned(), port(lease))).collect();
        all.sort();
        Ok(all)
    }

    fn only_open(&mut self, from: IpAddr, open: &[Service]) -> Result {
        for service in [SSH, WEB, FIRST, MIDDLE] {
            if open.contains(&service) {
                self.scene.is_open(from, SERVER4, service)?;
            } else {
                self.scene.is_closed(from, SERVER4, service)?;
            }
        }
        Ok(())
    }
}

fn one_port(stage: &Stage) -> Result {
    let (mut play, mut klopfd) = Play::guarded(stage, "open-for = \"2s\"\nmay-ask = { for = \"1h\" }")?;
    play.knock(CLIENT4, 32, 443, 600, 0)?;
    play.scene.until_open(CLIENT4, SERVER4, WEB)?;
    play.only_open(CLIENT4, &[WEB])?;
    play.only_open(STRANGER4, &[])?;
    klopfd.until("the log says which port", |log| tells(log, &["10.99.0.2 is let in at port 443"]))?;
    play.knock(CLIENT4, 32, 60500, 600, 0)?;
    play.scene.until_open(CLIENT4, SERVER4, MIDDLE)?;
    play.only_open(CLIENT4, &[WEB, MIDDLE])?;
    let own = CLIENT4.to_string();
    ensure!(play.leased()? == [(own.clone(), 443), (own.clone(), 60500)], "leases: {:?}", play.leased()?);
    let said = play.scene.says(&["status"])?;
    ensure!(said.contains("ssh (port 443)"), "no port in\n{said}");
    // All of it, for a while; what it had in common with others stays theirs.
    play.scene.says(&["grant", "ssh", &own, "--for", "3s"])?;
    play.only_open(CLIENT4, &[SSH, WEB, FIRST, MIDDLE])?;
    play.scene.until_closed(CLIENT4, SERVER4, SSH)?;
    play.only_open(CLIENT4, &[WEB, MIDDLE])?;
    // The other way round: what is opened for long is not made shorter.
    play.scene.says(&["grant", "ssh", &own, "--for", "600s"])?;
    play.knock(CLIENT4, 32, 22, 10, 0)?;
    play.scene.until_status("a lease for 22", |status| status.leases() == 4)?;
    play.scene.says(&["revoke", &own])?;
    play.only_open(CLIENT4, &[])?;
    ensure!(play.scene.leases_in_kernel()? == 0, "left over:\n{:?}", play.scene.table()?);
    Ok(())
}

fn restarted(stage: &Stage) -> Result {
    let (mut play, klopfd) = Play::guarded(stage, "may-ask = { for = \"1h\", prefix = 24 }")?;
    let network: IpAddr = [10, 99, 0, 0].into();
    play.knock(CLIENT4, 32, 60500, 600, 0)?;
    play.scene.until_open(CLIENT4, SERVER4, MIDDLE)?;
    play.knock(network, 24, 443, 600, 0)?;
    play.scene.until_open(STRANGER4, SERVER4, WEB)?;
    let before = play.leased()?;
    ensure!(before == [("10.99.0.0/24".to_owned(), 443), (CLIENT4.to_string(), 60500)], "leases: {before:?}");
    klopfd.murder()?;
    for journal in [true, false] {
        if !journal {
            // Then the kernel alone knows of them.
            std::fs::remove_file(stage.path("state/doors.journal"))?;
        }
        let klopfd = Daemon::Klopfd.start(stage)?;
        ensure!(play.leased()? == before, "leases: {:?}", play.leased()?);
        play.only_open(CLIENT4, &[WEB, MIDDLE])?;
        play.only_open(STRANGER4, &[WEB])?;
        if journal {
            klopfd.murder()?;
            continue;
        }
        play.scene.says(&["revoke", "10.99.0.0/24"])?;
        play.only_open(STRANGER4, &[])?;
        play.only_open(CLIENT4, &[MIDDLE])?;
    }
    Ok(())
}

fn network(stage: &Stage) -> Result {
    let (mut play, _klopfd) = Play::guarded(stage, "may-ask = { prefix = 24 }\nopen-for = \"3s\"")?;
    let network: IpAddr = [10, 99, 0, 0].into();
    play.knock(network, 24, 0, 0, 0)?;
    for address in [CLIENT4, STRANGER4] {
        play.scene.until_open(address, SERVER4, SSH)?;
        play.only_open(address, &[SSH, WEB, FIRST, MIDDLE])?;
    }
    ensure!(play.leased()? == [("10.99.0.0/24".to_owned(), 0)], "leases: {:?}", play.leased()?);
    for address in [CLIENT4, STRANGER4] {
        play.scene.until_closed(address, SERVER4, SSH)?;
    }
    ensure!(play.scene.leases_in_kernel()? == 0, "left over:\n{:?}", play.scene.table()?);
    Ok(())
}

fn refused(stage: &Stage) -> Result {
    let lines = "open-for = \"2s\"\nmay-ask = { ports = [\"tcp/443\"], prefix = 24, flags = [0] }";
    let (mut play, _klopfd) = Play::guarded(stage, lines)?;
    let wide: IpAddr = [10, 99, 0, 0].into();
    for (number, (address, prefix, port, flags, why)) in (1..).zip([
        (CLIENT4, 32, 22, 0, "wrong-port"),
        (CLIENT4, 32, 60500, 0, "wrong-port"),
        (wide, 23, 0, 0, "wrong-network"),
        (CLIENT4, 32, 0, 0b0010, "wrong-flags"),
    ]) {
        play.knock(address, prefix, port, 0, flags)?;
        let status = play.scene.until_status(why, |status| status.list("refusals").len() == number)?;
        let refusal = status.list("refusals").first().ok_or("no refusal")?;
        ensure!(text(refusal, "why") == why && status.leases() == 0, "{why}: {}", status.0);
    }
    play.only_open(CLIENT4, &[])?;
    // Longer than the door says is not refused, but not granted either.
    play.knock(CLIENT4, 32, 443, 3600, 1)?;
    play.scene.until_open(CLIENT4, SERVER4, WEB)?;
    play.scene.until_closed(CLIENT4, SERVER4, WEB)
}

fn commands(stage: &Stage) -> Result {
    let note = stage.note()?;
    let lines = format!(
        "may-ask = {{ for = \"1h\", prefix = 24 }}\n\
         on-open = [[{note:?}, \"one\", \"{{ip}} {{addr}} {{port}} {{for}} {{flag0}}{{flag1}}{{flag2}}{{flag3}} {{key}}\"],\
         {{ run = [{note:?}, \"two\"], after = \"1s\" }}, {{ run = [{note:?}, \"never\"], after = \"1h\" }}]\n\
         on-close = [[{note:?}, \"three\"], {{ run = [{note:?}, \"four\", \"{{addr}}\"], after = \"1s\" }}]"
    );
    let (mut play, klopfd) = Play::guarded(stage, &lines)?;
    play.knock([10, 99, 0, 0].into(), 24, 443, 600, 0b1001)?;
    stage.until_noted(&format!("one 10.99.0.0 10.99.0.0/24 443 {} 1001 laptop", round_hold(600)), 1)?;
    stage.until_noted("two", 1)?;
    // What closes is known after a kill, too, and is run in full.
    klopfd.murder()?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    play.scene.says(&["revoke", "ssh"])?;
    stage.until_noted("three", 1)?;
    stage.until_noted("four 10.99.0.0/24", 1)?;
    ensure!(stage.noted("never") == 0, "noted: {:?}", stage.notes());
    Ok(())
}

fn dry_run(stage: &Stage) -> Result {
    let note = stage.note()?;
    let lines = format!(
        "may-ask = {{ for = \"1h\" }}\n\
         on-open = [[{note:?}, \"open\", \"{{ip}}\"], {{ run = [{note:?}, \"late\"], after = \"5s\" }}]\n\
         on-close = [{note:?}, \"close\", \"{{port}}\"]\nopen-for = \"30s\""
    );
    let mut play = Play::set(stage, &lines)?;
    let rules = |play: &Play<'_>| -> Result<Vec<u8>> {
        Ok(play.scene.stage.server.output("nft", &["list", "ruleset"])?.stdout)
    };
    let before = rules(&play)?;
    let start = || -> Result<Running> {
        let mut command = Daemon::Klopfd.command(stage)?;
        command.arg("--dry-run");
        let mut dry = Running::start(command, &stage.path("dry.out"))?;
        dry.until_says("ready")?;
        Ok(dry)
    };
    let mut dry = start()?;
    play.knock(CLIENT4, 32, 443, 600, 0)?;
    let seconds = round_hold(600);
    for words in [
        &format!("dry run: would open door ssh for 10.99.0.2 at port 443 for {seconds} s, by key laptop")[..],
        "dry run: would run: ",
        "dry run: would run, 5 s later: ",
        "dry run: would run when it closes: ",
    ] {
        dry.until(words, |log| tells(log, &[words]))?;
    }
    play.scene.knock(STRANGER4)?;
    dry.until("a sequence is told", |log| {
        tells(log, &["would open door ssh for 10.99.0.3 for 30 s, by its sequence"])
    })?;
    // The kernel has nothing, so all is as open as before; and nothing was run or written.
    ensure!(rules(&play)? == before, "nft has something:\n{}", String::from_utf8_lossy(&rules(&play)?));
    play.only_open(STRANGER4, &[SSH, WEB, FIRST, MIDDLE])?;
    ensure!(stage.notes().is_empty(), "noted: {:?}", stage.notes());
    for directory in ["state", "run"] {
        ensure!(!stage.path(directory).exists(), "{directory} was made");
    }
    let log = dry.log()?;
    ensure!(!tells(&log, &["error"]) && !tells(&log, &["opened by"]), "the log:\n{log}");
    ensure!(dry.terminate()? == 0, "the dry run did not end well");

    // Beside one in earnest, and with what that has accepted before.
    let _klopfd = Daemon::Klopfd.start(stage)?;
    play.knock(CLIENT4, 32, 443, 600, 0)?;
    play.scene.until_open(CLIENT4, SERVER4, WEB)?;
    let read = |name: &str| std::fs::read(stage.path(name));
    let (marks, journal, table) = (read("state/replay")?, read("state/doors.journal")?, play.scene.table()?.is_some());
    let mut dry = start()?;
    play.scene.knock(STRANGER4)?;
    dry.until("it is told beside the other", |log| tells(log, &["would open door ssh for 10.99.0.3"]))?;
    play.scene.until_open(STRANGER4, SERVER4, SSH)?;
    dry.terminate()?;
    play.only_open(CLIENT4, &[WEB])?;
    ensure!(play.leased()?.len() == 2 && table && read("state/replay")? == marks, "marks or leases have changed");
    until("the journal is its own", || Ok(read("state/doors.journal")?.starts_with(&journal)))
}
