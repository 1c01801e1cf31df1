//! Follows logs that grow, so that each line is given out once, whatever becomes of their files.
//!
//! Two sides, which may be two processes. The [`Opener`] may open files: it hears when the name of a log comes to mean
//! another file, and hands that over, with the [`Place`] where reading is to go on. The [`Trail`] reads, by read and
//! fstat alone: of each file handed over every line, in order. [`Places`] keeps on disk how far it has got.
//!
//! Each line is given out once over rotation (another file gets the name, while the writer may still write to the old
//! one), removal, re-creation, truncation, and a restart in between. What nobody can tell, or is not looked for:
//!
//! - What was written between the last reading and a truncation is lost; with copy-and-truncate also what its maker loses,
//!   between copying and truncating. Half a line that was truncated away is not given out.
//! - A file that was truncated and filled again, beyond the place of reading, is taken for the same one if it has the same
//!   256 bytes before that place. With a time in each line it has not.
//! - A file that had the name only until the opener heard of it is not read; nor is, after a restart, one that came
//!   and went in the meantime. Nor is one that was compressed or removed while nobody read.
//! - Once another file has lines, a last line without an end is taken for a whole one; what its writer adds to it is lost.
//! - Of a line longer than [`LONGEST`] its beginning is given out.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod file;
mod following;
mod lines;
mod opener;
mod place;
mod places;
mod resolve;
mod trail;

pub use file::{Facts, FileAt};
pub use lines::{Counts, Flow, LONGEST, Lines};
pub use opener::{Opened, Opener};
pub use place::Place;
pub use places::Places;
pub use resolve::Trouble;
pub use trail::{MOST_FILES, Progress, Trail};
