//! What is counted instead of being logged packet by packet.

/// Counts since the start. Each has a stable name for status pages and logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were some door's business.
    pub knocks: u64,
    /// Attempts that were begun.
    pub attempts: u64,
    /// Attempts that ended with a wrong hit.
    pub wrong_hits: u64,
    /// Attempts that ran out of time.
    pub timeouts: u64,
    /// Attempts that gave way to newer ones because the table was full.
    pub evicted: u64,
    /// Sequences that were completed and granted.
    pub granted: u64,
    /// Completed sequences refused because too many doors were opened in a short time.
    pub too_many_grants: u64,
}

impl Counters {
    /// All counts with their names.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("knocks", self.knocks),
            ("attempts", self.attempts),
            ("wrong-hits", self.wrong_hits),
            ("timeouts", self.timeouts),
            ("evicted", self.evicted),
            ("granted", self.granted),
            ("too-many-grants", self.too_many_grants),
        ]
    }
}
