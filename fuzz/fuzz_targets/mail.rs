#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::mail`."]

klopf_fuzz::target!(mail);
