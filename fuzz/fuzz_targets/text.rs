#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::text`."]

klopf_fuzz::target!(text);
