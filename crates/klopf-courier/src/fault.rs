//! What is wrong with a source.

use klopf_brief::Trouble;

/// Why a look at a source has failed, or has not seen all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) trouble: Trouble,
    /// What belongs to it, such as a status of HTTP; 0: nothing.
    pub(crate) detail: u16,
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, detail: 0 }
    }
}
