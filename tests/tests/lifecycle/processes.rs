//! The keeper's children: without rights, and replaceable.

use klopf_tests::{
    CLIENT4, Case, Daemon, Door, Result, SERVER4, Signal, Stage, Wire, ensure, process_field, send, until,
};

use crate::{PORTS, both};

pub(crate) fn cases() -> impl Iterator<Item = Case> {
    both("children_have_no_rights", &[], no_rights).chain(both("children_that_die_are_replaced", &[], replaced))
}

fn no_rights(stage: &Stage, daemon: Daemon) -> Result {
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let running = daemon.start(stage)?;
    let children = running.children()?;
    ensure!(!children.is_empty(), "the keeper has no children");
    for pid in children {
        let field = |name| process_field(pid, name).ok_or_else(|| format!("{name} of {pid} is not known"));
        for name in ["Uid", "Gid"] {
            let ids = field(name)?;
            ensure!(ids.split_whitespace().all(|id| id != "0"), "{name} of child {pid}: {ids}");
        }
        for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            let capabilities = field(name)?;
            ensure!(capabilities.chars().all(|digit| digit == '0'), "{name} of child {pid}: {capabilities}");
        }
        ensure!(field("NoNewPrivs")? == "1", "child {pid} may gain privileges");
        ensure!(field("Seccomp")? == "2", "child {pid} has no seccomp filter");
        let groups = field("Groups")?;
        ensure!(groups.split_whitespace().all(|id| id != "0"), "child {pid} is in the groups {groups}");
    }
    Ok(())
}

fn replaced(stage: &Stage, daemon: Daemon) -> Result {
    daemon.configure(stage, &[Door::new("door", &PORTS, None)])?;
    let running = daemon.start(stage)?;
    let mut wire = Wire::link(stage, "eth0")?;
    // Packets that the first ones have read must not keep the next ones waiting.
    wire.knock("10.99.0.3".parse()?, SERVER4, &PORTS)?;
    stage.until_noted("open door 10.99.0.3", 1)?;
    let before = running.children()?;
    ensure!(!before.is_empty(), "the keeper has no children");
    for pid in &before {
        send(*pid, Signal::KILL)?;
    }
    until("there are new children", || {
        let now = running.children()?;
        Ok(!now.is_empty() && now.iter().all(|pid| !before.contains(pid)))
    })?;
    until("a knock opens again", || {
        wire.knock(CLIENT4, SERVER4, &PORTS)?;
        Ok(stage.noted("open door 10.99.0.2") > 0)
    })?;
    running.terminate().map(drop)
}
