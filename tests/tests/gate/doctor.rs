//! `klopf doctor` says what would keep a knock from working, and leaves nothing behind.

use klopf_tests::{Case, Daemon, Result, Running, Signal, Stage, ensure, serve, until};
use serde_json::Value;

use crate::scene::{NEEDS, STRANGER4, Scene, door, door_of, tells, text};

const SSH: &str = "guard = [\"tcp/22\"]";
/// What a firewall has that is meant to let the service through, and one that is not.
const STRICT: &str = "table inet filter { chain input { type filter hook input priority 0; policy drop; \
    ct state established,related accept; iif lo accept; meta l4proto ipv6-icmp accept; }; }";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("doctor_finds_nothing_wrong_with_a_healthy_host", &NEEDS, healthy),
        Case::new("doctor_names_a_policy_that_drops_what_klopf_lets_in", &NEEDS, policy),
        Case::new("doctor_names_a_rule_that_drops_what_klopf_lets_in", &NEEDS, rule),
        Case::new("doctor_names_a_rule_that_drops_before_klopf", &NEEDS, early),
        Case::new("doctor_is_content_with_a_firewall_that_accepts_the_doors", &NEEDS, accepting),
        Case::new("doctor_does_not_judge_rules_that_ask_for_the_interface", &NEEDS, by_interface),
        Case::new("doctor_tries_a_door_that_leads_to_a_host_behind", &NEEDS, behind),
        Case::new("doctor_tells_what_klopfd_has_reported", &NEEDS, reported),
        Case::new("doctor_sees_an_interface_that_is_down", &NEEDS, down),
        Case::new("doctor_sees_that_no_service_listens", &NEEDS, no_service),
        Case::new("doctor_sees_that_klopfd_does_not_run", &NEEDS, no_daemon),
        Case::new("doctor_sees_that_klopfd_hangs", &NEEDS, hangs),
        Case::new("doctor_sees_that_the_doors_are_unlocked", &NEEDS, unlocked),
        Case::new("doctor_sees_faults_of_the_configuration", &NEEDS, faults),
        Case::new("doctor_warns_of_published_ports_in_sequences", &NEEDS, published),
        Case::new("doctor_leaves_nothing_when_it_is_ended", &NEEDS, ended),
        Case::new("doctor_runs_no_commands", &NEEDS, commands),
    ]
}

fn healthy(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    let said = scene.ends(&["doctor"], 0)?;
    ensure!(said.contains("Nothing is wrong"), "it does not say so:\n{said}");
    for words in [
        &["fine", "rehearsal", "ipv4", "closed before the knock", " ms after"][..],
        &["fine", "rehearsal", "ipv6", "closed before the knock", " ms after"],
        &["fine", "doors", "a lease leads to the service"],
        &["fine", "services", "tcp/22 is listened on"],
        &["fine", "interfaces", "eth0"],
    ] {
        ensure!(tells(&said, words), "no line with {words:?}:\n{said}");
    }
    nothing_is_left(&scene)?;
    let said = scene.ends(&["doctor", "--json"], 0)?;
    let report: Value = serde_json::from_str(&said)?;
    let findings = report.get("findings").and_then(Value::as_array).ok_or("no findings")?;
    ensure!(report.get("wrong").and_then(Value::as_u64) == Some(0), "report: {report}");
    ensure!(findings.iter().any(|one| text(one, "about") == "rehearsal" && text(one, "level") == "fine"), "{report}");
    let said = scene.ends(&["doctor", "--no-rehearsal"], 0)?;
    ensure!(!said.contains("rehearsal"), "it has played:\n{said}");
    Ok(())
}

