#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::socks`."]

klopf_fuzz::target!(socks);
