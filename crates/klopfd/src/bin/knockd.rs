//! The daemon behind the face of knockd.

fn main() -> std::process::ExitCode {
    klopfd::knockd()
}
