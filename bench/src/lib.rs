//! Measurements against other programs
