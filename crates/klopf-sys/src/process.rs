//! Starting processes: the daemon's own helpers, and the commands of doors.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, WaitOptions, WaitStatus};

use crate::output::Output;
use crate::ring::check;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with a status.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

/// What has become of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// The process with this number is gone.
    Ended(u32, Ended),
    /// It was stopped, and is still there.
    Stopped(u32),
}

/// The environment of a command.
#[derive(Clone, Debug)]
pub enum Environment {
    /// The daemon's own, and these.
    Inherited(Vec<(OsString, OsString)>),
    /// These alone.
    Only(Vec<(OsString, OsString)>),
}

/// Starts a program in a session of its own, without any descriptor of this process but its standard streams: input
/// is empty, what it prints goes to `output` and `errors`. Signals are as at the start of a login.
///
/// By posix_spawn(3), which unlike fork copies no page tables: a door opens the sooner. Descriptors that the daemon
/// was started with are kept from the program by [`keep_descriptors`].
///
/// # Errors
/// The program is not there or cannot be run, a zero byte in what it is given, or there is no room for a process.
pub fn start_command(argv: &[OsString], environment: Environment, output: &Output, errors: &Output) -> io::Result<u32> {
    let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
    let arguments: Vec<CString> =
        argv.iter().map(|word| c_string(word.as_bytes().to_vec())).collect::<Result<_, _>>()?;
    let (own, inherited) = match environment {
        Environment::Inherited(own) => (own, std::env::vars_os().collect()),
        Environment::Only(own) => (own, Vec::new()),
    };
    let inherited = inherited.into_iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name));
    let variables: Vec<CString> = inherited
        .chain(own.iter().cloned())
        .map(|(name, value)| c_string([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<Result<_, _>>()?;
    let program = arguments.first().ok_or(io::ErrorKind::InvalidInput)?;
    spawn(program, &pointers(&arguments), &pointers(&variables), [output.commands_end(), errors.commands_end()])
}

/// Keeps the descriptors that this process was started with from all programs it will start.
pub fn keep_descriptors() {
    // SAFETY: sets a flag on numbers. Kernels before 5.11 refuse; then the starter's own care is what there is.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Pointers to C strings, ended by a null pointer. They must not outlive the strings.
fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
}

fn spawn(
    program: &CStr,
    argv: &[*mut libc::c_char],
    environment: &[*mut libc::c_char],
    [output, errors]: [RawFd; 2],
) -> io::Result<u32> {
    let ok = |code: libc::c_int| if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
    let flags =
        libc::c_int::from(libc::POSIX_SPAWN_SETSID) | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
    // SAFETY: actions and attributes are initialised before use and destroyed once; all strings and both arrays,
    // which end with a null pointer, live through the call; the child only runs code of the C library until exec.
    unsafe {
        let mut actions: libc::posix_spawn_file_actions_t = std::mem::zeroed();
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        let (mut none, mut all): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigfillset(&raw mut all);
        ok(libc::posix_spawn_file_actions_init(&raw mut actions))?;
        ok(libc::posix_spawnattr_init(&raw mut attributes))?;
        let mut pid = 0;
        let prepared = [
            libc::posix_spawn_file_actions_addopen(&raw mut actions, 0, c"/dev/null".as_ptr(), libc::O_RDONLY, 0),
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, output, 1),
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, errors, 2),
            libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const none),
            libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const all),
            libc::posix_spawnattr_setflags(&raw mut attributes, libc::c_short::try_from(flags).unwrap_or(0)),
        ];
        let result = prepared.into_iter().try_for_each(ok).and_then(|()| {
            let (actions, attributes) = (&raw const actions, &raw const attributes);
            let program = program.as_ptr();
            ok(libc::posix_spawnp(&raw mut pid, program, actions, attributes, argv.as_ptr(), environment.as_ptr()))
        });
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::posix_spawnattr_destroy(&raw mut attributes);
        result.map(|()| pid.unsigned_abs())
    }
}

