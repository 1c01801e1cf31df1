//! Exit codes, as in sysexits.h.

/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// A file cannot be read.
pub(crate) const NO_INPUT: u8 = 66;
/// Between watch and keeper: the kernel has no seccomp, and the watch may not do without.
pub(crate) const NO_SECCOMP: u8 = 69;
/// The system did not do what it must.
pub(crate) const OS_ERROR: u8 = 71;
/// A file cannot be written.
pub(crate) const CANNOT_CREATE: u8 = 73;
/// Another daemon is in the way.
pub(crate) const TEMPORARY: u8 = 75;
/// A right is missing.
pub(crate) const NO_PERMISSION: u8 = 77;
/// The configuration is wrong.
pub(crate) const CONFIG: u8 = 78;
