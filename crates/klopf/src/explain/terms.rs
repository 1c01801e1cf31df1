//! Why a sequence that is sound would open nothing all the same.

use std::net::{IpAddr, Ipv4Addr};

use klopf_config::native::moment_text;
use klopf_engine::Asks;
use klopf_spa::encoded::{Claim, Mark};

use super::lore::{KnownDoor, KnownKey, Lore};
use crate::times::span;

/// What stands against a sequence at `now`, in seconds since 1970; nothing if the server would take it, or the server alone knows.
pub(super) fn against(
    lore: &Lore,
    door: &KnownDoor,
    key: &KnownKey,
    (claim, mark): (&Claim, Mark),
    now: u64,
) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |text: String| all.push(text);
    let off = mark.time().abs_diff(now);
    // A mark is the beginning of eight seconds.
    if let Some(window) = lore.window.filter(|window| off > window + 8) {
        let (off, window) = (span(off * 1000), span(window * 1000));
        add(format!("its time is {off} from the clock's, and {window} are allowed"));
    }
    if let Some((terms, opens)) = &key.terms {
        if !opens.contains(&door.name) {
            add(format!("the key {} may not open the door {} this way", key.name, door.name));
        }
        if let Some(end) = terms.expires.filter(|end| *end <= now) {
            add(format!("the key {} has expired: {}", key.name, moment_text(end)));
        }
        if let Some(begin) = terms.not_before.filter(|begin| *begin > now) {
            add(format!("the key {} does not count before {}", key.name, moment_text(begin)));
        }
        let among = |address: IpAddr| terms.networks.iter().any(|network| network.contains(address));
        if let Some((address, _)) = claim.allow.filter(|(address, _)| !terms.networks.is_empty() && !among(*address)) {
            add(format!("the key {} may not let in {address}", key.name));
        }
    }
    if let Some(may_ask) = &door.may_ask {
        let whole = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let prefix = claim.allow.filter(|(address, prefix)| *prefix < whole(*address)).map(|(_, prefix)| prefix);
        let address = claim.allow.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |(address, _)| address);
        let asks = Asks { port: claim.port, prefix, flags: claim.flags };
        if let Err(refusal) = may_ask.grants(address, &asks) {
            add(format!("the door grants less than that: {}", refusal.text()));
        }
    }
    all
}
