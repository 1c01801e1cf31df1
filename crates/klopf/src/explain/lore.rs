//! What is known to explain a knock with: the keys and doors of a profile, or of the server.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use klopf_config::native::{Config, Key as Terms, Log, LogFrom, Way};
use klopf_engine::MayAsk;
use klopf_files::{Files, NoServerKey, server_key};
use klopf_spa::encoded::{Claim, Mark, Symbols, Template, open};
use klopf_spa::{KeyId, Known, Name, Opener, Own, ServerPublic, Shape, Tokens, door_hash};
use klopf_wire::Port;
use klopf_wire::line::Patterns;

use super::Key;
use crate::complain;
use crate::failure::{Failure, code};
use crate::profile::{Folders, Kept, Secrets};
use crate::sequence::Template as Told;
use crate::token::own;

/// A record of what the daemon has accepted of a key, in bytes, and where the device of a key stands in it.
const RECORD: usize = 64;
const BOUND: usize = 28;

/// Keys and doors.
pub(super) struct Lore {
    pub(super) server: ServerPublic,
    pub(super) keys: Vec<KnownKey>,
    pub(super) doors: Vec<KnownDoor>,
    pub(super) books: Vec<Name>,
    pub(super) shape: Shape,
    /// What opens sealed packets; none without the server's key.
    pub(super) opener: Option<Opener>,
    /// By how many seconds clocks may differ; none where the server alone knows.
    pub(super) window: Option<u64>,
    /// The logs of the server's configuration.
    logs: Vec<Log>,
    tokens: Tokens,
}

/// A key.
pub(super) struct KnownKey {
    pub(super) name: Name,
    pub(super) id: KeyId,
    /// None if the key belongs to a device that is not known yet.
    pub(super) own: Option<Own>,
    /// Its terms, and the doors that it may open by an encoded sequence; none where the server alone knows.
    pub(super) terms: Option<(Terms, Vec<Name>)>,
}

/// A door.
#[derive(Clone)]
pub(super) struct KnownDoor {
    pub(super) name: Name,
    pub(super) template: Option<Template>,
    /// Milliseconds that may be between two hits of an encoded sequence.
    pub(super) pause: u64,
    pub(super) sequence: Vec<Port>,
    /// Milliseconds that its sequence may take.
    pub(super) within: u64,
    /// Whether hits from logs count.
    pub(super) by_log: bool,
    /// Whether hits from packets count for its sequence, and for its encoded sequence.
    pub(super) by_packet: (bool, bool),
    /// What may be asked for; none where the server alone knows.
    pub(super) may_ask: Option<MayAsk>,
}

impl Lore {
    /// Of a profile; the command line says what it may not know of a door.
    pub(super) fn of_profile(folders: &Folders, kept: &Kept, door: &Name, told: &Told) -> Result<Self, Failure> {
        let (secrets, profile) = (Secrets::of(kept)?, &kept.profile);
        let of = |name: &Name| {
            let known = profile.encoded.iter().find(|encoded| encoded.door == *name).map(|encoded| encoded.template);
            if name == door { told.over(known) } else { known }
        };
        let doors = profile.doors.iter().map(|name| KnownDoor {
            name: name.clone(),
            template: of(name),
            pause: 60_000,
            sequence: Vec::new(),
            within: 0,
            by_log: true,
            by_packet: (true, true),
            may_ask: None,
        });
        let own = own(folders, kept, &secrets);
        let key = KnownKey { name: kept.name.clone(), id: secrets.id(), own: Some(own), terms: None };
        let mut books: Vec<Name> = profile.books.iter().flat_map(|books| books.of.clone()).collect();
        books.dedup();
        Ok(Self::new(profile.server, vec![key], doors.collect(), books, (profile.way.shape, None, None)))
    }

    /// What reads the lines of a file, if it is one of the server's logs.
    pub(super) fn reader_of(&self, path: &Path) -> Option<Patterns> {
        let is_it = |log: &&Log| matches!(&log.from, LogFrom::File(file) if Path::new(file) == path);
        self.logs.iter().find(is_it).filter(|log| log.tells_of_hits()).and_then(Log::reader)
    }

    /// Of a server, by its configuration.
    pub(super) fn of_server(main: &Path) -> Result<Self, Failure> {
        let files = Files::read(main).map_err(|unreadable| {
            let (path, error) = (unreadable.path.display(), unreadable.error);
            Failure::new(code::NO_INPUT, format_args!("cannot read {path}: {error}; with --server this is for root"))
        })?;
        let faults =
            |faults| Failure::new(code::CONFIG, format_args!("klopfd would not take the configuration:\n\n{faults}"));
        let config = files.parse().map_err(faults)?.config;
        let server = match server_key(main) {
            Ok(Some(key)) => key,
            Ok(None) => return Err(Failure::new(code::NO_INPUT, "there is no server.key: nobody was invited yet")),
            Err(NoServerKey::Unreadable(error)) => {
                return Err(Failure::new(code::NO_INPUT, format_args!("cannot read server.key: {error}")));
            }
            Err(NoServerKey::Wrong(error)) => {
                return Err(Failure::new(code::CONFIG, format_args!("server.key: {error}")));
            }
        };
        let devices = devices(&Path::new(&config.daemon.state_dir).join("replay"));
        let mut opener = Opener::new(&server, config.packet.shape);
        opener.people(config.keys.iter().zip(0..).map(|(key, number)| (number, key.public, key.psk.clone())));
        let keys = config.keys.iter().map(|key| known_key(&config, key, &devices)).collect();
        let doors = config.doors.iter().filter_map(|door| known_door(&config, door)).collect();
        let books = config.guestbooks.iter().map(|book| book.name.clone()).collect();
        let window = config.packet.window.as_secs();
        let lore = Self::new(server.public(), keys, doors, books, (config.packet.shape, Some(opener), Some(window)));
        Ok(Self { logs: config.logs, ..lore })
    }

