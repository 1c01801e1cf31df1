//! Plays random lives of a log, in memory and on the disk: each line is given out once.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]
#![expect(clippy::indexing_slicing, reason = "in tests a failed assumption may end the test")]

mod disk;
mod life;
mod memory;

use proptest::prelude::*;

use self::life::{Act, Life};

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1u8..6, 1u16..400).prop_map(|(lines, length)| Act::Append { lines, length }),
        1 => (1u8..3, 1500u16..4000).prop_map(|(lines, length)| Act::Append { lines, length }),
        3 => (1u16..300).prop_map(|length| Act::Half { length }),
        4 => Just(Act::Rotate),
        4 => Just(Act::Reopen),
        2 => Just(Act::Truncate),
        1 => (0u16..3000).prop_map(|length| Act::TruncateAndFill { length }),
        2 => Just(Act::Remove),
        3 => Just(Act::Create),
        6 => Just(Act::Hear),
        8 => (0u16..6000).prop_map(|budget| Act::Read { budget }),
        2 => Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_line_is_given_out_once_in_memory(acts in prop::collection::vec(act(), 1..60)) {
        Life::new(memory::Memory::new()).play(&acts)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_line_is_given_out_once_on_the_disk(acts in prop::collection::vec(act(), 1..60)) {
        Life::new(disk::Disk::new()).play(&acts)?;
    }
}
