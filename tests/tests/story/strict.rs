//! A native door opens to its sequence and to nothing else.

use klopf_tests::{CLIENT4, Case, Daemon, Door, Need, Result, Running, SERVER4, Stage, Wire, ensure};

const NMAP: Need = Need::Program("nmap", "nmap");
/// What a scan hits most easily.
const ASCENDING: [u16; 3] = [7000, 8000, 9000];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("strict_ascending_scan_opens_nothing", &scan_needs(), |stage| scan(stage, &["-r"])),
        Case::new("strict_random_scan_opens_nothing", &scan_needs(), |stage| scan(stage, &[])),
        Case::new("strict_wrong_hit_ends_the_attempt", &Wire::NEEDS, wrong_hit),
        Case::new("strict_repeated_syn_is_no_wrong_hit", &Wire::NEEDS, repeated),
    ]
}

fn scan_needs() -> Vec<Need> {
    Wire::NEEDS.into_iter().chain([NMAP]).collect()
}

fn scan(stage: &Stage, order: &[&str]) -> Result {
    Daemon::Klopfd.configure(stage, &[Door::new("door", &ASCENDING, None)])?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let server = SERVER4.to_string();
    let options = ["-sS", "-p-", "-T5", "--max-retries", "0", "-n", "-Pn", &server];
    let report = stage.client.run("nmap", &[order, &options].concat())?;
    ensure!(report.contains("65535 scanned ports"), "not a whole scan: {report}");
    only_the_right_knock_opens(stage, klopfd)
}

fn wrong_hit(stage: &Stage) -> Result {
    Daemon::Klopfd.configure(stage, &[Door::new("door", &ASCENDING, None)])?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    wire.knock(CLIENT4, SERVER4, &[7000, 7777, 8000, 9000])?;
    wire.knock(CLIENT4, SERVER4, &[7000, 8000, 7000, 9000])?;
    wire.knock(CLIENT4, SERVER4, &[7000, 9000, 8000, 9000])?;
    only_the_right_knock_opens(stage, klopfd)
}

fn repeated(stage: &Stage) -> Result {
    Daemon::Klopfd.configure(stage, &[Door::new("door", &ASCENDING, None)])?;
    let _klopfd = Daemon::Klopfd.start(stage)?;
    Wire::link(stage, "eth0")?.knock(CLIENT4, SERVER4, &[7000, 7000, 7000, 8000, 8000, 9000])?;
    stage.until_noted("open door 10.99.0.2", 1)
}

/// Knocks right, from another origin, and makes sure that this is the only opening. Packets are taken in order, so
/// all that came before has had its chance.
fn only_the_right_knock_opens(stage: &Stage, klopfd: Running) -> Result {
    let other = "10.99.0.7".parse()?;
    Wire::link(stage, "eth0")?.knock(other, SERVER4, &ASCENDING)?;
    stage.until_noted("open door 10.99.0.7", 1)?;
    klopfd.terminate()?;
    ensure!(stage.notes() == ["open door 10.99.0.7"], "opened: {:?}", stage.notes());
    Ok(())
}
