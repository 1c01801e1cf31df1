#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::encoded`."]

klopf_fuzz::target!(encoded);
