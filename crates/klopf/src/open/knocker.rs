//! Makes packets and sends them.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use klopf_config::profile::{Allow, Profile};
use klopf_spa::{KeyId, Knock, Name, PacketPort, seal};

use super::allow::public_address;
use super::target::{Target, towards};
use crate::complain;
use crate::failure::{Failure, code};
use crate::profile::{Counter, Folders, Kept, Opened, OpenedList, Secrets, random};

/// What is asked of the server.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) door: Name,
    pub(crate) allow: Allow,
    /// For how many seconds; 0: as long as the door says.
    pub(crate) hold: u32,
    /// Of the second factor.
    pub(crate) code: Option<u32>,
}

/// Knocks for one profile.
pub(crate) struct Knocker {
    name: Name,
    profile: Profile,
    secrets: Secrets,
    counter: Counter,
    opened: OpenedList,
    ask: Ask,
    /// Public addresses, and the local ones that they were asked from.
    public: RefCell<Vec<(IpAddr, IpAddr)>>,
    warned: std::cell::Cell<bool>,
}

/// A packet that is to be sent, or was.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) to: SocketAddr,
    pub(crate) knock: Knock,
    pub(crate) bytes: Vec<u8>,
}

/// Where a packet goes, or went.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The address and port.
    pub(crate) to: SocketAddr,
    /// Whom it lets in; none: whoever it comes from.
    pub(crate) allow: Option<IpAddr>,
    /// By which it leaves; tells later whether the host refused it.
    pub(crate) socket: UdpSocket,
}

