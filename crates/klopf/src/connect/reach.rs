//! The way to a port behind a door.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::race::{Outcome, Race};
use crate::failure::{Failure, code};
use crate::open::{Knocker, Sent, Target, resolve, towards};
use crate::send::Family;

/// When a SYN is sent after a knock. The first is for a door that is open or opens at once, the others for what the first
/// ones were too early for. They are few: some hosts count the connections of an address.
const FIRST_ROUND: [u64; 4] = [3, 15, 60, 180];
const LATER_ROUNDS: [u64; 2] = [10, 100];
/// How long a round lasts, in milliseconds; each takes twice as long as the one before, up to a bound. Each begins with a knock.
const ROUND_MS: u64 = 400;
const LONGEST_ROUND_MS: u64 = 3200;
/// How much later the family comes that the system prefers less (RFC 8305, section 5).
const OTHER_FAMILY: Duration = Duration::from_millis(250);
/// How long a port may refuse: behind it a service may just be starting.
const REFUSES: Duration = Duration::from_secs(4);
/// When a port that has refused is tried again.
const AGAIN: Duration = Duration::from_millis(150);
/// How long there may be no way to any address: the network may just be changing.
const NO_WAY: Duration = Duration::from_secs(5);
/// How long a host is tried when there is another one.
const NOT_THE_LAST: Duration = Duration::from_secs(5);
/// How often it is looked at whether the network has changed.
const LOOK: Duration = Duration::from_millis(250);

/// Opens the way to a host. Gives the addresses that were knocked at.
pub(crate) trait Knocking {
    fn knock(&self, target: &Target) -> Result<Vec<Sent>, Failure>;
}

impl Knocking for Knocker {
    fn knock(&self, target: &Target) -> Result<Vec<Sent>, Failure> {
        Self::knock(self, target)
    }
}

/// What is to be reached.
pub(crate) struct Reach<'a> {
    /// Nobody for a host without a door.
    pub(crate) knocking: Option<&'a dyn Knocking>,
    /// Hosts, tried in this order.
    pub(crate) endpoints: &'a [String],
    pub(crate) port: u16,
    pub(crate) family: Family,
    /// For all of them together.
    pub(crate) patience: Duration,
}

/// Why nothing was reached.
#[derive(Debug)]
pub(crate) struct Unreached {
    pub(crate) failure: Failure,
    /// The packets that were sent last.
    pub(crate) sent: Vec<Sent>,
    /// The port refused.
    pub(crate) refused: bool,
    /// Knocks were sent and nobody answered, so that one may ask why.
    pub(crate) unanswered: bool,
}

impl Unreached {
    /// Another host was not reached either, before this one.
    fn add(&mut self, before: Self) {
        // What was knocked at says more than what is not there.
        let code = if before.unanswered { before.failure.code } else { self.failure.code };
        self.failure = Failure::new(code, format_args!("{}\n{}", before.failure, self.failure));
        self.sent.extend(before.sent);
        self.refused |= before.refused;
        self.unanswered |= before.unanswered;
    }
}

impl From<Failure> for Unreached {
    fn from(failure: Failure) -> Self {
        Self { failure, sent: Vec::new(), refused: false, unanswered: false }
    }
}

impl Reach<'_> {
    /// Knocks and connects.
    ///
    /// # Errors
    /// Why not, for each host.
    pub(crate) fn connect(&self) -> Result<TcpStream, Unreached> {
        let end = Instant::now() + self.patience;
        let mut last: Option<Unreached> = None;
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let left = u32::try_from(self.endpoints.len() - index).unwrap_or(1);
            let share = end.saturating_duration_since(Instant::now()) / left;
            let share = if left > 1 { share.min(NOT_THE_LAST) } else { share };
            match Way::new(self, endpoint, share).and_then(Way::go) {
                Ok(stream) => {
                    // Each key that is typed is sent at once.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(mut unreached) => {
                    if let Some(before) = last.take() {
                        unreached.add(before);
                    }
                    last = Some(unreached);
                }
            }
        }
        Err(last.unwrap_or_else(|| Failure::new(code::USAGE, "there is no host to connect to").into()))
    }
}

