//! Giving up rights, once and for good.

mod courier;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{error, fmt};

use caps::{CapSet, CapsHashSet};
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::ring::check;

pub use courier::confine_courier;

/// A user to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl User {
    /// Looks a user of this host up in /etc/passwd alone, where packages put the users of daemons: to ask the whole database loads its
    /// modules into this process.
    #[must_use]
    pub fn local(name: &str) -> Option<Self> {
        in_passwd(&std::fs::read_to_string("/etc/passwd").ok()?, name)
    }

    /// Looks a user up in the host's user database.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = std::ffi::CString::new(name).ok()?;
        // SAFETY: `name` is a C string that lives through the call; the result points to static memory that is read
        // at once, in a process with one thread.
        let entry = unsafe { libc::getpwnam(name.as_ptr()).as_ref() }?;
        Some(Self { uid: entry.pw_uid, gid: entry.pw_gid })
    }
}

/// A user in a text of the form of passwd(5).
fn in_passwd(text: &str, name: &str) -> Option<User> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1);
    let mut id = || fields.next()?.parse().ok();
    Some(User { uid: id()?, gid: id()? })
}

/// What could not be given up.
#[derive(Debug)]
pub enum SandboxError {
    /// A step failed.
    Step(&'static str, io::Error),
    /// A right that was given up could be taken back.
    Regained(&'static str),
    /// The kernel has no seccomp.
    NoSeccomp,
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Regained(what) => write!(f, "could take {what} back after giving it up"),
            Self::NoSeccomp => f.write_str("the kernel has no seccomp filters"),
        }
    }
}

impl error::Error for SandboxError {}

/// How tight a [`confine`]d process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confined {
    /// Whether landlock holds.
    pub landlock: bool,
    /// Whether seccomp holds.
    pub seccomp: bool,
}

/// Becomes another user, gives up all capabilities, and tries to get them back. Without the right to change users a
/// process that is not root keeps its own.
///
/// # Errors
/// See [`SandboxError`]; then the process must end.
pub fn drop_privileges(user: User) -> Result<(), SandboxError> {
    let step = |what| move |error: io::Error| SandboxError::Step(what, error);
    let caps = |what| move |error: caps::errors::CapsError| SandboxError::Step(what, io::Error::other(error));
    rustix::thread::set_no_new_privs(true).map_err(|e| step("forgo new privileges")(e.into()))?;
    if rustix::process::geteuid().is_root() {
        // SAFETY: no groups, so no pointer is read.
        check(unsafe { libc::setgroups(0, std::ptr::null()) }).map_err(step("leave all groups"))?;
        // SAFETY: takes numbers only.
        check(unsafe { libc::setresgid(user.gid, user.gid, user.gid) }).map_err(step("change the group"))?;
        if caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_SETPCAP).unwrap_or(false) {
            for capability in caps::all() {
                // The kernel may not know the newest ones; what counts is checked below.
                let _ = caps::drop(None, CapSet::Bounding, capability);
            }
        }
        // SAFETY: takes numbers only.
        check(unsafe { libc::setresuid(user.uid, user.uid, user.uid) }).map_err(step("change the user"))?;
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::set(None, set, &CapsHashSet::new()).map_err(caps("drop capabilities"))?;
    }
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|e| step("forbid tracing")(e.into()))?;
    prove_dropped()
}

/// Tries to get back what [`drop_privileges`] gave up.
fn prove_dropped() -> Result<(), SandboxError> {
    // SAFETY: takes numbers only; success would mean that the drop did not hold, and ends the process.
    if rustix::process::geteuid().is_root() || unsafe { libc::setresuid(0, 0, 0) } == 0 {
        return Err(SandboxError::Regained("root"));
    }
    if caps::set(None, CapSet::Effective, &caps::all()).is_ok() {
        return Err(SandboxError::Regained("capabilities"));
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        if caps::read(None, set).map_or(true, |held| !held.is_empty()) {
            return Err(SandboxError::Regained("capabilities"));
        }
    }
    Ok(())
}

/// Keeps what this process knows out of core dumps, other processes of the same user, and where that is allowed swap. To be
/// called before rights are given up; `raise` the limit of locked memory only where no command is run that would inherit it.
pub fn keep_secrets(raise: bool) {
    // Where one of them cannot be done the others still are, and none is a reason not to run.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let unlimited = rustix::process::Rlimit { current: None, maximum: None };
    let may = if raise {
        rustix::process::setrlimit(rustix::process::Resource::Memlock, unlimited).is_ok()
    } else {
        caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_IPC_LOCK).unwrap_or(false)
    };
    // Within a limit, later allocations would fail.
    if may {
        use rustix::mm::MlockAllFlags;
        let _ = rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}

