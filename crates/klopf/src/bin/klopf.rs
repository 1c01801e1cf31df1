//! `klopf`, the command a person types.

fn main() -> std::process::ExitCode {
    klopf::run(std::env::args_os())
}
