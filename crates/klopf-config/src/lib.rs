//! Text to a checked configuration: klopf.toml and knockd.conf
