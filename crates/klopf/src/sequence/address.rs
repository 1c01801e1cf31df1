//! For whom a sequence is.

use std::net::{IpAddr, SocketAddr};

use klopf_config::profile::{Allow, Profile};
use klopf_spa::encoded::Whom;
use klopf_spa::usable;

use super::asking::LetIn;
use crate::failure::{Failure, code};
use crate::open::{is_public, public_address, towards};

const HELP: &str = "name the address that is to be let in: --allow ADDRESS";

/// Whom to let in, as the fields of the door can say it; `to` is where hits go.
pub(super) fn allowed(
    whom: Whom,
    asked: Option<LetIn>,
    profile: &Profile,
    to: SocketAddr,
) -> Result<Option<(IpAddr, u8)>, Failure> {
    let usage = |why: &str| Err(Failure::new(code::USAGE, why));
    let v4 = match whom {
        Whom::Observed => {
            return match asked {
                None | Some(LetIn::One(Allow::Observed)) => Ok(None),
                Some(_) => usage(
                    "the sequences of this door have no field for an address, so it opens for the one that the hits come from; \
                     leave out --allow, or have `fields` of the door, and of the profile, name `addr`",
                ),
            };
        }
        Whom::V4 | Whom::V4Net => true,
        Whom::V6 | Whom::V6Net => false,
    };
    let whole = if v4 { 32 } else { 128 };
    let (address, prefix) = match asked.unwrap_or(LetIn::One(profile.allow)) {
        LetIn::Network(address, prefix) => (address, prefix),
        LetIn::One(Allow::Address(address)) => (address, whole),
        LetIn::One(Allow::Auto) => (seen(profile, v4)?, whole),
        LetIn::One(Allow::Observed) => (leaving(to)?, whole),
    };
    if address.is_ipv4() != v4 {
        let (wanted, other) = if v4 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        let why =
            format_args!("the sequences of this door name {wanted} addresses, and {address} is one of {other}; {HELP}");
        return Err(Failure::new(code::USAGE, why));
    }
    if prefix != whole && !matches!(whom, Whom::V4Net | Whom::V6Net) {
        return usage("the sequences of this door have no field `net`, so they let in one address and no network");
    }
    if usable(address).is_none() {
        let why = format_args!("nobody can be let in as {address}; {HELP}");
        return Err(Failure::new(code::USAGE, why));
    }
    Ok(Some((address, prefix)))
}

/// The address that a STUN server sees.
fn seen(profile: &Profile, v4: bool) -> Result<IpAddr, Failure> {
    let like: SocketAddr = if v4 { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    match &profile.stun {
        Some(server) => public_address(server, like, HELP),
        None => {
            let why =
                format_args!("auto asks a STUN server, and the profile names none with a line `stun = ...`; {HELP}");
            Err(Failure::new(code::CONFIG, why))
        }
    }
}

/// The address that hits leave with, if the server sees the same.
fn leaving(to: SocketAddr) -> Result<IpAddr, Failure> {
    let mut port = to;
    port.set_port(9);
    let local = towards(port).and_then(|socket| socket.local_addr()).map(|local| local.ip().to_canonical());
    let local = local.map_err(|error| {
        let why = format_args!("cannot send to {}: {error}; check this machine's network and firewall", to.ip());
        Failure::new(code::UNAVAILABLE, why)
    })?;
    if is_public(&local) || !is_public(&to.ip()) {
        return Ok(local);
    }
    let why = format_args!(
        "this device is {local} in its own network, and the server sees another address; {HELP}, or --allow auto, or `allow` in the profile"
    );
    Err(Failure::new(code::USAGE, why))
}