impl Knocker {
    pub(crate) fn new(folders: &Folders, kept: &Kept, ask: Ask) -> Result<Self, Failure> {
        let secrets = Secrets::of(kept)?;
        let counter = Counter::new(&folders.state, secrets.id(), kept.profile.clock);
        Ok(Self {
            name: kept.name.clone(),
            profile: kept.profile.clone(),
            secrets,
            counter,
            opened: OpenedList::new(&folders.state),
            ask,
            public: RefCell::default(),
            warned: std::cell::Cell::default(),
        })
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The door that is knocked for.
    pub(crate) fn door(&self) -> &Name {
        &self.ask.door
    }

    /// Which key is used.
    pub(crate) fn key(&self) -> KeyId {
        self.secrets.id()
    }

    /// Sends a packet to each address that can be reached, and writes down what was opened.
    ///
    /// # Errors
    /// If nothing could be sent.
    pub(crate) fn knock(&self, target: &Target) -> Result<Vec<Sent>, Failure> {
        let now = unix_ms();
        let (ways, trouble) = self.ways(target);
        if ways.is_empty() {
            return Err(trouble.unwrap_or_else(|| nobody(target)));
        }
        let taken = self.counter.take(u64::try_from(ways.len()).unwrap_or(1), now)?;
        if let Some(warning) = taken.warning.filter(|_| !self.warned.replace(true)) {
            complain(format_args!("warning: {warning}"));
        }
        let (mut sent, mut trouble) = (Vec::new(), trouble);
        for (way, counter) in ways.into_iter().zip(taken.first..) {
            let packet = self.packet(way.to, way.allow, counter, now)?;
            match way.socket.send(&packet.bytes) {
                Ok(_) => sent.push(way),
                Err(error) => trouble = Some(unsent(way.to, &error)),
            }
        }
        if sent.is_empty() {
            return Err(trouble.unwrap_or_else(|| nobody(target)));
        }
        self.note(target, &sent, now);
        Ok(sent)
    }

    /// What [`Knocker::knock`] would send; nothing is sent to the server or written down.
    pub(crate) fn rehearse(&self, target: &Target) -> Result<Vec<Packet>, Failure> {
        let now = unix_ms();
        let (ways, trouble) = self.ways(target);
        if ways.is_empty() {
            return Err(trouble.unwrap_or_else(|| nobody(target)));
        }
        let first = self.counter.next(now);
        ways.into_iter().zip(first..).map(|(way, counter)| self.packet(way.to, way.allow, counter, now)).collect()
    }

    /// Where packets can go now, and why to one of the addresses none can.
    fn ways(&self, target: &Target) -> (Vec<Sent>, Option<Failure>) {
        let port = match self.profile.way.port {
            PacketPort::Fixed(port) => port,
            PacketPort::Hop => self.profile.server.hop_port(unix_ms() / 1000),
        };
        let (mut ways, mut trouble) = (Vec::new(), None);
        for mut to in self.of_family(target) {
            to.set_port(port);
            let way = towards(to).map_err(|error| unsent(to, &error));
            match way.and_then(|socket| Ok(Sent { to, allow: self.allow(to, &socket)?, socket })) {
                Ok(way) => ways.push(way),
                Err(failure) => trouble = trouble.or(Some(failure)),
            }
        }
        (ways, trouble)
    }

    /// The addresses of the target that whoever is let in would connect to.
    fn of_family(&self, target: &Target) -> Vec<SocketAddr> {
        let all = target.addresses.clone();
        let Allow::Address(address) = self.ask.allow else { return all };
        let same: Vec<_> = all.iter().copied().filter(|to| to.is_ipv4() == address.is_ipv4()).collect();
        if same.is_empty() { all } else { same }
    }

    fn allow(&self, to: SocketAddr, socket: &UdpSocket) -> Result<Option<IpAddr>, Failure> {
        match self.ask.allow {
            Allow::Observed => Ok(None),
            Allow::Address(address) => Ok(Some(address)),
            Allow::Auto => {
                let Some(server) = &self.profile.stun else {
                    let why = format_args!(
                        "auto asks a STUN server, and the profile {} names none\n\
                         Add a line like: stun = \"stun.example.net:3478\"",
                        self.name
                    );
                    return Err(Failure::new(code::CONFIG, why));
                };
                let local = socket.local_addr().map_err(|error| unsent(to, &error))?.ip();
                let known = self.public.borrow().iter().find(|(from, _)| *from == local).map(|(_, public)| *public);
                if let Some(public) = known {
                    return Ok(Some(public));
                }
                let public = public_address(server, to, "To be let in as the server sees you: --allow observed")?;
                self.public.borrow_mut().push((local, public));
                Ok(Some(public))
            }
        }
    }

    fn packet(&self, to: SocketAddr, allow: Option<IpAddr>, counter: u64, unix_ms: u64) -> Result<Packet, Failure> {
        let Ask { door, hold, code, .. } = self.ask.clone();
        let time = if self.profile.clock { unix_ms } else { 0 };
        let knock = Knock { time, counter, device: self.profile.device, allow, hold, code, door };
        let mut trouble = None;
        let mut fill = |bytes: &mut [u8]| trouble = random(bytes).err().or_else(|| trouble.take());
        let way = (&self.profile.server, self.profile.way.shape);
        let bytes = seal(way, (&self.secrets.seed, &self.secrets.psk), &knock, unix_ms, &mut fill);
        match trouble {
            None => Ok(Packet { to, knock, bytes }),
            Some(failure) => Err(failure),
        }
    }

    fn note(&self, target: &Target, sent: &[Sent], now: u64) {
        let Ask { door, hold, .. } = &self.ask;
        let allow = sent.iter().find_map(|sent| sent.allow).map_or_else(|| "observed".to_owned(), |ip| ip.to_string());
        self.opened.add(Opened {
            profile: self.name.to_string(),
            door: door.to_string(),
            endpoint: target.endpoint.clone(),
            addresses: sent.iter().map(|sent| sent.to.ip()).collect(),
            allow,
            at_ms: now,
            until_ms: (*hold > 0).then(|| now.saturating_add(u64::from(*hold) * 1000)),
        });
    }
}

/// Milliseconds since 1970; 0 where the clock is before.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn unsent(to: SocketAddr, error: &io::Error) -> Failure {
    let why = format_args!("cannot send to {}: {error}; check this machine's network and firewall", to.ip());
    Failure::new(code::UNAVAILABLE, why)
}

fn nobody(target: &Target) -> Failure {
    Failure::new(code::NO_HOST, format_args!("host '{}' has no address", target.endpoint))
}
