#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::invitation`."]

klopf_fuzz::target!(invitation);
