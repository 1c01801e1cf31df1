//! Sends the hits of sequences, or writes them down.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use klopf_config::profile::Allow;
use klopf_spa::Name;
use klopf_spa::encoded::{Claim, Transport, round_hold};
use klopf_wire::{Port, Proto};

use super::address::allowed;
use super::asking::{LetIn, Log, Options, PACE, PASSES, Template};
use super::lines;
use super::speller::{Spelled, Speller};
use crate::connect::{Knocking, Reach};
use crate::explain;
use crate::failure::{Failure, code};
use crate::hits::Hit;
use crate::open::{Sent, Target, resolve, towards, unix_ms};
use crate::person::{Families, Waiting, What};
use crate::profile::{Folders, Kept, Opened, OpenedList, Store, random};
use crate::send::knock;
use crate::times::span;
use crate::{complain, say};

/// What is asked for.
pub(crate) struct Request<'a> {
    pub(crate) what: What,
    pub(crate) time: Option<Duration>,
    pub(crate) allow: Option<LetIn>,
    pub(crate) port: Option<u16>,
    pub(crate) flags: u8,
    pub(crate) template: Template,
    pub(crate) pace: Duration,
    pub(crate) passes: u8,
    pub(crate) waiting: &'a Waiting,
    pub(crate) families: Families,
    pub(crate) dry_run: bool,
    pub(crate) log: Log,
}

impl<'a> Request<'a> {
    /// What `klopf open --via encoded` asks for.
    pub(crate) fn plain(
        what: What,
        (time, allow): (Option<Duration>, Option<Allow>),
        waiting: &'a Waiting,
        families: Families,
        dry_run: bool,
    ) -> Self {
        Self {
            what,
            time,
            allow: allow.map(LetIn::One),
            port: None,
            flags: 0,
            template: Template::default(),
            pace: PACE,
            passes: PASSES,
            waiting,
            families,
            dry_run,
            log: Log::default(),
        }
    }
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    open(&options.request())
}

/// Hits the ports, writes the hits down, or shows them.
pub(crate) fn open(request: &Request<'_>) -> Result<ExitCode, Failure> {
    let folders = Folders::find()?;
    let kept = Store::new(&folders).choose(request.what.profile.as_ref())?;
    let speller = Speller::new(&folders, &kept, request.what.door.as_ref(), &request.template)?;
    let hold = hold(request, &speller)?;
    let sender = Sender { request, speller: &speller, hold, opened: OpenedList::new(&folders.state), kept: &kept };
    if let (Some(port), false) = (request.waiting.wait, request.dry_run) {
        return sender.wait(port);
    }
    let target = first(&kept, request.families)?;
    if request.dry_run {
        return sender.rehearse(&target);
    }
    if let Some(path) = &request.log.to_log {
        return sender.write_down(&target, path);
    }
    let sent = sender.knock(&target)?;
    let addresses: Vec<String> = sent.iter().map(|Sent { to, .. }| to.ip().to_string()).collect();
    say(format_args!(
        "Knocked at {} ({}) with {} for the door {}. A knock is never answered.",
        target.endpoint,
        addresses.join(", "),
        hits(&speller, request.passes),
        speller.door
    ));
    Ok(ExitCode::SUCCESS)
}

/// The seconds that are asked for; also whether the template has room for all that is.
fn hold(request: &Request<'_>, speller: &Speller) -> Result<u32, Failure> {
    let fields = speller.template.fields;
    for (asked, there, option, field) in [
        (request.time.is_some(), fields.hold, "--for", "for"),
        (request.port.is_some(), fields.port, "--port", "port"),
        (request.flags != 0, fields.flags, "--flag", "flag"),
    ] {
        if asked && !there {
            let why = format_args!(
                "the sequences of the door {} have no field `{field}`, so {option} cannot be said; leave it out, or add \
                 \"{field}\" to `fields` of the door on the server, and to the profile",
                speller.door
            );
            return Err(Failure::new(code::USAGE, why));
        }
    }
    let wanted = request.time.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    let said = round_hold(wanted);
    if said != wanted {
        let text = |seconds: u32| span(u64::from(seconds) * 1000);
        complain(format_args!("A sequence has no {}; it asks for {}.", text(wanted), text(said)));
    }
    Ok(said)
}

