#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::line`."]

klopf_fuzz::target!(line);
