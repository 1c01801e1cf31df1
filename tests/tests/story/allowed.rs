//! Who is always allowed is let in by a knock as others are, and never shut out again.

use klopf_tests::{CLIENT4, CLIENT6, Case, Daemon, Result, SERVER4, SERVER6, Stage, Wire, configure_klopfd, ensure};

const PORTS: [u16; 3] = [42000, 23000, 1337];

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("always_allowed_is_never_shut_out", &Wire::NEEDS, always_allowed)]
}

fn always_allowed(stage: &Stage) -> Result {
    let note = stage.note()?;
    let door = format!(
        "[door.door]\nsequence = {PORTS:?}\nwithin = \"60s\"\nopen-for = \"1s\"\n\
         always-allow = [\"192.0.2.0/24\", \"10.99.0.0/30\", \"fd00:99::2/128\"]\n\
         on-open = [{note:?}, \"open\", \"{{ip}}\"]\non-close = [{note:?}, \"close\", \"{{ip}}\"]\n"
    );
    configure_klopfd(stage, &["eth0"], &door)?;
    let klopfd = Daemon::Klopfd.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    // Twice 10.99.0.2, for a second knock of theirs must not change that.
    for (from, to) in [(CLIENT4, SERVER4), (CLIENT6, SERVER6), (CLIENT4, SERVER4)] {
        let before = stage.notes().len();
        wire.knock(from, to, &PORTS)?;
        stage.until_noted(&format!("open {from}"), 1)?;
        klopf_tests::until("the knock opens", || Ok(stage.notes().len() > before))?;
    }
    // The first addresses beyond the networks.
    let (other4, other6) = ("10.99.0.4", "fd00:99::3");
    wire.knock(other4.parse()?, SERVER4, &PORTS)?;
    wire.knock(other6.parse()?, SERVER6, &PORTS)?;
    // Opened later, so when these are closed the others' time has passed.
    stage.until_noted(&format!("close {other4}"), 1)?;
    stage.until_noted(&format!("close {other6}"), 1)?;
    klopfd.terminate()?;
    let closed: Vec<String> = stage.notes().into_iter().filter(|note| note.starts_with("close")).collect();
    ensure!(closed.len() == 2, "closed: {closed:?}");
    // Nothing is left to close after all.
    Daemon::Klopfd.start(stage)?.terminate()?;
    ensure!(stage.notes().iter().filter(|note| note.starts_with("close")).count() == 2, "noted: {:?}", stage.notes());
    Ok(())
}
