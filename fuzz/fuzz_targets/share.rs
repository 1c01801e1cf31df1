#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::share`."]

klopf_fuzz::target!(share);
