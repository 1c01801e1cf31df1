//! The daemon.

fn main() -> std::process::ExitCode {
    klopfd::klopfd()
}
