//! Why a door may have stayed shut. Nobody answers a knock, so this is what can be known from here, likeliest first.

use std::io;
use std::time::Duration;

use klopf_config::profile::Allow;

use super::knocker::{Knocker, Sent};

/// A clock that says less is wrong, in seconds since 1970: 2026-01-01.
const SENSIBLE: u64 = 1_767_225_600;

/// Causes, each with what to do about it.
pub(crate) fn probable_causes(knocker: &Knocker, sent: &[Sent], refused: bool) -> Vec<String> {
    let profile = knocker.profile();
    let mut causes = Vec::new();
    let now = super::knocker::unix_ms() / 1000;
    if refused {
        causes
            .push("The port refuses: either nothing listens there, or the door looks so when it is closed.".to_owned());
    }
    if profile.clock && now < SENSIBLE {
        causes.push(format!(
            "This clock is wrong: it says {}. A knock from another time is refused.",
            super::explain::date(now)
        ));
    }
    if sent.iter().any(was_rejected) {
        causes.push("The host answers that it does not take the packet (a firewall there rejects instead of dropping); klopfd may see it nevertheless.".to_owned());
    }
    match profile.allow {
        Allow::Observed if sent.len() == 1 => causes.push(
            "Your network may show another address for UDP than for TCP. To name yours: --allow auto, or --allow ADDRESS".to_owned(),
        ),
        Allow::Observed | Allow::Auto => {}
        Allow::Address(address) => causes.push(format!("The door is opened for {address}; is that still your address?")),
    }
    if let Some(port) = sent.first().map(|sent| sent.to.port()) {
        causes.push(format!("A firewall on the way may drop UDP to port {port}; try another network."));
    }
    if profile.clock {
        causes.push("The clocks of both may differ by more than the server takes; compare: date -u".to_owned());
    }
    causes.push(
        "The key may have expired or been revoked, or klopfd may not run. On the server this says why: klopf status"
            .to_owned(),
    );
    causes
}

/// Whether the host has answered that nobody takes packets at this port.
fn was_rejected(sent: &Sent) -> bool {
    let mut answer = [0; 1];
    let waits = sent.socket.set_read_timeout(Some(Duration::from_millis(1)));
    waits.is_ok() && sent.socket.recv(&mut answer).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