/// One host, while it is tried.
struct Way<'a> {
    reach: &'a Reach<'a>,
    end: Instant,
    target: Target,
    /// Where packets leave from, by address of the target.
    locals: Vec<Option<IpAddr>>,
    /// Whether there was a way to one of them.
    was_there: bool,
    race: Race,
    sent: Vec<Sent>,
    /// Attempts to come.
    due: Vec<(Instant, SocketAddr)>,
    refused_since: Option<Instant>,
    no_way_since: Option<Instant>,
    last_error: Option<(SocketAddr, io::Error)>,
}

impl<'a> Way<'a> {
    fn new(reach: &'a Reach<'a>, endpoint: &str, patience: Duration) -> Result<Self, Unreached> {
        let target = resolve(endpoint, reach.family)?;
        let locals = locals(&target);
        Ok(Self {
            reach,
            end: Instant::now() + patience,
            target,
            was_there: locals.iter().any(Option::is_some),
            locals,
            race: Race::default(),
            sent: Vec::new(),
            due: Vec::new(),
            refused_since: None,
            no_way_since: None,
            last_error: None,
        })
    }

    fn go(mut self) -> Result<TcpStream, Unreached> {
        for round in 0.. {
            let length = (ROUND_MS << round.min(4)).min(LONGEST_ROUND_MS);
            let round_end = (Instant::now() + Duration::from_millis(length)).min(self.end);
            self.begin(round)?;
            if let Some(stream) = self.until(round_end)? {
                return Ok(stream);
            }
            if Instant::now() >= self.end {
                break;
            }
        }
        Err(self.silent())
    }

    /// Knocks, and plans the attempts of a round.
    fn begin(&mut self, round: u32) -> Result<(), Unreached> {
        self.due.clear();
        let addresses = match self.knock() {
            Ok(addresses) => {
                self.no_way_since = None;
                addresses
            }
            // The network may be on its way back, but a host that is not there at first is told at once.
            Err(failure) if failure.code == code::UNAVAILABLE && self.may_come_back() => {
                self.look_again();
                return Ok(());
            }
            Err(failure) => return Err(failure.into()),
        };
        let offsets = if round == 0 { FIRST_ROUND.as_slice() } else { LATER_ROUNDS.as_slice() };
        // Nobody needs many SYNs where there is no door that opens.
        let offsets = if self.reach.knocking.is_some() { offsets } else { &[0] };
        let now = Instant::now();
        for (index, address) in addresses.into_iter().enumerate() {
            let later = if index > 0 && round == 0 { OTHER_FAMILY } else { Duration::ZERO };
            self.due.extend(offsets.iter().map(|ms| (now + later + Duration::from_millis(*ms), address)));
        }
        self.due.sort_by_key(|(at, _)| *at);
        Ok(())
    }

    /// The addresses to connect to: those that were knocked at.
    fn knock(&mut self) -> Result<Vec<SocketAddr>, Failure> {
        let with_port = |address: &SocketAddr| {
            let mut address = *address;
            address.set_port(self.reach.port);
            address
        };
        let Some(knocking) = self.reach.knocking else {
            return Ok(self.target.addresses.iter().map(with_port).collect());
        };
        self.sent = knocking.knock(&self.target)?;
        Ok(self.sent.iter().map(|sent| with_port(&sent.to)).collect())
    }

    /// Tries until then.
    fn until(&mut self, round_end: Instant) -> Result<Option<TcpStream>, Unreached> {
        let mut looked = Instant::now();
        loop {
            let now = Instant::now();
            if now >= round_end {
                return Ok(None);
            }
            self.start_due(now);
            if self.nothing_under_way() && !self.may_come_back() {
                return Err(self.no_way());
            }
            let next = self.due.first().map_or(round_end, |(at, _)| *at).min(looked + LOOK).min(round_end);
            match self.race.next(next.saturating_duration_since(Instant::now())) {
                Some(Outcome::Connected(stream)) => return Ok(Some(stream)),
                Some(Outcome::Failed(at, error)) => self.failed(at, error)?,
                None => {}
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if locals(&self.target) != self.locals {
                    self.look_again();
                    return Ok(None);
                }
            }
        }
    }