/// No namespace, link, table or lease of the doctor's is there, and what is closed is closed.
fn nothing_is_left(scene: &Scene<'_>) -> Result {
    let server = &scene.stage.server;
    until("the rehearsal's guard and leases are gone", || {
        Ok(!scene.table()?.unwrap_or_default().contains("(doctor)") && scene.status()?.leases() == 0)
    })?;
    let links = server.run("ip", &["-o", "link"])?;
    ensure!(!links.contains(": kd"), "links are left:\n{links}");
    // Others may be at it on this machine, and just at their end.
    until("no namespace is left of a doctor that has ended", || {
        let namespaces = server.run("ip", &["netns", "list"])?;
        let pids = namespaces.lines().filter_map(|line| line.strip_prefix("klopf-doctor-")?.split(' ').next());
        Ok(!pids.filter_map(|pid| pid.parse().ok()).any(klopf_tests::gone))
    })?;
    let tables = server.run("nft", &["list", "tables"])?;
    ensure!(!tables.contains("klopf_doctor"), "tables are left:\n{tables}");
    let table = scene.table()?.unwrap_or_default();
    ensure!(!table.contains("tcp . 6"), "the guard of the spare port is left:\n{table}");
    Ok(())
}

/// With these rules of somebody else something is wrong, and said in a line with these words.
fn blames(stage: &Stage, rules: &str, words: &[&str]) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    stage.server.run("nft", &[rules])?;
    let said = scene.ends(&["doctor"], 1)?;
    let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(tells(&joined, words), "it does not say {words:?}:\n{said}");
    ensure!(said.contains("WRONG"), "nothing is wrong:\n{said}");
    nothing_is_left(&scene)
}

fn policy(stage: &Stage) -> Result {
    blames(stage, STRICT, &["WRONG doors tcp/22", "dropped in inet filter input by its policy", "tcp dport 22 accept"])
}

fn rule(stage: &Stage) -> Result {
    let rules = "table inet mine { chain in { type filter hook input priority 5; tcp dport 22 drop; }; }";
    blames(stage, rules, &["WRONG doors tcp/22", "inet mine in by its rule `tcp dport 22 drop`"])
}

fn early(stage: &Stage) -> Result {
    let rules = "table ip raw { chain early { type filter hook prerouting priority -300; tcp dport 22 drop; }; }";
    blames(stage, rules, &["WRONG doors tcp/22", "before it comes to Klopf's table", "ip raw early by its rule"])
}

fn accepting(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    stage.server.run("nft", &[STRICT])?;
    stage.server.run("nft", &["add rule inet filter input tcp dport 22 accept"])?;
    let said = scene.ends(&["doctor"], 0)?;
    let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(tells(&joined, &["inet filter input", "opened by it in Klopf's table"]), "it does not say so:\n{said}");
    nothing_is_left(&scene)
}

fn by_interface(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    stage.server.run("nft", &[STRICT])?;
    stage.server.run("nft", &["add rule inet filter input iifname eth0 tcp dport 22 accept"])?;
    let said = scene.ends(&["doctor"], 0)?;
    let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(tells(&joined, &["warning doors", "inet filter input", "ask for the interface"]), "it says:\n{said}");
    Ok(())
}

fn behind(stage: &Stage) -> Result {
    let third = stage.third()?;
    let _service = serve(env!("CARGO_BIN_EXE_peer"), &third, &stage.path("behind.out"), &[22])?;
    let door = door("behind", "guard = [\"tcp/8022\"]\nforward = \"10.98.0.2:22\"");
    let (scene, _klopfd) = Scene::guarded(stage, &door)?;
    let said = scene.ends(&["doctor"], 0)?;
    ensure!(tells(&said, &["fine", "services", "leads to 10.98.0.2"]), "it says:\n{said}");
    // It may be on two lines.
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(words.contains("fine doors a lease leads to the service: tcp/8022 of door behind at"), "it says:\n{said}");
    nothing_is_left(&scene)
}

fn reported(stage: &Stage) -> Result {
    let (scene, klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    for child in klopfd.children()? {
        klopf_tests::send(child, Signal::STOP)?;
    }
    scene.until_status("a trouble", |status| !status.list("troubles").is_empty())?;
    let said = scene.ends(&["doctor"], 0)?;
    ensure!(tells(&said, &["warning", "klopfd", "reported", "watch"]), "it says:\n{said}");
    ensure!(tells(&said, &["fine", "rehearsal", "ipv4"]), "it says:\n{said}");
    Ok(())
}

fn down(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    stage.server.ip("link set eth0 down")?;
    let said = scene.ends(&["doctor"], 1)?;
    ensure!(tells(&said, &["wrong", "eth0 is down"]) && said.contains("ip link set eth0 up"), "it says:\n{said}");
    Ok(())
}

fn no_service(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("dark", "guard = [\"tcp/2222\"]"))?;
    let said = scene.ends(&["doctor"], 1)?;
    ensure!(tells(&said, &["wrong", "nothing listens at tcp/2222 of door dark"]), "it says:\n{said}");
    ensure!(said.contains("One thing is wrong"), "it says:\n{said}");
    Ok(())
}

