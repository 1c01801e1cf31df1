#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::page`."]

klopf_fuzz::target!(page);
