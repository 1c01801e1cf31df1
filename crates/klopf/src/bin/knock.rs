//! `knock`, the face of the old client.

fn main() -> std::process::ExitCode {
    klopf::knock(std::env::args_os())
}
