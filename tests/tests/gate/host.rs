//! The host around the gate: its own firewall, its rights, its kernel.

use std::fs;

use klopf_tests::{Case, Daemon, Need, Result, Running, Service, Stage, ensure, until};

use crate::scene::{FAMILIES, NEEDS, PORTS, SSH, Scene, door, long_door, tells};

const OLD_KERNEL: &str = env!("CARGO_BIN_EXE_old-kernel");
const NO_PERMISSION: i32 = 77;
const OS_ERROR: i32 = 71;
/// Whatever an administrator may have.
const RULES: &str = "table inet filter { \
        set bad { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 }; }; \
        chain input { type filter hook input priority 0; policy accept; ip saddr @bad drop; udp dport 60500 drop; }; \
        chain prerouting { type filter hook prerouting priority -300; tcp dport 9 drop; }; }; \
    table ip nat { chain prerouting { type nat hook prerouting priority -100; tcp dport 8080 redirect to :443; }; }; \
    table ip6 six { chain input { type filter hook input priority 10; tcp dport 9 drop; }; }; \
    table netdev dev { chain in { type filter hook ingress device eth0 priority 0; udp dport 9 drop; }; };";

pub(crate) fn cases() -> Vec<Case> {
    let needs: Vec<Need> = NEEDS.into_iter().chain([Need::Program("setpriv", "util-linux")]).collect();
    vec![
        Case::new("the_hosts_own_tables_are_never_touched", &NEEDS, untouched),
        Case::new("a_lease_opens_nothing_that_the_host_closes", &NEEDS, not_opened),
        Case::new("without_the_right_to_nftables_nothing_is_closed_and_it_exits_77", &needs, no_right),
        Case::new("without_nftables_nothing_is_closed_and_it_says_so", &NEEDS, no_nftables),
        Case::new("without_nftables_commands_run_still", &NEEDS, commands),
        Case::new("an_exported_ruleset_opens_to_the_sequence_without_a_daemon", &NEEDS, exported),
    ]
}

/// All tables but Klopf's.
fn others(stage: &Stage) -> Result<String> {
    let tables = stage.server.run("nft", &["list", "tables"])?;
    let mut text = String::new();
    for line in tables.lines().filter(|line| *line != "table inet klopf") {
        let words: Vec<&str> = line.split(' ').collect();
        let ["table", family, name] = words.as_slice() else { return Err(format!("not a table: {line}").into()) };
        text.push_str(&stage.server.run("nft", &["-a", "list", "table", family, name])?);
    }
    Ok(text)
}

fn untouched(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &long_door("if-klopfd-dies = \"open\"\nclosed = \"reject\""))?;
    stage.server.run("nft", &[RULES])?;
    let before = others(stage)?;
    ensure!(before.matches("table ").count() == 4, "not all of the rules are there:\n{before}");
    let same = |when: &str| -> Result {
        let now = others(stage)?;
        ensure!(now == before, "{when}, this\n{before}\nhas become\n{now}");
        Ok(())
    };
    let klopfd = Daemon::Klopfd.start(stage)?;
    same("at the start")?;
    for (friend, _, _) in FAMILIES {
        scene.enter(friend, SSH)?;
    }
    same("with leases")?;
    scene.says(&["reload"])?;
    same("after a reload")?;
    klopfd.murder()?;
    same("after a kill")?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    same("after a restart")?;
    scene.says(&["revoke", "ssh"])?;
    same("after a revocation")?;
    scene.says(&["unlock"])?;
    same("after unlock")?;
    klopfd.terminate()?;
    same("at the end")
}

fn not_opened(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\", \"udp/60000-61000\"]\nopen-for = \"600s\"";
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("ssh", lines))?;
    stage.server.run("nft", &[RULES])?;
    let [(friend, _, server), _] = FAMILIES;
    scene.enter(friend, SSH)?;
    scene.is_open(friend, server, Service::Udp(60000))?;
    scene.is_closed(friend, server, Service::Udp(60500))
}

fn no_right(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &long_door(""))?;
    let words = ["setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin"];
    let said = refuses(stage, &words, NO_PERMISSION)?;
    ensure!(said.contains("CAP_NET_ADMIN"), "CAP_NET_ADMIN is not named:\n{said}");
    nothing_closed(&mut scene)
}

