#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::keys_toml`."]

klopf_fuzz::target!(keys_toml);
