#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::sealed_middle`."]

klopf_fuzz::target!(sealed_middle);
