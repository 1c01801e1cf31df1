//! Plays a kernel that lacks something: `old-kernel landlock,seccomp PROGRAM [ARGUMENT]...` executes the program so that
//! it, and all that it starts, finds no such system calls; `nftables` is a netlink family that is not there.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args_os().skip(1);
    let lacking = words.next().ok_or("what does the kernel lack?")?;
    let program = words.next().ok_or("which program?")?;
    seccompiler::apply_filter(&without(&lacking.to_string_lossy())?)?;
    Err(Command::new(program).args(words).exec().into())
}

/// A filter by which the system calls of these are not there.
fn without(lacking: &str) -> Result<BpfProgram, Box<dyn Error>> {
    let mut rules = BTreeMap::new();
    let mut missing = libc::ENOSYS;
    for name in lacking.split(',') {
        match name {
            "landlock" => {
                let calls =
                    [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
                rules.extend(calls.map(|call| (call, Vec::new())));
            }
            "seccomp" => {
                rules.insert(libc::SYS_prctl, vec![SeccompRule::new(vec![equals(0, libc::PR_SET_SECCOMP)?])?]);
                rules.insert(libc::SYS_seccomp, Vec::new());
            }
            "nftables" => {
                let netlink = equals(0, libc::AF_NETLINK)?;
                let netfilter = equals(2, libc::NETLINK_NETFILTER)?;
                rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![netlink, netfilter])?]);
                missing = libc::EPROTONOSUPPORT;
            }
            other => return Err(format!("cannot play a kernel without {other}").into()),
        }
    }
    let missing = SeccompAction::Errno(missing.unsigned_abs());
    let architecture = TargetArch::try_from(env::consts::ARCH)?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, missing, architecture)?.try_into()?)
}

fn equals(argument: u8, value: i32) -> Result<SeccompCondition, Box<dyn Error>> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::try_from(value)?)?)
}
