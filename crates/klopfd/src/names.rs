//! `knockd -l`: names for addresses, looked up by a helper without rights, so that neither a slow nor a hostile
//! name server touches the daemon.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

use klopf_sys::{Pair, Received, User, Wait, wait};

use crate::{exit, role};

/// The first argument by which the program knows that it is to look up names.
pub(crate) const ROLE: &str = "@names";

/// Milliseconds a log line waits for a name.
const PATIENCE: u64 = 2000;
/// Lines that may wait; with more, the oldest are written without a name.
const MOST_WAITING: usize = 256;
/// Names that are remembered.
const MOST_KNOWN: usize = 1024;
/// Bytes of an answer: the address, then the name.
const ANSWER: usize = 16 + 1025;

/// The helper's own loop; returns when the keeper is gone.
pub(crate) fn main(messages: &Pair, user: User) -> ExitCode {
    klopf_sys::set_name(c"klopf-names");
    if let Err(error) = klopf_sys::drop_privileges(user) {
        crate::say(&format!("names: {error}"));
        return ExitCode::from(exit::OS_ERROR);
    }
    klopf_sys::close_stderr();
    let mut question = [0; 16];
    loop {
        match messages.receive(&mut question) {
            Received::Closed => return ExitCode::SUCCESS,
            Received::Nothing => drop(wait([Wait { fd: messages.as_fd(), write: false }], None)),
            Received::Message(_) => {
                let address = Ipv6Addr::from(question).to_canonical();
                let name = klopf_sys::name_of(address).unwrap_or_default();
                messages.send(&[question.as_slice(), name.as_bytes()].concat());
            }
        }
    }
}

/// Holds log lines back until the names in them are known. Lines keep their order.
pub(crate) struct Names {
    helper: Option<Pair>,
    known: HashMap<IpAddr, Option<String>>,
    waiting: VecDeque<Line>,
}

struct Line {
    /// What is asked for, and the time to wait until.
    asked: Option<(IpAddr, u64)>,
    write: Box<dyn FnOnce(Option<&str>)>,
}

impl Names {
    /// Starts the helper. Without one, lines are written without names.
    pub(crate) fn start(user: User) -> Self {
        let helper = role::start_names(user).ok().map(|(_, pair)| pair);
        Self { helper, known: HashMap::new(), waiting: VecDeque::new() }
    }

    /// What to wait for.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.helper.as_ref().map(Pair::as_fd)
    }

    /// When [`Names::settle`] has something to do.
    pub(crate) fn next(&self) -> Option<u64> {
        self.waiting.front()?.asked.map(|(_, until)| until)
    }

    /// Writes a line when the name in it is known, or at once if there is none in it and nothing waits before it.
    pub(crate) fn write(&mut self, now: u64, address: Option<IpAddr>, write: impl FnOnce(Option<&str>) + 'static) {
        let asked = address.filter(|address| !self.known.contains_key(address));
        if let Some(address) = asked {
            let pending = self.waiting.iter().any(|line| line.asked.is_some_and(|(other, _)| other == address));
            let helper = self.helper.as_ref();
            if !pending && !helper.is_some_and(|helper| helper.send(&in_ipv6(address).octets())) {
                self.know(address, None);
            }
        }
        let asked = address.map(|address| (address, now + PATIENCE));
        self.waiting.push_back(Line { asked, write: Box::new(write) });
        self.settle(now);
    }

    /// Takes in names, and writes the lines that need wait no longer.
    pub(crate) fn settle(&mut self, now: u64) {
        let mut answer = [0; ANSWER];
        while let Some(Received::Message(length)) = self.helper.as_ref().map(|helper| helper.receive(&mut answer)) {
            let Some((address, name)) = answer.get(..length).and_then(<[u8]>::split_first_chunk::<16>) else {
                continue;
            };
            let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
            self.know(Ipv6Addr::from(*address).to_canonical(), name.map(str::to_owned));
        }
        while let Some(line) = self.waiting.pop_front() {
            let name = match line.asked {
                None => None,
                Some((address, until)) => match self.known.get(&address) {
                    Some(name) => name.as_deref(),
                    None if until <= now || self.waiting.len() >= MOST_WAITING => None,
                    None => {
                        self.waiting.push_front(line);
                        return;
                    }
                },
            };
            (line.write)(name);
        }
    }

    fn know(&mut self, address: IpAddr, name: Option<String>) {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(address, name);
    }
}

fn in_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
