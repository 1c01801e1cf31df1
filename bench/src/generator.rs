//! The generator: frames from very many addresses, as fast as one core can send them or at a pace.

use std::io::IoSlice;
use std::net::Ipv4Addr;
use std::thread::{self, JoinHandle, available_parallelism};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::frame::Template;
use crate::lab::{CLIENT, Injector, Lab, SERVER, SPOOFED};
use klopf_bench::chance::Chance;

/// Frames that one system call sends. It shares no factor with the number of sources, so that each time a source
/// comes again it is with another frame.
const BATCH: usize = 61;
/// How many different datagrams there are, in batches.
const BATCHES: usize = 64;
/// Bytes of a datagram of junk: from, and to before.
const JUNK: (u64, u64) = (60, 1401);
/// How often at most a generator at a pace looks at the clock.
const BREATH: Duration = Duration::from_micros(200);

/// What is sent.
#[derive(Clone)]
pub(crate) enum Junk {
    /// SYNs to these ports in turn, each from another of 4 million addresses.
    Syns(Vec<u16>),
    /// Random datagrams of 60 to 1,400 bytes to this port, from as many.
    Datagrams(u16),
    /// The same, but of letters: what looks like a packet of fwknop's until it is tried.
    Letters(u16),
    /// Datagrams of 300 bytes to this port, from a thousand ports of one host: others' business.
    Unrelated(u16),
}

/// A flood under way; at most a minute and some.
pub(crate) struct Flood {
    thread: JoinHandle<Result<Sent>>,
}

/// What a flood has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) frames: u64,
    pub(crate) seconds: f64,
}

impl Flood {
    /// Begins to send so many frames a second, or as many as there can be; it ends by itself after so many frames, or after this time.
    pub(crate) fn start(lab: &Lab, junk: &Junk, pace: Option<u32>, most: u64, limit: Duration) -> Result<Self> {
        let (injector, pool) = (lab.injector()?, pool(junk));
        let fixed = matches!(junk, Junk::Unrelated(_));
        let thread = thread::spawn(move || {
            settle_on_a_core();
            let mut generator = Generator { injector, pool, fixed, sent: 0 };
            generator.run(pace, most, limit)
        });
        Ok(Self { thread })
    }

    /// Waits until it has ended.
    pub(crate) fn wait(self) -> Result<Sent> {
        self.thread.join().unwrap_or_else(|_| Err(Error::Program("the generator has ended".into())))
    }
}

impl Sent {
    /// Frames a second.
    pub(crate) fn pace(&self) -> f64 {
        self.frames as f64 / self.seconds.max(1e-9)
    }
}

struct Generator {
    injector: Injector,
    pool: Vec<Template>,
    /// From one address.
    fixed: bool,
    sent: u64,
}

impl Generator {
    fn run(&mut self, pace: Option<u32>, most: u64, limit: Duration) -> Result<Sent> {
        let begin = Instant::now();
        while self.sent < most && begin.elapsed() < limit {
            let due = pace.map_or(u64::MAX, |pace| due(begin.elapsed(), pace));
            let now = due.min(most).saturating_sub(self.sent).min(BATCH as u64);
            match usize::try_from(now).unwrap_or_default() {
                0 => thread::sleep(BREATH),
                count => self.batch(count)?,
            }
        }
        Ok(Sent { frames: self.sent, seconds: begin.elapsed().as_secs_f64() })
    }

    fn batch(&mut self, count: usize) -> Result<()> {
        let place = usize::try_from(self.sent).unwrap_or_default() % self.pool.len();
        // The rest of a chunk that was not sent whole comes first.
        let (_, rest) = self.pool.split_at_mut(place);
        let (fixed, first) = (self.fixed, self.sent);
        for (number, template) in (first..).zip(rest.iter_mut().take(count)) {
            template.filled(source(number, fixed));
        }
        let frames: Vec<[IoSlice<'_>; 1]> =
            rest.iter().take(count).map(|template| [IoSlice::new(template.frame())]).collect();
        let addresses = vec![None; frames.len()];
        let mut headers = MultiHeaders::<()>::preallocate(frames.len(), None);
        match sendmmsg(self.injector.fd(), &mut headers, &frames, addresses, [], MsgFlags::empty()) {
            Ok(sent) => self.sent += sent.count() as u64,
            Err(Errno::ENOBUFS | Errno::EINTR | Errno::EAGAIN) => thread::sleep(BREATH),
            Err(error) => return Err(Error::io("send frames")(error)),
        }
        Ok(())
    }
}

/// How many frames should have been sent by then.
fn due(elapsed: Duration, pace: u32) -> u64 {
    u64::try_from(elapsed.as_micros() * u128::from(pace) / 1_000_000).unwrap_or(u64::MAX)
}

/// Each of the addresses once, in no order that a table could profit from; then again.
pub(crate) fn source(number: u64, fixed: bool) -> (Ipv4Addr, u16) {
    let (network, hosts) = SPOOFED;
    let [low, high] = [number, number >> 22].map(|part| u32::try_from(part & 0x3f_ffff).unwrap_or_default());
    if fixed {
        return (CLIENT, 20_000 + u16::try_from(low % 1000).unwrap_or_default());
    }
    // An odd factor permutes the numbers below a power of two.
    let host = low.wrapping_mul(0x2b_e3b1) & (hosts - 1);
    let port = 1024 + u16::try_from((low ^ high.wrapping_mul(0x9e5)) & 0x7fff).unwrap_or_default();
    (Ipv4Addr::from(u32::from(network) | host), port)
}

fn pool(junk: &Junk) -> Vec<Template> {
    let mut chance = Chance(7);
    let letters = matches!(junk, Junk::Letters(_));
    let mut datagram = |port: u16, length: u64| {
        let mut payload = vec![0; usize::try_from(length).unwrap_or_default()];
        chance.fill(&mut payload);
        if letters {
            payload.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        }
        Template::udp((SERVER, port), &payload)
    };
    let mut lengths = Chance(8);
    match junk {
        Junk::Syns(ports) => ports.iter().cycle().take(BATCH).map(|port| Template::syn((SERVER, *port))).collect(),
        Junk::Datagrams(port) | Junk::Letters(port) => {
            let length = |_| datagram(*port, JUNK.0 + lengths.below(JUNK.1 - JUNK.0));
            (0..BATCH * BATCHES).map(length).collect()
        }
        Junk::Unrelated(port) => (0..BATCH).map(|_| datagram(*port, 300)).collect(),
    }
}

/// The last core is the generator's, as far as there is another. Where the system does not let it, it goes without.
fn settle_on_a_core() {
    let cores = available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    if cores > 1 && set.set(cores - 1).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_comes_once_before_any_comes_again() {
        let hosts = u64::from(SPOOFED.1);
        let mut seen = vec![false; SPOOFED.1 as usize];
        for number in 0..hosts {
            let host = u32::from(source(number, false).0) - u32::from(SPOOFED.0);
            assert!(!std::mem::replace(&mut seen[host as usize], true));
        }
        assert_eq!(source(hosts, false).0, source(0, false).0);
    }

    #[test]
    fn a_source_that_comes_again_hits_another_port() {
        let hosts = usize::try_from(SPOOFED.1).unwrap();
        assert_ne!(hosts % BATCH, 0);
        assert_eq!(pool(&Junk::Syns(vec![1, 2, 3])).len(), BATCH);
        assert_eq!(pool(&Junk::Datagrams(1)).len() % BATCH, 0);
    }
}
