//! Why a door may have stayed shut. Nobody answers a knock, so this is what can be known from here, likeliest first.

use std::io;
use std::time::Duration;

use klopf_config::profile::Allow;

use super::{Knocker, Sent};

/// A clock that says less is wrong, in seconds since 1970: 2026-01-01.
const SENSIBLE: u64 = 1_767_225_600;

/// Causes, each with what to do about it.
pub(crate) fn probable_causes(knocker: &Knocker, sent: &[Sent], refused: bool) -> Vec<String> {
    let profile = knocker.profile();
    let mut causes = Vec::new();
    let mut add = |cause: &str| causes.push(cause.to_owned());
    let now = super::unix_ms() / 1000;
    // It answers as every host does for a port at which nothing listens: so the packet has arrived.
    let arrives = sent.iter().any(is_rejected);
    if refused {
        add("Nothing listens at this port, or the door looks like that when it is closed.");
    }
    if profile.clock && now < SENSIBLE {
        add(&format!("This clock is wrong: it says {}. Knocks of another time are refused.", super::date(now)));
    }
    if let Some(port) = sent.first().map(|sent| sent.to.port()).filter(|_| !arrives) {
        add(&format!("A firewall on the way drops UDP to port {port}; try another network."));
    }
    match profile.allow {
        Allow::Observed => add(
            "The server sees another address of yours in the knock than in the connection, as behind some routers. To \
             name yours: --allow auto, or --allow ADDRESS",
        ),
        Allow::Auto => {}
        Allow::Address(address) => {
            add(&format!("The door opens for {address}; is that still your address?"));
        }
    }
    if profile.clock {
        add("Both clocks differ by more than the server takes; compare: date -u");
    }
    let end = "The key has ended, was revoked, or may not open this door; or klopfd does not run.";
    add(&format!("{end} On the server this says which: klopf status"));
    causes
}

/// Whether the host has answered that nothing listens at this port.
fn is_rejected(sent: &Sent) -> bool {
    let mut answer = [0; 1];
    let waits = sent.socket.set_read_timeout(Some(Duration::from_millis(1)));
    waits.is_ok() && sent.socket.recv(&mut answer).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
