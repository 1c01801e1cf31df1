//! Keys and sealed knocks in the engine's terms.

use std::path::Path;

use klopf_config::native::{self as config, Config, Way};
use klopf_engine::{Door, Hours, Key, KeyRef, Network};
use klopf_files::{NoServerKey, SERVER_KEY};
use klopf_spa::ServerKey;
use zeroize::Zeroizing;

use super::doors::milliseconds;
use crate::keeper::reason;
use crate::plan::{Factor, Packets, Person, Spelling};

/// Reads the server's key; none if there is none and no key of anybody needs it.
///
/// # Errors
/// Says what is wrong: then there are no sealed knocks, and all else works.
pub(super) fn server_key(config_path: &Path, config: &Config) -> Result<Option<ServerKey>, String> {
    let shown = config_path.with_file_name(SERVER_KEY);
    let shown = shown.display();
    match klopf_files::server_key(config_path) {
        Ok(Some(key)) => Ok(Some(key)),
        Ok(None) if config.keys.is_empty() => Ok(None),
        Ok(None) => {
            Err(format!("{shown} is not there: `klopf invite` makes it, or put it back from where you keep a copy"))
        }
        Err(NoServerKey::Unreadable(error)) => Err(format!("{shown}: {}", reason(&error))),
        Err(NoServerKey::Wrong(error)) => Err(format!("{shown}: {error}")),
    }
}

/// How sealed knocks come, and from whom; keys are without their ids.
pub(super) fn packets(config: &Config, server: &ServerKey, doors: &[(String, Door)]) -> Packets {
    let people: Vec<_> = config.keys.iter().map(|key| person(config, key, doors)).collect();
    let window = milliseconds(config.packet.window);
    let spelled = config.doors.iter().zip(doors).filter_map(|(native, (_, door))| {
        let config::Encoded { template, within } = native.encoded?;
        Some((door.id, Spelling { template, pause: milliseconds(within) }))
    });
    let encoded =
        spelled.filter(|(id, _)| people.iter().any(|person: &Person| person.key.doors.contains(id))).collect();
    Packets { server: server.clone(), way: config.packet.way(&server.public()), window, people, encoded }
}

fn person(config: &Config, key: &config::Key, doors: &[(String, Door)]) -> Person {
    let may = |door: &&config::Door| Way::BY_KEY.into_iter().any(|way| config.opens_by(way, key, door));
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
            revoked_sheets: key.revoked_sheets.iter().copied().collect(),
        },
        public: key.public,
        psk: key.psk.clone(),
        factor: key.totp.as_ref().map(|totp| Factor(Zeroizing::new(totp.bytes().to_vec()))),
    }
}
