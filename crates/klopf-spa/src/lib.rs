//! x
#![forbid(unsafe_code)]

mod shape;

pub use shape::{Dress, Lengths, Shape, Undressed};
