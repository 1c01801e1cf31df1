//! The command a person types, on Linux, macOS and Windows, and its knock face
