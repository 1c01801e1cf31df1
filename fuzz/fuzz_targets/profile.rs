#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::profile`."]

klopf_fuzz::target!(profile);