/// Starts this program again as one of its helpers, as [`start_program`] does.
///
/// # Errors
/// There is no room for a process, or the program's file cannot be run.
pub fn start_helper(name: &OsStr, arguments: &[&OsStr], pass: &[BorrowedFd<'_>]) -> io::Result<u32> {
    start_program(Path::new("/proc/self/exe"), name, arguments, pass)
}

/// Starts a program of the daemon's own, with an empty environment, a name of its own and the descriptors it is to have;
/// their numbers are its last arguments.
///
/// # Errors
/// There is no room for a process, or the program's file cannot be run.
pub fn start_program(program: &Path, name: &OsStr, arguments: &[&OsStr], pass: &[BorrowedFd<'_>]) -> io::Result<u32> {
    let numbers: Vec<RawFd> = pass.iter().map(AsRawFd::as_raw_fd).collect();
    let mut command = Command::new(program);
    command.arg0(name).args(arguments).args(numbers.iter().map(RawFd::to_string)).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let keep = move || {
        fresh_session()?;
        // A helper ends when its keeper does, which its end of the pair tells it, and not before.
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2] {
            // SAFETY: SIG_IGN runs no code of ours, and stays in force over exec.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        for &number in &numbers {
            // SAFETY: fcntl() on a number takes no pointer, and is async-signal-safe.
            check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    let child = unsafe { command.pre_exec(keep).spawn()? };
    Ok(child.id())
}

/// Takes a descriptor that [`start_helper`] passed; none if the number is no open descriptor, or one of the standard
/// streams. To be called once for each number, at the start.
#[must_use]
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl() on a number takes no pointer.
    let open = number > 2 && unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    // SAFETY: the descriptor is open, and was left open by start_helper() for this process alone to own.
    open.then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Takes in one child that has ended, or was stopped.
#[must_use]
pub fn reap() -> Option<Reaped> {
    let (pid, status) = rustix::process::wait(WaitOptions::NOHANG | WaitOptions::UNTRACED).ok().flatten()?;
    let pid = u32::try_from(pid.as_raw_nonzero().get()).ok()?;
    Some(if status.stopped() { Reaped::Stopped(pid) } else { Reaped::Ended(pid, ended(status)) })
}

/// Ends a process at once.
pub fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // A process that is gone already is what was wanted.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The way back to whoever started this process in the foreground; see [`to_background`].
#[derive(Debug)]
pub struct Background(OwnedFd);

/// Goes on in a child with a session of its own. The calling process waits until that has got ready, and ends with
/// status 0 then, or with 1 if the child ends before.
///
/// # Errors
/// No room for a process or a pipe.
pub fn to_background() -> io::Result<Background> {
    let (news, ready) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: there is one thread, so the child may go on in Rust code.
    if check(unsafe { libc::fork() })? != 0 {
        drop(ready);
        let well = rustix::io::read(&news, &mut [0; 1]).is_ok_and(|length| length == 1);
        std::process::exit(i32::from(!well));
    }
    rustix::process::setsid()?;
    Ok(Background(ready))
}

impl Background {
    /// All is ready: goes to `/`, closes the standard streams, and lets the waiting process end.
    ///
    /// # Errors
    /// No `/dev/null`.
    pub fn ready(self) -> io::Result<()> {
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        rustix::process::chdir("/")?;
        for stream in 0..3 {
            // SAFETY: dup2() on numbers takes no pointer; nobody relies on what the streams were.
            check(unsafe { libc::dup2(null.as_raw_fd(), stream) })?;
        }
        rustix::io::write(&self.0, &[0])?;
        Ok(())
    }
}

/// Closes standard error, for a helper that has nothing more to say and must not keep a terminal or a pipe.
pub fn close_stderr() {
    // SAFETY: closes a number; Rust's standard library takes a closed standard error as one that nobody reads.
    unsafe { libc::close(libc::STDERR_FILENO) };
}

/// The program names a process shows in `ps` and `pgrep`.
pub fn set_name(name: &std::ffi::CStr) {
    // A name is for people; going on without it harms nobody.
    let _ = rustix::thread::set_name(name);
}

/// Makes a child leave the daemon's session, signal settings and descriptors.
fn fresh_session() -> io::Result<()> {
    // SAFETY: all calls are async-signal-safe, and the signal set lives through them.
    unsafe {
        check(libc::setsid())?;
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()))?;
        // Old kernels lack the call; all descriptors of ours have the flag from the start, others are not secret.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}

fn ended(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Status(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Status(-1),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_child_that_is_stopped_is_told_of_and_can_be_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        rustix::process::kill_process(Pid::from_child(&child), rustix::process::Signal::STOP).unwrap();
        let stopped = reaped(child.id());
        kill(child.id());
        let ended = reaped(child.id());
        let _ = child.wait();
        assert_eq!(stopped, Some(Reaped::Stopped(child.id())));
        assert_eq!(ended, Some(Reaped::Ended(child.id(), Ended::Signal(libc::SIGKILL))));
    }

    /// Waits until something is known of a child.
    fn reaped(own: u32) -> Option<Reaped> {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            match reap() {
                Some(reaped @ (Reaped::Ended(pid, _) | Reaped::Stopped(pid))) if pid == own => return Some(reaped),
                _ => std::thread::yield_now(),
            }
        }
        None
    }
}
