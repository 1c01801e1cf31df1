//! What the watch says, each message checked against the keeper's own doors.

use klopf_engine::DoorId;
use klopf_sys::Background;

use super::answers::is_somebodys;
use super::packets::Sockets;
use super::watching::Told;
use super::{Finished, Keeper, reason};
use crate::face::{Event, Face, Ordered};
use crate::message::Up;

/// Messages of the watch that are heard before signals are looked at again.
const MESSAGES_AT_ONCE: usize = 64;

impl<F: Face> Keeper<'_, F> {
    /// Hears what the watch says, so much at a time that signals are heard, too; whether there may be more. Anything it
    /// should not say ends it.
    pub(super) fn hear(&mut self) -> bool {
        let more = self.hear_some();
        // All at once: each waits for the disk.
        self.grant_accepted();
        more
    }

    fn hear_some(&mut self) -> bool {
        for _ in 0..MESSAGES_AT_ONCE {
            match self.watching.receive() {
                Told::Nothing => return false,
                Told::Message(message) if self.believe(message) => {}
                Told::Message(_) | Told::Nonsense => {
                    self.face.tell(&Event::Trouble("the watch said something it must not; it is started again"));
                    self.watching.distrust();
                    return false;
                }
            }
        }
        true
    }

    /// Acts on a message; false if it cannot be right.
    fn believe(&mut self, message: Up) -> bool {
        let name = |id| self.plan.doors.iter().find(|(_, door)| door.id == id).map(|(name, _)| name.as_str());
        match message {
            Up::Ready { landlock, seccomp } => {
                self.face.tell(&Event::Watching(klopf_sys::Confined { landlock, seccomp }));
                self.get_ready();
            }
            // A door that is not there was there when the watch wrote, before a reload.
            Up::Stage { door, origin, stage } => {
                let Some((door, of)) = name(door).map(|name| (name.to_owned(), self.length(door))) else { return true };
                self.face.tell(&Event::Stage { door: &door, origin, stage });
                self.hit_in_trial(&door, origin, stage, of);
            }
            Up::TimedOut { door, origin, stage } => {
                let Some(door) = name(door).map(str::to_owned) else { return true };
                self.face.tell(&Event::TimedOut { door: &door, origin, stage });
                let text = format!("too slow: the time ran out after hit {stage}");
                self.memory.refused(&door, origin, "timeout", text);
            }
            Up::Broken { door, origin, stage, at } => {
                let Some(door) = name(door).map(str::to_owned) else { return true };
                self.face.tell(&Event::Broken { door: &door, origin, stage, at });
                let text = format!("a wrong hit, {at}, after hit {stage}");
                self.memory.refused(&door, origin, "wrong-hit", text);
            }
            Up::Refused { door, origin } => {
                let why = klopf_engine::Refusal::TooManyGrants.name();
                let Some(door) = name(door).map(str::to_owned) else { return true };
                self.face.tell(&Event::Refused { door: &door, origin, why });
                self.memory.refused(&door, origin, why, "too many doors were opened in a short time".to_owned());
            }
            // A forged knock, from an address that nobody has.
            Up::Grant { address, .. } if !is_somebodys(address) => {}
            Up::Grant { door: id, address, uses_up } => {
                let Some(door) = name(id).map(str::to_owned) else { return true };
                // At a door for sealed knocks alone a sequence would be a way round its keys.
                if self.plan.packets.is_some() && self.length(id) == 0 {
                    return false;
                }
                let rehearsed = self.rehearsal.as_ref().and_then(|rehearsal| rehearsal.order(id, address));
                let ordered = match rehearsed {
                    Some(order) => Some(Ordered { order: Some(order), replan: false }),
                    None => self.face.order(id, address, uses_up),
                };
                let replan = ordered.as_ref().is_some_and(|ordered| ordered.replan);
                // What can wait is done after the door is open, such as writing to a log.
                if let Some(order) = ordered.and_then(|ordered| ordered.order) {
                    self.open(order, None);
                }
                if self.dry_run.is_none() {
                    self.face.tell(&Event::Granted { door: &door, address });
                }
                self.tell_gate();
                if replan {
                    self.apply_anew();
                }
            }
            Up::Sealed { address, .. } if !is_somebodys(address) => {}
            Up::Sealed { door, address, sealed, offer } => return self.accept_sealed(door, address, sealed, offer),
            Up::Burnt { key, form, counter } => self.burn(key, form, counter),
            Up::SealedRefused(refusal) => self.refuse_sealed(&refusal),
            Up::Silenced(count) => self.face.tell(&Event::Silenced(count)),
            Up::Strange => self.services_stale = true,
            Up::Place(id, place, last) => self.take_place(id, place, last),
            Up::Cursor(id, piece, last) => self.take_cursor(id, &piece, last),
            Up::LogCounts(id, counts) => self.take_log_counts(id, counts),
            Up::Pong(number) => self.watching.answered(number),
            Up::Packet(knock) => self.face.tell(&Event::Packet(knock)),
            Up::Count(which, value) => {
                let names = crate::watch::count_names();
                let Some(&name) = names.get(usize::from(which)) else { return false };
                self.counts.push((name, value));
                if self.counts.len() >= names.len() {
                    let lost = self.packets.as_ref().map_or(0, Sockets::lost);
                    self.counts.push(("lost-since-last-asked", lost));
                    self.memory.counted(&self.counts);
                    if !std::mem::take(&mut self.counts_wanted) {
                        self.face.tell(&Event::Counts(&self.counts));
                    }
                    self.counts.clear();
                    self.memory.all_counted();
                }
            }
        }
        true
    }

    /// The first time the watch looks, the daemon is ready.
    fn get_ready(&mut self) {
        if std::mem::replace(&mut self.ready, true) {
            return;
        }
        if let Err(error) = self.first_guard() {
            crate::say(&format!("error: the doors cannot be guarded, and stay as they were: {error}"));
            self.trouble(&format!("the doors cannot be guarded, and stay as they were: {error}"));
            self.ending = Some(Finished::Unguarded);
            return;
        }
        if let Some(path) = &self.pid_file
            && let Err(error) = std::fs::write(path, format!("{}\n", std::process::id()))
        {
            let path = path.display();
            self.face.tell(&Event::Trouble(&format!("could not create pid file {path}: {}", reason(&error))));
        }
        if let Some(Err(error)) = self.background.take().map(Background::ready) {
            self.face.tell(&Event::Trouble(&format!("cannot leave the foreground: {error}")));
        }
        self.face.tell(&Event::Ready);
        self.engage_courier();
        klopf_sys::Code::find().release();
    }

    /// How many hits a door takes.
    fn length(&self, door: DoorId) -> usize {
        let door = self.plan.doors.iter().find(|(_, known)| known.id == door);
        door.and_then(|(_, door)| door.sequences.first()).map_or(0, Vec::len)
    }
}
