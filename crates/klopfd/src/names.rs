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

/// Holds lines back until the names in them are known. Lines keep their order.
pub(crate) struct Names<L> {
    helper: Option<Pair>,
    known: HashMap<IpAddr, Option<String>>,
    waiting: VecDeque<Waiting<L>>,
}

struct Waiting<L> {
    line: L,
    /// Whose name it waits for, and until when.
    asked: Option<(IpAddr, u64)>,
}

impl<L> Names<L> {
    /// Starts the helper. Without one, lines get no names.
    pub(crate) fn start(user: User) -> Self {
        let helper = role::start_names(user).ok().map(|(_, pair)| pair);
        Self { helper, known: HashMap::new(), waiting: VecDeque::new() }
    }

    /// What to wait for.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.helper.as_ref().map(Pair::as_fd)
    }

    /// When [`Names::ready`] has something to return, if no name comes before.
    pub(crate) fn next(&self) -> Option<u64> {
        self.waiting.front()?.asked.map(|(_, until)| until)
    }

    /// Takes a line, and asks for the name of the address in it.
    pub(crate) fn hold(&mut self, now: u64, address: Option<IpAddr>, line: L) {
        if let Some(address) = address.filter(|address| !self.known.contains_key(address)) {
            let pending = self.waiting.iter().any(|line| line.asked.is_some_and(|(other, _)| other == address));
            let helper = self.helper.as_ref();
            if !pending && !helper.is_some_and(|helper| helper.send(&in_ipv6(address).octets())) {
                self.know(address, None);
            }
        }
        self.waiting.push_back(Waiting { line, asked: address.map(|address| (address, now + PATIENCE)) });
    }

    /// Takes in names; the lines that need wait no longer, with the name where there is one.
    pub(crate) fn ready(&mut self, now: u64) -> Vec<(L, Option<String>)> {
        self.listen();
        let mut ready = Vec::new();
        while let Some(Waiting { line, asked }) = self.waiting.pop_front() {
            let name = match asked {
                None => None,
                Some((address, until)) => match self.known.get(&address) {
                    Some(name) => name.clone(),
                    None if until <= now || self.waiting.len() >= MOST_WAITING => None,
                    None => {
                        self.waiting.push_front(Waiting { line, asked });
                        break;
                    }
                },
            };
            ready.push((line, name));
        }
        ready
    }

    fn listen(&mut self) {
        let mut answer = [0; ANSWER];
        loop {
            match self.helper.as_ref().map(|helper| helper.receive(&mut answer)) {
                Some(Received::Message(length)) => {
                    let answer = answer.get(..length).and_then(<[u8]>::split_first_chunk::<16>);
                    let Some((address, name)) = answer else { continue };
                    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
                    self.know(Ipv6Addr::from(*address).to_canonical(), name.map(str::to_owned));
                }
                Some(Received::Closed) => self.helper = None,
                Some(Received::Nothing) | None => return,
            }
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
