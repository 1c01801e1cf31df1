#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::journal`."]

klopf_fuzz::target!(journal);
