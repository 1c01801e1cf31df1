//! What every fuzz target does with its input: a function each, which panics where something does not hold.
//!
//! `cargo +nightly fuzz run TARGET fuzz/corpus/TARGET fuzz/seeds/TARGET` looks for inputs that make it panic; `cargo
//! test --manifest-path fuzz/Cargo.toml` plays the known ones on any compiler.

mod command_line;
mod config;
mod engine;
mod invitation;
mod letters;
mod line;
mod packet;
mod person;
mod sealed;

pub use command_line::command_line;
pub use config::{klopf_toml, knockd_conf};
pub use engine::frame_to_engine;
pub use invitation::invitation;
pub use letters::{brief, mail, page, text};
pub use line::{journal, line, nflog};
pub use packet::packet;
pub use person::{profile, socks, stun};
pub use sealed::{code, encoded, sealed_middle, sealed_packet, share, token};

/// The program of a target: libFuzzer's under cargo-fuzz, else one that plays the files it is given.
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| {
            $crate::$target(input);
        });

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            for path in std::env::args_os().skip(1) {
                $crate::$target(&std::fs::read(path)?);
            }
            Ok(())
        }
    };
}
