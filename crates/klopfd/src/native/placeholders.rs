//! Placeholders in the commands of a door. What is filled in are names of the configuration, addresses and numbers.

use std::ffi::OsString;

use klopf_config::native::Action as Written;
use klopf_gate::firewall::Network;
use klopf_gate::{Action, Command, Scope};

use super::doors::milliseconds;

/// What is filled in.
pub(super) struct Values {
    all: [(&'static str, String); 10],
}

impl Values {
    /// For a door that opens to somebody's key, if it is one's, and for so many milliseconds.
    pub(super) fn new(door: &str, key: &str, whom: Network, scope: Scope, hold: u64) -> Self {
        let flag = |bit: u8| (scope.flags >> bit & 1).to_string();
        let all = [
            ("{ip}", whom.address.to_string()),
            ("{addr}", whom.to_string()),
            ("{door}", door.to_owned()),
            ("{key}", key.to_owned()),
            ("{port}", scope.port.map_or_else(String::new, |port| port.to_string())),
            ("{for}", hold.div_ceil(1000).to_string()),
            ("{flag0}", flag(0)),
            ("{flag1}", flag(1)),
            ("{flag2}", flag(2)),
            ("{flag3}", flag(3)),
        ];
        Self { all }
    }

    /// Commands with all filled in.
    pub(super) fn fill(&self, actions: &[Written]) -> Vec<Action> {
        let one = |Written { run, after }: &Written| {
            let run = Command::Vector(run.iter().map(|word| self.filled(word)).collect());
            Action { run, after: milliseconds(*after) }
        };
        actions.iter().map(one).collect()
    }

    fn filled(&self, word: &str) -> OsString {
        let mut rest = word;
        let mut result = String::new();
        // One pass, so that nothing filled in is filled in again.
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            result.push_str(before);
            let known = self.all.iter().find(|(name, _)| from.starts_with(name));
            let (value, length) = known.map_or(("{", 1), |(name, value)| (value.as_str(), name.len()));
            result.push_str(value);
            rest = from.split_at(length).1;
        }
        result.push_str(rest);
        result.into()
    }
}