fn no_nftables(stage: &Stage) -> Result {
    let mut scene = Scene::set(stage, &long_door(""))?;
    let said = refuses(stage, &[OLD_KERNEL, "nftables"], OS_ERROR)?;
    ensure!(tells(&said, &["nf"]) && tells(&said, &["kernel"]), "what the kernel lacks is not said:\n{said}");
    nothing_closed(&mut scene)
}

/// Starts a daemon that has to end with this exit code, and returns what it says.
fn refuses(stage: &Stage, words: &[&str], wanted: i32) -> Result<String> {
    let command = Daemon::Klopfd.command_under(stage, words)?;
    let mut running = Running::start(command, &stage.path("klopfd.out"))?;
    let code = running.until_ended()?;
    let said = running.log()?;
    ensure!(code == wanted, "ended with {code} instead of {wanted}:\n{said}");
    ensure!(!said.contains("ready"), "it was ready:\n{said}");
    Ok(said)
}

fn nothing_closed(scene: &mut Scene<'_>) -> Result {
    for (_, stranger, server) in FAMILIES {
        scene.is_open(stranger, server, SSH)?;
    }
    ensure!(scene.table()?.is_none(), "there is a table:\n{:?}", scene.table()?);
    Ok(())
}

fn commands(stage: &Stage) -> Result {
    let note = stage.note()?;
    let lines = format!(
        "open-for = \"1s\"\non-open = [{note:?}, \"open\", \"{{ip}}\"]\non-close = [{note:?}, \"close\", \"{{ip}}\"]"
    );
    let mut scene = Scene::set(stage, &door("commands", &lines))?;
    let _klopfd = Daemon::Klopfd.start_under(stage, &[OLD_KERNEL, "nftables"])?;
    let [(friend, _, _), _] = FAMILIES;
    scene.knock(friend)?;
    stage.until_noted(&format!("open {friend}"), 1)?;
    stage.until_noted(&format!("close {friend}"), 1)
}

fn exported(stage: &Stage) -> Result {
    let lines = "guard = [\"tcp/22\", \"udp/60000-61000\"]\nopen-for = \"2s\"\nalways-allow = [\"10.99.0.9\"]";
    let mut scene = Scene::set(stage, &door("ssh", lines))?;
    stage.client.ip("addr add 10.99.0.9/24 dev eth0")?;
    let done = scene.klopf(&["export", "nft"])?.output()?;
    ensure!(done.status.success(), "klopf export nft: {done:?}");
    let file = stage.path("exported.nft");
    fs::write(&file, done.stdout)?;
    for (friend, _, server) in FAMILIES {
        scene.peer.hold(&format!("before-{friend}"), friend, server, SSH)?;
    }
    stage.server.run("nft", &["-f", &file.to_string_lossy()])?;
    let [one, two, three] = PORTS;
    for (friend, stranger, server) in FAMILIES {
        // Never the right order, not even with others among them.
        for wrong in [[three, two, one], [three, one, one]] {
            scene.wire.knock(friend, server, &wrong)?;
            scene.is_closed(friend, server, SSH)?;
        }
        scene.enter(friend, SSH)?;
        scene.is_open(friend, server, Service::Udp(60500))?;
        scene.is_closed(stranger, server, SSH)?;
        scene.peer.hold(&format!("up-{friend}"), friend, server, SSH)?;
        scene.until_closed(friend, server, SSH)?;
        let answer = scene.peer.says(&format!("up-{friend}"))?;
        ensure!(answer == klopf_tests::Answer::Open, "a connection of {friend} is cut: {answer:?}");
    }
    let [(_, _, server), _] = FAMILIES;
    scene.is_open("10.99.0.9".parse()?, server, SSH)?;
    // The same file again renews the rules instead of doubling them.
    stage.server.run("nft", &["-f", &file.to_string_lossy()])?;
    until("it opens after the second time", || {
        scene.wire.knock("10.99.0.2".parse()?, server, &PORTS)?;
        Ok(scene.peer.connects("10.99.0.2".parse()?, server, SSH)? == klopf_tests::Answer::Open)
    })
}
