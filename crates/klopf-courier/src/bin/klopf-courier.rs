//! The courier: fetches mails and guestbooks for klopfd.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    klopf_courier::main()
}
