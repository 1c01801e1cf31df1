#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::klopf_toml`."]

klopf_fuzz::target!(klopf_toml);
