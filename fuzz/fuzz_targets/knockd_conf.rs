#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::knockd_conf`."]

klopf_fuzz::target!(knockd_conf);
