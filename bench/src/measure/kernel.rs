//! The stages of a packet that are the kernel's: the filter before the watch, and the firewall behind the keeper.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use klopf_gate::Scope;
use klopf_gate::firewall::{Admission, Firewall, Guard, Ports, TCP};
use klopf_sys::{Interest, clock};
use klopf_wire::{FlagMask, Port, PortSet};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};

use crate::contender::{GUARDED, SEQUENCE, klopf};
use crate::error::{Error, Result};
use crate::frame;
use crate::lab::{CLIENT, Injector, Lab, SERVER};
use crate::samples::{median, whole};

/// The link-level address of nobody.
const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];
/// A port of no door.
const OTHER_PORT: u16 = 443;
/// Doors, and leases: one and many of them.
const DOORS: [u16; 3] = [1, 100, 10_000];
const LEASES: [u32; 2] = [1, 10_000];
/// Frames of a system call, and system calls between two looks at the clock.
const BATCH: usize = 64;
const BATCHES: usize = 16;
/// Turns of the two filters that are compared, and looks in each.
const TURNS: usize = 20;
const LOOKS: usize = 10;
/// Leases that are given and taken again between two looks at the clock, and looks.
const GRANTS: u32 = 20;
const GRANT_LOOKS: usize = 25;
/// Milliseconds that leases have: longer than this takes.
const HOUR: u64 = 3_600_000;

/// What a stage has cost: its name, and nanoseconds for a packet or a lease, look by look.
pub(super) type Cost = (String, Vec<f64>);

/// The filter with more and more doors, and a grant and a revoke with more and more leases.
pub(super) fn costs() -> Result<Vec<Cost>> {
    let mut all = filter()?;
    for leases in LEASES {
        // In a network namespace of its own, which goes with its thread.
        let apart = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(Error::io("make a network namespace"))?;
            gate(leases)
        });
        all.extend(apart.join().unwrap_or_else(|_| Err(Error::Program("a measurement has ended".into())))?);
    }
    Ok(all)
}

/// SYNs to a port of no door come to a packet socket, in turn to one whose filter is that of so many doors and to one whose
/// filter rejects by its first instruction. What the first takes more is the filter's.
fn filter() -> Result<Vec<Cost>> {
    let lab = Lab::build()?;
    let injector = lab.injector()?;
    let mut costs = Vec::new();
    for doors in DOORS {
        let (interest, mut samples) = (interest(doors), Vec::new());
        for _ in 0..TURNS {
            // As it is opened, it lets nothing through.
            let nothing = lab.packets()?;
            let without = median(&looks(&injector)?).unwrap_or_default();
            drop(nothing);
            let socket = lab.packets()?;
            socket.listen(&interest, false).map_err(Error::io("attach a filter"))?;
            samples.extend(looks(&injector)?.into_iter().map(|with| with - without));
        }
        costs.push((format!("filter, {} doors", whole(doors.into())), samples));
    }
    Ok(costs)
}

/// What doors care about that have nothing but sequences, as knockd's.
fn interest(doors: u16) -> Interest {
    let mut ports = PortSet::default();
    let others = (1..doors).flat_map(klopf::others);
    SEQUENCE.into_iter().chain(others).for_each(|number| ports.insert(Port::tcp(number)));
    Interest { ports, flags: FlagMask::OPENING, interfaces: None }
}

/// Nanoseconds for each frame that is sent.
fn looks(injector: &Injector) -> Result<Vec<f64>> {
    let mut frame = frame::syn((CLIENT, 40_000), (SERVER, OTHER_PORT));
    // For another host on the link, so that this one does nothing more with it.
    frame.iter_mut().take(STRANGER.len()).zip(STRANGER).for_each(|(to, from)| *to = from);
    let frames = vec![[IoSlice::new(&frame)]; BATCH];
    let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
    let mut look = || {
        let (begin, mut sent) = (Instant::now(), 0);
        for _ in 0..BATCHES {
            let results = sendmmsg(injector.fd(), &mut headers, &frames, vec![None; BATCH], [], MsgFlags::empty());
            sent += results.map_err(Error::io("send frames"))?.count();
        }
        Ok(begin.elapsed().as_secs_f64() * 1e9 / sent.max(1) as f64)
    };
    // The first is for the caches.
    look()?;
    (0..LOOKS).map(|_| look()).collect()
}

/// A lease is given and taken again, each in a transaction of its own, by the gate's own code and the real nf_tables.
fn gate(leases: u32) -> Result<[Cost; 2]> {
    let wrong = |error| Error::Program(format!("nf_tables: {error}"));
    let now = clock::boot_ms();
    let mut firewall = Firewall::open(false).map_err(wrong)?;
    let ports = vec![Ports { proto: TCP, first: GUARDED, last: GUARDED }];
    firewall.guard(&[Guard::new("bench".into(), ports)], None, Vec::new(), now).map_err(wrong)?;
    for lease in 1..leases {
        firewall.let_in(lease.into(), admission(lease, now), now).map_err(wrong)?;
    }
    let (mut grants, mut revokes) = (Vec::new(), Vec::new());
    for _ in 0..GRANT_LOOKS {
        let begin = Instant::now();
        for lease in leases..leases + GRANTS {
            firewall.let_in(lease.into(), admission(lease, now), now).map_err(wrong)?;
        }
        let between = Instant::now();
        (leases..leases + GRANTS).for_each(|lease| firewall.shut_out(lease.into(), now));
        let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(GRANTS);
        grants.push(each(between - begin));
        revokes.push(each(between.elapsed()));
    }
    // What could not be taken back is no cheap revoke.
    let left = firewall.found().map_err(wrong)?.len();
    if left + 1 != leases as usize {
        return Err(Error::Program(format!("there are {left} leases in the kernel, and should be {}", leases - 1)));
    }
    let many = whole(leases.into());
    Ok([(format!("grant, {many} leases"), grants), (format!("revoke, {many} leases"), revokes)])
}

fn admission(lease: u32, now: u64) -> Admission {
    let address = IpAddr::from(Ipv4Addr::from(0x6440_0000 + lease));
    Admission { door: "bench".into(), address, scope: Scope::default(), who: None, due: now + HOUR }
}
