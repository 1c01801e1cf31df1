//! Sealed knocks, once the watch has opened and judged them: written down, then granted. What could be lost with the host's
//! power and count again is on the disk before it is granted.

use std::net::IpAddr;

use klopf_brief::{Verdict, What};
use klopf_engine::{DoorId, Form, KeyRef, Millis, Refusal, Sealed, SealedRefusal, Source, SourceId, Wall};
use klopf_spa::{HOP_STEP, PacketPort};
use klopf_sys::clock;

use super::Keeper;
use super::replay::Accepted;
use crate::face::{Event, Face};
use crate::plan::Person;

/// What stands for a door that is not known.
const NO_DOOR: &str = "-";

/// A sealed knock that was accepted.
#[derive(Debug)]
pub(super) struct Granted {
    id: DoorId,
    door: String,
    key: String,
    address: IpAddr,
    sealed: Sealed,
    /// The number of what the courier had offered.
    offer: Option<u32>,
    /// Whether it must be on the disk before it is granted.
    waits: bool,
}

impl<F: Face> Keeper<'_, F> {
    /// Reads what was accepted before, as soon as there are sealed knocks.
    pub(super) fn remember_packets(&mut self) {
        if self.plan.packets.is_some()
            && let Some(state_dir) = &self.dry_run
        {
            self.replay.look(&state_dir.join("replay"));
            return;
        }
        if self.plan.packets.is_none() || !self.replay.forgets() || self.state_dir.as_os_str().is_empty() {
            return;
        }
        klopf_sys::keep_secrets(false);
        let trouble = self.replay.open(&self.state_dir.join("replay"));
        self.replay.note_boot(&clock::boot_id(), self.began_unix);
        if let Some(trouble) = trouble {
            self.trouble(&format!("what sealed knocks were accepted: {trouble}"));
        }
    }

    /// When the ports of sealed knocks change next, in milliseconds of the monotonic clock.
    pub(super) fn next_hop(&self, unix_ms: u64) -> Option<u64> {
        let hops = self.plan.packets.as_ref().is_some_and(|packets| packets.way.port == PacketPort::Hop);
        let left = HOP_STEP * 1000 - unix_ms % (HOP_STEP * 1000);
        hops.then(|| clock::monotonic_ms().saturating_add(left))
    }

    /// Accepts a sealed knock, to be granted by [`Keeper::grant_accepted`]; false if the watch cannot rightly ask for that.
    pub(super) fn accept_sealed(&mut self, id: DoorId, address: IpAddr, sealed: Sealed, offer: Option<u32>) -> bool {
        let person = self.plan.packets.as_ref().and_then(|packets| packets.person(sealed.key)).cloned();
        let door = self.plan.doors.iter().find(|(_, door)| door.id == id).cloned();
        // One that is not there was there when the watch wrote, before a reload.
        let (Some(Person { name, key, .. }), Some((door, terms))) = (person, door) else { return true };
        let asked_rightly = terms.may_ask.grants(address, &sealed.asks).is_ok();
        if !asked_rightly || !key.doors.contains(&id) || terms.ways.take(&sealed.source, sealed.form).is_err() {
            return false;
        }
        // A watch that was taken over has no more than the key has, but for its second factor.
        let wall = Wall { unix_ms: clock::wall_ms(), minute_of_week: clock::minute_of_week() };
        let mark = self.replay.marks().get(key.id).cloned().unwrap_or_default();
        let now = Millis(clock::boot_ms());
        let begins = self.uses.begins(key.id, id, now);
        let permitted = key.permits(sealed.form, (address, &sealed.asks), sealed.device, &mark, begins, wall);
        let sealed = Sealed { hold: key.bounded(sealed.hold, terms.may_ask.hold, wall), ..sealed };
        // After a loss of power packets from before are refused by their time. What has none that can be believed, or lives longer, or
        // changes more than that it was accepted, cannot be made good then.
        let binds_now = key.binds() && mark.device().is_none();
        let waits = sealed.form != Form::Packet || sealed.ahead || key.no_clock || key.max_uses.is_some() || binds_now;
        let refused = |why| SealedRefusal {
            key: Some(sealed.key),
            door: Some(id),
            source: sealed.source,
            form: sealed.form,
            address: Some(address),
            why,
            clock_ahead: None,
            burnt: Some(sealed.counter),
        };
        if let Err(why) = permitted {
            self.refuse_sealed(&refused(why));
            offer.into_iter().for_each(|offer| self.watching.judged(offer, Verdict::Refused));
            return true;
        }
        match self.replay.accept(key.id, sealed.form, sealed.counter, begins, key.binds().then_some(sealed.device)) {
            Accepted::Noted => {}
            Accepted::Not => {
                self.refuse_sealed(&refused(Refusal::Replayed));
                offer.into_iter().for_each(|offer| self.watching.judged(offer, Verdict::Spent));
                return true;
            }
            Accepted::NotNoted(error) => self.cannot_note(&error),
        }
        if begins {
            self.uses.begin(key.id, id, now);
        }
        self.accepted.push(Granted { id, door, key: name, address, sealed, offer, waits });
        true
    }

    /// Opens the doors of all sealed knocks that were accepted, and sees to it that they are on the disk, before if need be.
    pub(super) fn grant_accepted(&mut self) {
        if self.accepted.is_empty() {
            return;
        }
        if !self.replay.may_be_synced_later() || self.accepted.iter().any(|granted| granted.waits) {
            self.sync_accepted();
        }
        for Granted { id, door, key, address, sealed, offer, .. } in std::mem::take(&mut self.accepted) {
            if let Some(order) = self.face.sealed_order(id, address, &key, &sealed) {
                self.open(order, Some(&key));
            }
            if self.dry_run.is_none() {
                let via = self.via(&sealed.source);
                self.face.tell(&Event::SealedGranted { door: &door, key: &key, address, via: &via });
            }
            offer.into_iter().for_each(|offer| self.watching.judged(offer, Verdict::Taken));
        }
        self.tell_gate();
        self.sync_accepted();
    }

    fn sync_accepted(&mut self) {
        if let Err(error) = self.replay.sync() {
            self.cannot_note(&error);
        }
    }

    /// A disk that takes nothing must not lock anybody out.
    fn cannot_note(&mut self, error: &std::io::Error) {
        if self.dry_run.is_some() {
            return;
        }
        let why = super::reason(error);
        self.trouble(&format!("cannot write down which sealed knocks were accepted: {why}"));
    }

    /// Writes down that the counter of a refused knock is used up all the same.
    pub(super) fn burn(&mut self, key: KeyRef, form: Form, counter: u64) {
        let id = self.plan.packets.as_ref().and_then(|packets| packets.person(key)).map(|person| person.key.id);
        if let Some(id) = id {
            // It opens nothing, so if that cannot be written down it is not worth more words than a grant's.
            let _ = self.replay.accept(id, form, counter, false, None);
        }
    }

    /// Tells of a refused one, and writes down that its counter is used up all the same.
    pub(super) fn refuse_sealed(&mut self, refusal: &SealedRefusal) {
        let person = self.plan.packets.as_ref().zip(refusal.key).and_then(|(packets, key)| packets.person(key));
        let name = |id| self.plan.doors.iter().find(|(_, door)| door.id == id).map(|(name, _)| name.clone());
        let door = refusal.door.and_then(name);
        let key = person.map(|person| person.name.clone());
        if let (Some(key), Some(counter)) = (refusal.key, refusal.burnt) {
            self.burn(key, refusal.form, counter);
        }
        let via = self.via(&refusal.source);
        self.face.tell(&Event::SealedRefused { key: key.as_deref(), door: door.as_deref(), via: &via, refusal });
        let whose = key.map_or_else(String::new, |key| format!("key {key}: "));
        let text = format!("{whose}{}", in_words(refusal));
        let (origin, via) = match refusal.source {
            Source::Packet(origin) => (Some(origin), None),
            Source::Mail(_) | Source::Guestbooks(_) | Source::Log(_) => (refusal.address, Some(via)),
        };
        self.memory.refused_via(door.as_deref().unwrap_or(NO_DOOR), origin, via, refusal.why.name(), text);
    }

    /// Where a sealed knock came from, in words: an address, `mail NAME`, or `guestbook NAME`.
    fn via(&self, source: &Source) -> String {
        match source {
            Source::Packet(origin) => origin.to_string(),
            Source::Mail(source) | Source::Log(source) => self.source_name(*source),
            Source::Guestbooks(books) => {
                let names: Vec<_> = books.all().iter().map(|book| self.source_name(*book)).collect();
                names.join(", ")
            }
        }
    }

    pub(super) fn source_name(&self, id: SourceId) -> String {
        if let Some(log) = self.plan.logs.iter().find(|log| log.id == id) {
            return format!("log {}", log.name);
        }
        let source = self.plan.brief.sources.iter().find(|source| source.id == id.0);
        source.map_or_else(
            || "a source that is gone".to_owned(),
            |source| {
                let kind = if matches!(source.what, What::Guestbook(_)) { "guestbook" } else { "mail" };
                format!("{kind} {}", source.name)
            },
        )
    }
}

/// Why it was refused, for an administrator.
pub(crate) fn in_words(refusal: &SealedRefusal) -> String {
    match (refusal.clock_ahead, refusal.why, refusal.address) {
        (Some(ms), _, _) => {
            let (seconds, which) = (ms.unsigned_abs().div_ceil(1000), if ms > 0 { "ahead of" } else { "behind" });
            format!("its clock is {seconds} s {which} this host's")
        }
        (None, Refusal::WrongNetwork, Some(address)) => format!("{}: {address}", refusal.why.text()),
        _ => refusal.why.text().to_owned(),
    }
}
