//! `klopf proxy`: knocks for programs that cannot.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use klopf_wire::socks::{Host, Reply, Request};

use super::find::{endpoints, knows};
use super::{Asking, Families};
use crate::connect::Reach;
use crate::failure::{Failure, code};
use crate::open::{Knocker, resolve};
use crate::profile::{CoreFiles, Folders, Kept, Store};
use crate::proxy::{Connector, serve};
use crate::say;
use crate::times::duration;

/// How long the addresses of a profile's endpoints are remembered.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct Options {
    /// The port at which it listens, on the loopback interface
    #[arg(long, default_value_t = 1080)]
    port: u16,
    /// Refuse hosts that no profile knows
    #[arg(long)]
    only_profiles: bool,
    /// How long to try to reach a host
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    families: Families,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let _core_files = CoreFiles::none();
    let folders = Folders::find()?;
    let at = (Ipv4Addr::LOCALHOST, options.port);
    let listener = TcpListener::bind(at).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (at, listener) = listener.map_err(|error| {
        let why = format_args!("cannot listen at 127.0.0.1 port {}: {error}; choose another one: --port", options.port);
        Failure::new(code::UNAVAILABLE, why)
    })?;
    let connector = Doors {
        folders,
        family: options.families,
        patience: options.timeout,
        only_profiles: options.only_profiles,
        addresses: Mutex::default(),
    };
    say(format_args!("SOCKS5 at {at}"));
    let error = serve(&listener, &Arc::new(connector));
    Err(Failure::new(code::SYSTEM, format_args!("the proxy cannot go on: {error}")))
}

/// Connects through the doors of all profiles.
struct Doors {
    folders: Folders,
    family: Families,
    patience: Duration,
    only_profiles: bool,
    /// Addresses of endpoints, and when they were asked for.
    addresses: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Connector for Doors {
    fn connect(&self, request: &Request) -> Result<TcpStream, (Reply, String)> {
        let host = match &request.host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.to_string(),
        };
        // Read anew each time, so that a new profile or a change counts at once.
        let (all, broken) = Store::new(&self.folders).all();
        let mut fits = all.into_iter().filter(|kept| knows(kept, &host) || self.leads_to(kept, &request.host));
        let connected = match (fits.next(), fits.next()) {
            (Some(kept), None) => self.through(&kept, &host, request.port),
            (Some(one), Some(other)) => {
                let why = format!("the profiles {} and {} are both for '{host}'", one.name, other.name);
                return Err((Reply::NotAllowed, why));
            }
            (None, _) if self.only_profiles => {
                let why = broken.first().map_or_else(|| format!("no profile is for '{host}'"), ToString::to_string);
                return Err((Reply::NotAllowed, why));
            }
            (None, _) => self.reach(None, &[host], request.port),
        };
        connected.map_err(|(refused, failure)| {
            let reply = match (refused, failure.code) {
                (true, _) => Reply::Refused,
                (false, code::NO_HOST | code::UNAVAILABLE) => Reply::HostUnreachable,
                _ => Reply::Failed,
            };
            (reply, failure.to_string())
        })
    }
}

impl Doors {
    fn through(&self, kept: &Kept, host: &str, port: u16) -> Result<TcpStream, (bool, Failure)> {
        let not_refused = |failure| (false, failure);
        // Nobody sits here who could be asked.
        if kept.profile.code_doors.contains(&kept.profile.door) {
            let why = format_args!("the door {} of {} asks for a code; use klopf open", kept.profile.door, kept.name);
            return Err(not_refused(Failure::new(code::USAGE, why)));
        }
        let ask = Asking::default().of(kept, None).map_err(not_refused)?;
        let knocker = Knocker::new(&self.folders, kept, ask).map_err(not_refused)?;
        self.reach(Some(&knocker), &endpoints(kept, host), port)
    }

    fn reach(&self, knocker: Option<&Knocker>, hosts: &[String], port: u16) -> Result<TcpStream, (bool, Failure)> {
        let reach = Reach {
            knocking: knocker.map(|knocker| knocker as _),
            endpoints: hosts,
            port,
            family: self.family.family(),
            patience: self.patience,
        };
        reach.connect().map_err(|unreached| (unreached.refused, unreached.failure))
    }

    /// Whether an address is one of a profile's endpoints: some programs resolve names by themselves.
    fn leads_to(&self, kept: &Kept, host: &Host) -> bool {
        let Host::Address(address) = host else { return false };
        kept.profile.endpoints.iter().any(|endpoint| self.addresses_of(endpoint).contains(address))
    }

    fn addresses_of(&self, endpoint: &str) -> Vec<IpAddr> {
        let known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).get(endpoint).cloned();
        if let Some((_, addresses)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return addresses;
        }
        let found = resolve(endpoint, self.family.family());
        let addresses: Vec<IpAddr> = found.into_iter().flat_map(|target| target.addresses).map(|at| at.ip()).collect();
        let entry = (Instant::now(), addresses.clone());
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.to_owned(), entry);
        addresses
    }
}