/// Closes the file system, all TCP ports and other processes to this one (landlock), and all system calls but those
/// of a loop that waits, reads and writes messages by the pairs `messages` alone (seccomp). Where the kernel has no landlock
/// that is reported; without seccomp it is an error unless `seccomp_optional`.
///
/// # Errors
/// See [`SandboxError`]; then the process must end.
pub fn confine(messages: &[BorrowedFd<'_>], seccomp_optional: bool) -> Result<Confined, SandboxError> {
    let landlock = close_files().map_err(|e| SandboxError::Step("set landlock rules", io::Error::other(e)))?;
    if landlock && std::fs::File::open("/").is_ok() {
        return Err(SandboxError::Regained("the file system"));
    }
    // A filter cannot be made for every machine, and not every kernel takes one.
    let seccomp = system_calls(messages).is_ok_and(|program| seccompiler::apply_filter(&program).is_ok());
    if seccomp || seccomp_optional { Ok(Confined { landlock, seccomp }) } else { Err(SandboxError::NoSeccomp) }
}

/// The version of landlock's interface in this kernel; none without landlock.
#[must_use]
pub fn landlock_version() -> Option<u32> {
    const VERSION: libc::c_uint = 1; // LANDLOCK_CREATE_RULESET_VERSION of linux/landlock.h
    // SAFETY: with this flag the kernel wants a null pointer and a size of zero, and only returns a number.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION) };
    u32::try_from(answer).ok().filter(|version| *version > 0)
}

fn close_files() -> Result<bool, landlock::RulesetError> {
    let abi = ABI::V6;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?;
    Ok(rules.create()?.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// Waiting, reading, messages by the pairs, memory, time, and ending. Anything else ends the process.
fn system_calls(messages: &[BorrowedFd<'_>]) -> Result<seccompiler::BpfProgram, seccompiler::BackendError> {
    let free = [
        libc::SYS_ppoll,
        libc::SYS_recvfrom,
        // Descriptors of logs come from the keeper beside its messages; no other way leads to one.
        libc::SYS_recvmsg,
        libc::SYS_read,
        // Logs are read where reading stopped, and are asked how long they are and whether they are still there. By number
        // alone: statx and newfstatat would tell of any file's name.
        libc::SYS_pread64,
        libc::SYS_fstat,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_close,
    ];
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        free.into_iter().map(|call| (call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_poll, Vec::new());

    let mut by_pairs = Vec::new();
    for pair in messages {
        let number = u64::try_from(pair.as_raw_fd()).unwrap_or(u64::MAX);
        let by_pair = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number)?;
        by_pairs.push(SeccompRule::new(vec![by_pair])?);
    }
    rules.insert(libc::SYS_sendto, by_pairs);
    // Rust's standard library asks, where it is built to mistrust itself, whether what it closes is open.
    let is_open = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::F_GETFD as u64)?;
    rules.insert(libc::SYS_fcntl, vec![SeccompRule::new(vec![is_open])?]);
    // abort() signals its own process, and nobody else's may be.
    let own = u64::from(std::process::id());
    let itself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, own)?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![itself])?]);
    let executable = libc::PROT_EXEC as u64;
    let data = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0)?;
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![data.clone()])?]);
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![data])?]);

    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;
    use crate::{Inotify, Pair, Received};

    #[test]
    fn users_are_found_by_their_whole_names() {
        let text = "klopf-courier:x:998:997:a:b:c\nklopf:x:999:996::/:/usr/sbin/nologin\nbroken:x:no\n";
        assert_eq!(in_passwd(text, "klopf"), Some(User { uid: 999, gid: 996 }));
        assert_eq!(in_passwd(text, "klopf-courier"), Some(User { uid: 998, gid: 997 }));
        assert!(in_passwd(text, "klop").is_none() && in_passwd(text, "broken").is_none());
    }

    /// A call that is not in the table would end this process. Both walls are the thread's own.
    #[test]
    fn a_log_is_received_and_read_within_the_walls() {
        let path = std::env::temp_dir().join(format!("klopf-walls-{}", std::process::id()));
        let mut file = std::fs::File::create_new(&path).unwrap();
        let (keeper, watch) = Pair::new().unwrap();
        let changes = Inotify::new().unwrap();
        changes.watch_file(file.as_fd(), &path).unwrap();
        assert!(keeper.send_with(b"changes", changes.as_fd()));
        assert!(keeper.send_with(b"log", std::fs::File::open(&path).unwrap().as_fd()));
        file.write_all(b"one line\n").unwrap();
        let read = std::thread::spawn(move || {
            confine(&[watch.as_fd()], true).unwrap();
            let mut buffer = [0; 16];
            let (_, changes) = watch.receive_with(&mut buffer);
            let changes = Inotify::from(changes.unwrap());
            let news = [changes.drain(), changes.drain()];
            let (received, log) = watch.receive_with(&mut buffer);
            let log = log.unwrap();
            let length = rustix::fs::fstat(&log).unwrap().st_size;
            let read = rustix::io::pread(&log, &mut buffer, 4).unwrap();
            (news, received, length, buffer[..read].to_vec())
        });
        let (news, received, length, text) = read.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((news, received, length), ([true, false], Received::Message(3), 9));
        assert_eq!(text, b"line\n");
    }
}
