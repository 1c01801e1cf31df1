//! The sandbox of a process that may dial out, and little else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};
use rustix::net::{AddressFamily, SocketType, listen, socket};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::{Confined, SandboxError};

/// What finding addresses (nsswitch.conf(5)), the time zone, and trusted certificates need.
const READ: [&str; 8] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/nscd",
    "/run/resolvconf",
    "/var/lib/ca-certificates",
];

/// Closes all files but those that are needed to find and trust hosts, and those below `directories`, which may be
/// changed; all ports; programs; and other processes. What the kernel cannot do is reported. A directory that is not
/// there is left out.
///
/// To be called before there are other threads, with rights already dropped.
///
/// # Errors
/// See [`SandboxError`]; then the process must end.
pub fn confine_courier<'a>(directories: impl Iterator<Item = &'a Path>) -> Result<Confined, SandboxError> {
    let failed = |error: RulesetError| SandboxError::Step("set landlock rules", io::Error::other(error));
    let landlock = close_files(directories).map_err(failed)?;
    let seccomp = [forbidden(), unknown()]
        .into_iter()
        .all(|program| program.is_ok_and(|program| seccompiler::apply_filter(&program).is_ok()));
    prove(landlock, seccomp)?;
    Ok(Confined { landlock, seccomp })
}

/// Tries to do what was given up.
fn prove(landlock: bool, seccomp: bool) -> Result<(), SandboxError> {
    if landlock && (File::open("/").is_ok() || File::open("/root").is_ok() || File::open("/proc").is_ok()) {
        return Err(SandboxError::Regained("the file system"));
    }
    if seccomp {
        let unbound = socket(AddressFamily::INET, SocketType::STREAM, None);
        if unbound.is_ok_and(|unbound| listen(&unbound, 1).is_ok()) || TcpListener::bind("127.0.0.1:0").is_ok() {
            return Err(SandboxError::Regained("a listening port"));
        }
        if std::process::Command::new("/bin/true").spawn().is_ok() {
            return Err(SandboxError::Regained("programs"));
        }
    }
    Ok(())
}

fn close_files<'a>(directories: impl Iterator<Item = &'a Path>) -> Result<bool, RulesetError> {
    let abi = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let change = AccessFs::from_all(abi)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::IoctlDev);
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(abi))?
        .create()?;
    let read = READ.into_iter().map(|path| (Path::new(path), read));
    for (path, access) in read.chain(directories.map(|path| (path, change))) {
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// System calls that fail with EPERM: whatever waits for others to connect, runs programs, or looks into processes, and
/// what asks for rights that are gone anyway.
fn forbidden() -> Result<BpfProgram, BackendError> {
    let never = [
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_kcmp,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_setpriority,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_mount_setattr,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_fanotify_init,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_syslog,
        libc::SYS_vhangup,
        libc::SYS_personality,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_setgroups,
        libc::SYS_capset,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = never.into_iter().map(|call| (call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    {
        let old = [libc::SYS_fork, libc::SYS_vfork, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
        rules.extend(old.map(|call| (call, Vec::new())));
        // The same calls by the numbers of x32, and those that have numbers of their own there.
        let x32 = |number: i64| number | 0x4000_0000;
        let numbers: Vec<i64> =
            rules.keys().copied().chain(512..548).chain([libc::SYS_bind, libc::SYS_clone, libc::SYS_socket]).collect();
        rules.extend(numbers.into_iter().map(|number| (x32(number), Vec::new())));
    }

    let is = |argument, length, operator, value| {
        SeccompRule::new(vec![SeccompCondition::new(argument, length, operator, value)?])
    };
    let number = |value: libc::c_int| u64::try_from(value).unwrap_or(u64::MAX);
    // The addresses of netlink, by which the C library learns which families of addresses there are, have a size that
    // those of IPv4 (16) and IPv6 (28) have not.
    let netlink = size_of::<libc::sockaddr_nl>() as u64;
    rules.insert(libc::SYS_bind, vec![is(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, netlink)?]);
    // To read limits is fine, and needed for threads.
    rules.insert(libc::SYS_prlimit64, vec![is(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?]);
    // A new thread, not a new process.
    let thread = number(libc::CLONE_THREAD);
    rules.insert(libc::SYS_clone, vec![is(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)?]);
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]
        .map(|family| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, number(family)));
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(families.into_iter().collect::<Result<_, _>>()?)?]);
    program(rules, libc::EPERM)
}

/// System calls that fail as if the kernel did not have them, so that the C library takes older ones, whose arguments
/// can be seen.
fn unknown() -> Result<BpfProgram, BackendError> {
    program(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, error: libc::c_int) -> Result<BpfProgram, BackendError> {
    let error = SeccompAction::Errno(error.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, error, TargetArch::try_from(std::env::consts::ARCH)?)?.try_into()
}
