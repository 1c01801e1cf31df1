//! The port-knocking daemon, and its knockd face
