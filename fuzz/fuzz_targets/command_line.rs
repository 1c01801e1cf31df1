#![cfg_attr(fuzzing, no_main)]
#![doc = "See `klopf_fuzz::command_line`."]

klopf_fuzz::target!(command_line);