fn no_daemon(stage: &Stage) -> Result {
    let scene = Scene::set(stage, &door("ssh", SSH))?;
    let said = scene.ends(&["doctor"], 1)?;
    ensure!(tells(&said, &["wrong", "klopfd", "does not run"]), "it says:\n{said}");
    ensure!(tells(&said, &["rehearsal", "not played"]), "it says:\n{said}");
    Ok(())
}

fn hangs(stage: &Stage) -> Result {
    let (scene, klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    klopfd.signal(Signal::STOP)?;
    let said = scene.ends(&["doctor"], 1)?;
    ensure!(tells(&said, &["wrong", "does not answer"]), "it says:\n{said}");
    Ok(())
}

fn unlocked(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    scene.says(&["unlock"])?;
    let said = scene.ends(&["doctor"], 1)?;
    ensure!(tells(&said, &["wrong", "unlocked"]) && said.contains("sudo klopf lock"), "it says:\n{said}");
    Ok(())
}

fn faults(stage: &Stage) -> Result {
    let (scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    scene.configure(&door("ssh", "guard = [\"22/tcp\"]"))?;
    let said = scene.ends(&["doctor"], 1)?;
    ensure!(tells(&said, &["wrong", "configuration", "22/tcp"]), "it says:\n{said}");
    Ok(())
}

fn published(stage: &Stage) -> Result {
    let doors = door_of("web", &[42000, 8080, 1337], "guard = [\"tcp/8443\"]");
    let (scene, _klopfd) = Scene::guarded(stage, &doors)?;
    let rules = "table ip nat { chain pre { type nat hook prerouting priority -100; \
        tcp dport 8080 dnat to 10.99.0.77:80; tcp dport 8443 redirect to :443; }; }";
    stage.server.run("nft", &[rules])?;
    let said = scene.ends(&["doctor"], 0)?;
    ensure!(tells(&said, &["warning", "containers", "tcp/8080"]), "it says:\n{said}");
    ensure!(said.contains("service-ports = [\"tcp/8080\"]"), "it says:\n{said}");
    ensure!(tells(&said, &["doors", "tcp/8443"]), "it says:\n{said}");
    Ok(())
}

fn ended(stage: &Stage) -> Result {
    let (mut scene, _klopfd) = Scene::guarded(stage, &door("ssh", SSH))?;
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let mut doctor = Running::start(scene.klopf(&["doctor"])?, &stage.path("doctor.out"))?;
        let own = format!("klopf-doctor-{}", doctor.pid());
        until("it has a namespace", || Ok(stage.server.run("ip", &["netns", "list"])?.contains(&own)))?;
        doctor.signal(signal)?;
        let code = doctor.until_ended()?;
        // It may have been quicker.
        ensure!([130, 0, -9].contains(&code), "ended with {code}:\n{}", doctor.log()?);
        if signal == Signal::KILL {
            scene.ends(&["doctor"], 0)?;
        }
        nothing_is_left(&scene)?;
        scene.is_closed(STRANGER4, klopf_tests::SERVER4, crate::scene::SSH)?;
    }
    Ok(())
}

fn commands(stage: &Stage) -> Result {
    let note = stage.note()?;
    let lines = format!("{SSH}\non-open = [{note:?}, \"opened\"]\non-close = [{note:?}, \"closed\"]");
    let scene = Scene::set(stage, &door("ssh", &lines))?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    let said = scene.ends(&["doctor"], 0)?;
    ensure!(tells(&said, &["doors", "not tried", "ssh"]), "it says:\n{said}");
    ensure!(stage.notes().is_empty(), "commands have run: {:?}", stage.notes());
    Ok(())
}