/// The first endpoint that is known.
fn first(kept: &Kept, families: Families) -> Result<Target, Failure> {
    let mut last = Failure::new(code::CONFIG, "the profile has no endpoint");
    for endpoint in &kept.profile.endpoints {
        match resolve(endpoint, families.family()) {
            Ok(target) => return Ok(target),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// `20 hits, twice`.
fn hits(speller: &Speller, passes: u8) -> String {
    let count = speller.template.length();
    match passes {
        1 => format!("{count} hits"),
        2 => format!("{count} hits, twice"),
        _ => format!("{count} hits, {passes} times"),
    }
}

struct Sender<'a> {
    request: &'a Request<'a>,
    speller: &'a Speller,
    hold: u32,
    opened: OpenedList,
    kept: &'a Kept,
}

impl Sender<'_> {
    /// What a sequence says that goes to this address.
    fn claim(&self, to: SocketAddr) -> Result<Claim, Failure> {
        let Self { request, speller, hold, .. } = self;
        let allow = allowed(speller.template.fields.whom, request.allow, &speller.profile, to)?;
        Ok(Claim { allow, port: request.port, hold: *hold, flags: request.flags })
    }

    /// Where sequences go, and what each says: one to an address of the family that is let in, or to each if that is whoever
    /// the hits come from.
    fn ways(&self, target: &Target) -> Result<Vec<(SocketAddr, Claim)>, Failure> {
        let mut ways = Vec::new();
        let mut trouble = None;
        for to in &target.addresses {
            match self.claim(*to) {
                Ok(claim) => ways.push((*to, claim)),
                Err(failure) => trouble = Some(failure),
            }
        }
        if ways.iter().any(|(_, claim)| claim.allow.is_some()) {
            let same = |(to, claim): &(SocketAddr, Claim)| {
                claim.allow.is_some_and(|(address, _)| address.is_ipv4() == to.is_ipv4())
            };
            let best = ways.iter().position(same).unwrap_or(0);
            ways = ways.into_iter().skip(best).take(1).collect();
        }
        match trouble {
            Some(failure) if ways.is_empty() => Err(failure),
            _ => Ok(ways),
        }
    }

    fn send(&self, to: SocketAddr, ports: &[u16]) -> Result<(), Failure> {
        let proto = match self.speller.template.transport {
            Transport::Tcp => Proto::Tcp,
            Transport::Udp => Proto::Udp,
        };
        let hit = |number: &u16| Hit { port: Port { proto, number: *number }, typed: number.to_string() };
        let hits: Vec<Hit> = ports.iter().map(hit).collect();
        for _ in 0..self.request.passes {
            knock(to, &hits, self.request.pace, |_| ())
                .map_err(|error| Failure::new(error.exit_code(), error.to_string()))?;
        }
        Ok(())
    }

    fn note(&self, target: &Target, sent: &[Sent], now: u64) {
        let allow = sent.iter().find_map(|sent| sent.allow).map_or_else(|| "observed".to_owned(), |ip| ip.to_string());
        self.opened.add(Opened {
            profile: self.kept.name.to_string(),
            door: self.speller.door.to_string(),
            endpoint: target.endpoint.clone(),
            addresses: sent.iter().map(|sent| sent.to.ip()).collect(),
            allow,
            at_ms: now,
            until_ms: (self.hold > 0).then(|| now.saturating_add(u64::from(self.hold) * 1000)),
        });
    }

    /// Knocks until a port answers.
    fn wait(&self, port: u16) -> Result<ExitCode, Failure> {
        let begun = Instant::now();
        let reach = Reach {
            knocking: Some(self),
            endpoints: &self.speller.profile.endpoints,
            port,
            family: self.request.families.family(),
            patience: self.request.waiting.patience(),
        };
        let stream = reach.connect().map_err(|unreached| {
            let failure = unreached.failure;
            if !unreached.unanswered {
                return failure;
            }
            let why = format_args!(
                "{failure}\nHits may be lost, or a firewall on the way may drop them; try a slower --pace, or more --passes. Both \
                 clocks may differ; compare: date -u\nOn the server this says more: klopf status"
            );
            Failure::new(failure.code, why)
        })?;
        let host = stream.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default();
        say(format_args!("{host} answers at tcp/{port}, after {} ms.", begun.elapsed().as_millis()));
        Ok(ExitCode::SUCCESS)
    }

    fn rehearse(&self, target: &Target) -> Result<ExitCode, Failure> {
        let now = unix_ms() / 1000;
        let speller = self.speller;
        say(format_args!("Nothing is sent. To open the door {} of {}:", speller.door, target.endpoint));
        for (to, claim) in self.ways(target)? {
            let Spelled { claim, symbols, ports, mark } = speller.rehearse(claim, now)?;
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            say(format_args!("\nTo {}: {}", to.ip(), ports.join(" ")));
            let door = (&*speller.door, &speller.template);
            say(explain::sequence(door, speller.key(), &symbols, Some((claim, mark)), now).trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Appends to a log, as a firewall would.
    fn write_down(&self, target: &Target, path: &Path) -> Result<ExitCode, Failure> {
        let now = unix_ms() / 1000;
        let (mut text, mut said) = (String::new(), Vec::new());
        let log = &self.request.log;
        let prefix: String = log.log_prefix.chars().filter(|c| !c.is_control()).collect();
        for (to, claim) in self.ways(target)? {
            let from = log.log_source.or_else(|| claim.allow.map(|(address, _)| address));
            let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) else {
                let why = format_args!("lines of a log say from where hits to {} come; --log-source ADDRESS", to.ip());
                return Err(Failure::new(code::USAGE, why));
            };
            let Spelled { ports, .. } = self.speller.spell(claim, now)?;
            for port in (0..self.request.passes).flat_map(|_| &ports) {
                let mut seed = [0; 2];
                random(&mut seed)?;
                let packet = (from, to.ip(), *port);
                let head = (now, &*target.endpoint, &*prefix);
                text += &lines::line(head, packet, self.speller.template.transport, u16::from_be_bytes(seed));
                text.push('\n');
            }
            said.push(to.ip());
        }
        if path == Path::new("-") {
            say(text.trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        let written = OpenOptions::new().create(true).append(true).open(path);
        written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
            Failure::new(code::CANNOT_WRITE, format_args!("cannot write to {}: {error}", path.display()))
        })?;
        let to: Vec<String> = said.iter().map(IpAddr::to_string).collect();
        let (count, door): (_, &Name) = (hits(self.speller, self.request.passes), &self.speller.door);
        complain(format_args!(
            "Wrote {count}, on {} for the door {door} to {}. Nothing was sent.",
            to.join(", "),
            path.display()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

impl Knocking for Sender<'_> {
    fn knock(&self, target: &Target) -> Result<Vec<Sent>, Failure> {
        let now = unix_ms();
        let mut sent = Vec::new();
        let mut trouble = None;
        for (to, claim) in self.ways(target)? {
            let Spelled { ports, .. } = self.speller.spell(claim, now / 1000)?;
            let mut first = to;
            first.set_port(ports.first().copied().unwrap_or_default());
            let done = self.send(to, &ports).and_then(|()| {
                let why = |error| Failure::new(code::UNAVAILABLE, format_args!("cannot send to {}: {error}", to.ip()));
                Ok(Sent {
                    to: first,
                    allow: claim.allow.map(|(address, _)| address),
                    socket: towards(first).map_err(why)?,
                })
            });
            match done {
                Ok(done) => sent.push(done),
                Err(failure) => trouble = Some(failure),
            }
        }
        match trouble {
            Some(failure) if sent.is_empty() => Err(failure),
            _ => {
                self.note(target, &sent, now);
                Ok(sent)
            }
        }
    }
}
