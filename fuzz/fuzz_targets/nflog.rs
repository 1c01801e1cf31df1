#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::nflog`."]

klopf_fuzz::target!(nflog);
