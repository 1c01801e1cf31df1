#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::packet`."]

klopf_fuzz::target!(packet);
