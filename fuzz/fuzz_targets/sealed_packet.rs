#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::sealed_packet`."]

klopf_fuzz::target!(sealed_packet);