    fn new(
        server: ServerPublic,
        keys: Vec<KnownKey>,
        doors: Vec<KnownDoor>,
        books: Vec<Name>,
        (shape, opener, window): (Shape, Option<Opener>, Option<u64>),
    ) -> Self {
        let mut tokens = Tokens::new(&server);
        tokens.keys(keys.iter().zip(0..).map(|(key, number)| Known { id: key.id, number }));
        let unbound = keys.iter().filter(|key| key.own.is_none()).map(|key| &*key.name).collect::<Vec<_>>();
        if !unbound.is_empty() {
            complain(format_args!(
                "Of no use before their devices have sent a packet: the keys {}.",
                unbound.join(", ")
            ));
        }
        Self { server, keys, doors, books, shape, opener, window, logs: Vec::new(), tokens }
    }

    /// Which keys a token may be by.
    pub(super) fn of_token(&self, body: &[u8]) -> Vec<(&KnownKey, &Own)> {
        self.known(self.tokens.of_token(body))
    }

    /// The same for a code; empty if it is none.
    pub(super) fn of_code(&self, body: &[u8]) -> Vec<(&KnownKey, &Own)> {
        self.tokens.of_code(body).map_or_else(Vec::new, |(_, known)| self.known(known))
    }

    /// The same for the symbols of a sequence.
    pub(super) fn of_sequence(&self, template: &Template, symbols: &[u16]) -> Vec<(&KnownKey, &Own)> {
        self.known(self.tokens.of_sequence(template, symbols))
    }

    fn known(&self, known: &[Known]) -> Vec<(&KnownKey, &Own)> {
        let key = |known: &Known| self.keys.get(usize::try_from(known.number).ok()?);
        known.iter().filter_map(key).filter_map(|key| Some((key, key.own.as_ref()?))).collect()
    }

    /// Opens a sequence for a door, with the first key that does.
    pub(super) fn opened(
        &self,
        door: &Name,
        template: &Template,
        symbols: &[u16],
        now: u64,
    ) -> Option<(&KnownKey, &Own, Claim, Mark)> {
        self.of_sequence(template, symbols).into_iter().find_map(|(key, own)| {
            let (claim, mark) = open((&self.server, key.id, own), door_hash(door), template, symbols, now)?;
            Some((key, own, claim, mark))
        })
    }

    /// A key as `klopf_spa::encoded` takes it.
    pub(super) fn key<'k>(&'k self, key: &KnownKey, own: &'k Own) -> Key<'k> {
        (&self.server, key.id, own)
    }
}

/// What a sequence looks like to a server that heard hits in this order.
pub(super) type Reading = Symbols;

fn known_key(config: &Config, key: &klopf_config::native::Key, devices: &HashMap<[u8; 8], [u8; 16]>) -> KnownKey {
    let id = key.public.id();
    let own = if key.once {
        devices.get(&id.0).map(|device| Own::bound(&key.psk, *device))
    } else {
        Some(Own::psk(&key.psk))
    };
    let may = config.doors.iter().filter(|door| config.opens_by(Way::Encoded, key, door));
    let opens = may.filter_map(|door| Name::new(&door.name)).collect();
    KnownKey { name: key.name.clone(), id, own, terms: Some((key.clone(), opens)) }
}

fn known_door(config: &Config, door: &klopf_config::native::Door) -> Option<KnownDoor> {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Some(KnownDoor {
        name: Name::new(&door.name)?,
        template: door.encoded.map(|encoded| encoded.template),
        pause: door.encoded.map_or(0, |encoded| ms(encoded.within)),
        sequence: door.sequence.clone(),
        within: ms(door.within),
        by_log: door.takes(Way::Log) && !config.logs.is_empty(),
        by_packet: (door.takes(Way::Sequence), door.takes(Way::Encoded)),
        may_ask: Some(MayAsk {
            ports: door.askable().iter().map(|range| (range.first, range.last)).collect(),
            hold: door.may_ask.hold.map(ms),
            prefix: door.may_ask.prefix,
            prefix6: door.may_ask.prefix6,
            flags: door.may_ask.flags,
        }),
    })
}

/// Which key belongs to which device, as the daemon has written down; none where it has not.
fn devices(path: &Path) -> HashMap<[u8; 8], [u8; 16]> {
    devices_of(&fs::read(path).unwrap_or_default())
}

/// The device of each key, by its id, of records as the daemon writes them; the last one of a key counts.
fn devices_of(records: &[u8]) -> HashMap<[u8; 8], [u8; 16]> {
    let device = |record: &[u8]| {
        let id = *record.first_chunk::<8>()?;
        let (bound, rest) = record.get(BOUND..)?.split_first()?;
        Some((id, *rest.first_chunk::<16>().filter(|_| *bound == 1)?))
    };
    records.chunks_exact(RECORD).filter_map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record: id, floor, counter, uses, whether a device is bound, which, and what is checked elsewhere.
    fn record(id: u8, bound: u8, device: u8) -> Vec<u8> {
        [&[id; 8][..], &[0; 20], &[bound], &[device; 16], &[0; 19]].concat()
    }

    #[test]
    fn the_device_of_a_key_is_the_last_that_was_written_down() {
        let file = [record(1, 1, 7), record(2, 0, 0), record(3, 1, 8), record(1, 1, 9), vec![3; 63]].concat();
        let found = devices_of(&file);
        assert_eq!((found.len(), found.get(&[1; 8]), found.get(&[3; 8])), (2, Some(&[9; 16]), Some(&[8; 16])));
        assert!(devices_of(&[]).is_empty());
    }
}
