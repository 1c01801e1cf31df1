#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::brief`."]

klopf_fuzz::target!(brief);