    fn start_due(&mut self, now: Instant) {
        while let Some((_, to)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(0);
            match self.race.start(to) {
                Ok(()) => self.no_way_since = None,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.refused_since.get_or_insert(now);
                    self.last_error = Some((to, error));
                }
                Err(error) => {
                    // The other family need not wait for one that has no way.
                    self.due.retain(|(_, other)| *other != to);
                    self.due.iter_mut().for_each(|(at, _)| *at = (*at).min(now));
                    self.last_error = Some((to, error));
                }
            }
        }
    }

    fn failed(&mut self, at: SocketAddr, error: io::Error) -> Result<(), Unreached> {
        let now = Instant::now();
        let refused = error.kind() == io::ErrorKind::ConnectionRefused;
        self.last_error = Some((at, error));
        if !refused {
            return Ok(());
        }
        let patience = if self.reach.knocking.is_some() { REFUSES } else { Duration::ZERO };
        let since = *self.refused_since.get_or_insert(now);
        // One family may refuse while the other one is still to be tried.
        let others = self.due.iter().any(|(_, other)| *other != at);
        if since.elapsed() >= patience && !others {
            return Err(self.refused(at));
        }
        if !self.due.iter().any(|(_, other)| *other == at) && self.reach.knocking.is_some() {
            self.due.push((now + AGAIN, at));
            self.due.sort_by_key(|(at, _)| *at);
        }
        Ok(())
    }

    fn nothing_under_way(&self) -> bool {
        self.due.is_empty() && self.race.is_empty() && self.refused_since.is_none()
    }

    /// Whether it is worth waiting for the network.
    fn may_come_back(&mut self) -> bool {
        let since = *self.no_way_since.get_or_insert_with(Instant::now);
        self.was_there && since.elapsed() < NO_WAY
    }

    /// The network has changed: everything anew.
    fn look_again(&mut self) {
        self.race.clear();
        self.due.clear();
        if let Ok(target) = resolve(&self.target.endpoint, self.reach.family) {
            self.target = target;
        }
        self.locals = locals(&self.target);
        self.was_there |= self.locals.iter().any(Option::is_some);
    }

    fn refused(&mut self, at: SocketAddr) -> Unreached {
        let why = format_args!(
            "{} refuses connections to port {}: nothing listens there, or its firewall rejects them",
            Host(&self.target.endpoint, at),
            self.reach.port
        );
        let failure = Failure::new(code::UNAVAILABLE, why);
        Unreached {
            failure,
            sent: std::mem::take(&mut self.sent),
            refused: true,
            unanswered: self.reach.knocking.is_some(),
        }
    }

    fn no_way(&mut self) -> Unreached {
        let why = match self.last_error.take() {
            Some((at, error)) => {
                format!("cannot connect to {} port {}: {error}", Host(&self.target.endpoint, at), self.reach.port)
            }
            None => format!("there is no way to '{}'", self.target.endpoint),
        };
        Failure::new(code::UNAVAILABLE, why).into()
    }

    fn silent(mut self) -> Unreached {
        if let Some(at) = self.refused_since.and(self.last_error.as_ref()).map(|(at, _)| *at) {
            return self.refused(at);
        }
        let addresses: Vec<String> = self.target.addresses.iter().map(|address| address.ip().to_string()).collect();
        let why = format!(
            "'{}' ({}) does not answer at port {}",
            self.target.endpoint,
            addresses.join(", "),
            self.reach.port
        );
        let failure = Failure::new(code::UNAVAILABLE, why);
        Unreached {
            failure,
            sent: std::mem::take(&mut self.sent),
            refused: false,
            unanswered: self.reach.knocking.is_some(),
        }
    }
}

/// A host by name, with the address that was tried.
struct Host<'a>(&'a str, SocketAddr);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = self.1.ip().to_string();
        if ip == self.0 { f.write_str(&ip) } else { write!(f, "'{}' ({ip})", self.0) }
    }
}

/// The addresses that packets to the target leave from.
fn locals(target: &Target) -> Vec<Option<IpAddr>> {
    let local = |address: &SocketAddr| {
        let mut address = *address;
        // A port is needed, and nothing is sent.
        address.set_port(9);
        Some(towards(address).ok()?.local_addr().ok()?.ip())
    };
    target.addresses.iter().map(local).collect()
}

#[cfg(test)]
mod tests;
