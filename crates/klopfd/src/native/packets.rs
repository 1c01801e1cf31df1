//! Keys and sealed knocks in the engine's terms.

use std::io::ErrorKind;
use std::path::Path;

use klopf_config::native::{self as config, Config};
use klopf_engine::{Door, Hours, Key, KeyRef, Network};
use klopf_files::SERVER_KEY;
use klopf_spa::{PacketPort, ServerKey, Way};
use zeroize::Zeroizing;

use super::doors::milliseconds;
use crate::keeper::reason;
use crate::plan::{Factor, Packets, Person};

/// Reads the server's key; none if there is none and no key of anybody needs it.
///
/// # Errors
/// Says what is wrong: then there are no sealed knocks, and all else works.
pub(super) fn server_key(config_path: &Path, config: &Config) -> Result<Option<ServerKey>, String> {
    let path = config_path.with_file_name(SERVER_KEY);
    let shown = path.display();
    match std::fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) => ServerKey::parse(text.trim()).map(Some).map_err(|error| format!("{shown}: {error}")),
        Err(error) if error.kind() == ErrorKind::NotFound && config.keys.is_empty() => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("{shown} is not there: `klopf invite` makes it, or put it back from where you keep a copy"))
        }
        Err(error) => Err(format!("{shown}: {}", reason(&error))),
    }
}

/// How sealed knocks come, and from whom; keys are without their ids.
pub(super) fn packets(config: &Config, server: &ServerKey, doors: &[(String, Door)]) -> Packets {
    let shape = config.packet.shape;
    let port = match config.packet.port {
        Some(config::PacketPort::Fixed(port)) => PacketPort::Fixed(port),
        Some(config::PacketPort::Hop) => PacketPort::Hop,
        None => PacketPort::Fixed(shape.port().unwrap_or_else(|| server.public().port())),
    };
    let people = config.keys.iter().map(|key| person(config, key, doors)).collect();
    let window = milliseconds(config.packet.window);
    Packets { server: server.clone(), way: Way { port, shape }, window, people }
}

fn person(config: &Config, key: &config::Key, doors: &[(String, Door)]) -> Person {
    let may = |door: &&config::Door| Config::may_open(key, door) && door.takes(config::Way::Packet);
    let names: Vec<&str> = config.doors.iter().filter(may).map(|door| door.name.as_str()).collect();
    let allowed = doors.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, door)| door.id).collect();
    let hours = |hours: &config::Hours| {
        let days = hours.days.iter().zip(0..).filter(|(on, _)| **on).fold(0, |days, (_, day)| days | 1 << day);
        Hours { days, from: hours.from, to: hours.to }
    };
    let network = |network: &config::Network| Network { address: network.address, prefix: network.prefix };
    Person {
        name: key.name.to_string(),
        key: Key {
            key: KeyRef::default(),
            id: key.public.id().0,
            doors: allowed,
            not_before: key.not_before,
            expires: key.expires,
            hours: key.hours.iter().map(hours).collect(),
            max_uses: key.max_uses,
            max_open_for: key.max_open_for.map(milliseconds),
            networks: key.networks.iter().map(network).collect(),
            no_clock: key.no_clock,
            join_before: key.join_before,
            once: key.once,
        },
        public: key.public,
        psk: key.psk.clone(),
        factor: key.totp.as_ref().map(|totp| Factor(Zeroizing::new(totp.bytes().to_vec()))),
    }
}
