#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::frame_to_engine`."]

klopf_fuzz::target!(frame_to_engine);
