#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::token`."]

klopf_fuzz::target!(token);
