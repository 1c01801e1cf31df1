//! Makes encoded sequences of a profile.

use klopf_config::profile::Profile;
use klopf_spa::encoded::{Claim, Mark, Template, seal};
use klopf_spa::{KeyId, Name, Own, ServerPublic};

use super::asking;
use crate::complain;
use crate::failure::{Failure, code};
use crate::person::known_door;
use crate::profile::{Counter, Folders, Kept, Secrets};
use crate::token::own;

/// Makes what opens a door of a profile.
pub(super) struct Speller {
    pub(super) profile: Profile,
    pub(super) door: Name,
    pub(super) template: Template,
    id: KeyId,
    own: Own,
    counter: Counter,
}

/// A sequence.
pub(super) struct Spelled {
    pub(super) claim: Claim,
    pub(super) symbols: Vec<u16>,
    pub(super) ports: Vec<u16>,
    pub(super) mark: Mark,
}

impl Speller {
    /// For a door; the profile's usual one if none is named.
    ///
    /// # Errors
    /// Also if nobody has said on which ports.
    pub(super) fn new(
        folders: &Folders,
        kept: &Kept,
        door: Option<&Name>,
        told: &asking::Template,
    ) -> Result<Self, Failure> {
        let (profile, door) = (&kept.profile, known_door(kept, door)?);
        if profile.code_doors.contains(&door) {
            let why = format_args!(
                "the door {door} asks for a code of an authenticator, for which no sequence has room; klopf open"
            );
            return Err(Failure::new(code::USAGE, why));
        }
        if !profile.clock {
            let why = "a sequence says when it was made, and this device has no clock";
            return Err(Failure::new(code::CONFIG, why));
        }
        let template = template(kept, &door, told)?;
        let secrets = Secrets::of(kept)?;
        let (own, counter) = (own(folders, kept, &secrets), Counter::of_sequences(&folders.state, secrets.id()));
        Ok(Self { profile: profile.clone(), door, template, id: secrets.id(), own, counter })
    }

    /// The key's parts, for `crate::explain`.
    pub(super) fn key(&self) -> (&ServerPublic, KeyId, &Own) {
        (&self.profile.server, self.id, &self.own)
    }

    /// Spells a claim with a mark that was never used, and writes that down.
    pub(super) fn spell(&self, claim: Claim, unix_seconds: u64) -> Result<Spelled, Failure> {
        let made = self.counter.mark(unix_seconds, |from| self.sealed(&claim, from))?;
        let (symbols, warning) = made.ok_or_else(unmade)?;
        if let Some(warning) = warning {
            complain(format_args!("warning: {warning}"));
        }
        self.whole(claim, symbols)
    }

    /// The same, and nothing is written down.
    pub(super) fn rehearse(&self, claim: Claim, unix_seconds: u64) -> Result<Spelled, Failure> {
        let from = Mark(self.counter.next(Mark::at(unix_seconds).0));
        let (symbols, _) = self.sealed(&claim, from).ok_or_else(unmade)?;
        self.whole(claim, symbols)
    }

    fn sealed(&self, claim: &Claim, from: Mark) -> Option<((Vec<u16>, Mark), Mark)> {
        let (symbols, mark) = seal(self.key(), &self.door, &self.template, claim, from)?;
        Some(((symbols, mark), mark))
    }

    fn whole(&self, claim: Claim, (symbols, mark): (Vec<u16>, Mark)) -> Result<Spelled, Failure> {
        let ports = symbols.iter().map(|symbol| self.template.span.port(*symbol)).collect::<Option<_>>();
        Ok(Spelled { claim, ports: ports.ok_or_else(unmade)?, symbols, mark })
    }
}

/// What both sides have agreed on: as the profile says, and the command line before it.
fn template(kept: &Kept, door: &Name, told: &asking::Template) -> Result<Template, Failure> {
    let known = kept.profile.encoded.iter().find(|encoded| encoded.door == *door).map(|encoded| encoded.template);
    told.over(known).ok_or_else(|| {
        let why = format_args!(
            "the profile {} does not say on which ports a knock for the door {door} is spelled\n\
             On the server klopf.toml says it: `encoded` in [door.{door}]. Give the same here: --ports FIRST-LAST, --proto and \
             --fields\nTo have it known from now on, add to {} before the keys a line like:\n\
             encoded.\"{door}\" = {{ ports = \"40000-40255\", proto = \"tcp\", fields = [\"addr\"] }}",
            kept.name,
            kept.path.display()
        );
        Failure::new(code::NO_INPUT, why)
    })
}

fn unmade() -> Failure {
    Failure::new(code::SYSTEM, "the sequence cannot be made; is this clock right?")
}
