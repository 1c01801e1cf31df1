#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::stun`."]

klopf_fuzz::target!(stun);
