//! Starting helpers: the same program again, with another role.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use klopf_sys::{Pair, User};

use crate::{exit, names, unit, watch};

/// Runs the helper that this process was started as; none if it was started by somebody else.
pub(crate) fn helper() -> Option<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (role, rest) = arguments.split_first()?;
    let rest: Vec<&str> = rest.iter().filter_map(|word| word.to_str()).collect();
    let role = role.to_str()?;
    if ![watch::ROLE, names::ROLE, unit::ROLE].contains(&role) {
        return None;
    }
    let started = start(role, &rest);
    if started.is_none() {
        crate::say("this role is for the daemon's own use");
    }
    Some(started.unwrap_or_else(|| ExitCode::from(exit::USAGE)))
}

fn start(role: &str, arguments: &[&str]) -> Option<ExitCode> {
    if role == unit::ROLE {
        return unit::main(arguments);
    }
    let (&settings, descriptors) = arguments.split_first()?;
    let mut descriptors = descriptors.iter().map(|number| klopf_sys::inherited(number.parse().ok()?));
    let (user, flags) = decode(settings)?;
    let messages = Pair::from(descriptors.next()??);
    if role == names::ROLE {
        return Some(names::main(&messages, user));
    }
    let letters = Pair::from(descriptors.next()??);
    let [seccomp_optional, debug] = flags;
    Some(watch::main(watch::Handed { messages, letters, user, seccomp_optional, debug }))
}

/// Starts the watch; its process id and the pair to speak with it. `letters` is its end of the pair that goes to the courier.
pub(crate) fn start_watch(letters: &Pair, user: User, seccomp_optional: bool, debug: bool) -> io::Result<(u32, Pair)> {
    let (mine, theirs) = Pair::new()?;
    let settings = encode(user, [seccomp_optional, debug]);
    let arguments = [OsStr::new(watch::ROLE), OsStr::new(&settings)];
    let pid = klopf_sys::start_helper("klopf: watch".as_ref(), &arguments, &[theirs.as_fd(), letters.as_fd()])?;
    Ok((pid, mine))
}

/// Starts the helper that looks up names.
pub(crate) fn start_names(user: User) -> io::Result<(u32, Pair)> {
    let (mine, theirs) = Pair::new()?;
    let settings = encode(user, [false, false]);
    let arguments = [OsStr::new(names::ROLE), OsStr::new(&settings)];
    let pid = klopf_sys::start_helper("klopf: names".as_ref(), &arguments, &[theirs.as_fd()])?;
    Ok((pid, mine))
}

fn encode(user: User, [first, second]: [bool; 2]) -> String {
    format!("{}:{}:{}:{}", user.uid, user.gid, u8::from(first), u8::from(second))
}

fn decode(settings: &str) -> Option<(User, [bool; 2])> {
    let numbers: Vec<u32> = settings.split(':').map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let &[uid, gid, first, second] = numbers.as_slice() else { return None };
    Some((User { uid, gid }, [first == 1, second == 1]))
}
