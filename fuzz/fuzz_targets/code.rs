#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::code`."]

klopf_fuzz::target!(code);
