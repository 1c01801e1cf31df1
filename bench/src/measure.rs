//! The measurements, one file for each.

pub(crate) mod first;
pub(crate) mod flood;
mod kernel;
pub(crate) mod micro;
pub(crate) mod open;
pub(crate) mod rest;
pub(crate) mod scale;

use std::path::{Path, PathBuf};

use crate::contender::fwknop::Fwknop;
use crate::contender::klopf::Setup;
use crate::contender::{Contender, Way, knockd};
use crate::sealer::Sealer;

/// How much is measured.
pub(crate) struct Amount {
    /// Rounds, each with all programs in turn.
    pub(crate) rounds: u16,
    /// Knocks of a round.
    pub(crate) knocks: u16,
    /// How often a user knocks and connects, in all rounds together, where that succeeds; a tenth of it where it does not.
    pub(crate) visits: u16,
    /// Seconds that a flood takes.
    pub(crate) seconds: u16,
    /// Whether the largest steps of scale are left out.
    pub(crate) small: bool,
    /// What the names of the programs begin with that are measured.
    pub(crate) only: String,
}

/// Klopf by one packet.
pub(crate) fn klopf_packet(bin: &Path) -> Contender {
    Contender { name: "Klopf, packet", way: Way::Klopf(bin.to_owned(), Setup::sealed(Sealer::new(1))) }
}

/// Klopf by a sequence.
pub(crate) fn klopf_sequence(bin: &Path) -> Contender {
    Contender { name: "Klopf, sequence", way: Way::Klopf(bin.to_owned(), Setup::SEQUENCE) }
}

/// All there are: those that one packet opens first, each after Klopf.
pub(crate) fn all(amount: &Amount, bin: &Path) -> Vec<Contender> {
    let fwknop = Fwknop { people: 1, socket: true };
    let mut all = vec![
        klopf_packet(bin),
        Contender { name: "fwknopd", way: Way::Fwknop(fwknop) },
        klopf_sequence(bin),
        Contender { name: "knockd", way: Way::Knockd(PathBuf::from(knockd::PROGRAM)) },
        Contender { name: "nft recipe", way: Way::Kernel },
    ];
    all.retain(|contender| contender.name.starts_with(&amount.only));
    all
}
