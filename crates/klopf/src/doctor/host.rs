//! What is looked at by more than one check.

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use klopf_config::native::{Config, Door, PortRange};
use klopf_control::{AskError, Client, Reply, Request, Status};
use klopf_files::{Files, SourceFiles, Unreadable};
use klopf_gate::firewall::{BaseChain, ForeignRule, Ports, Survey, TCP, UDP};
use klopf_sys::Interface;
use klopf_wire::{Port, Proto};

use super::containers;
use super::finding::Findings;
use crate::daemon::Place;

/// How long klopfd may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Host {
    /// The file, if it has no faults.
    pub(super) config: Option<Config>,
    pub(super) status: Option<Status>,
    /// Why there is no status.
    pub(super) unheard: Option<AskError>,
    pub(super) interfaces: Vec<Interface>,
    pub(super) listeners: Vec<(Port, IpAddr)>,
    pub(super) chains: Vec<BaseChain>,
    pub(super) rules: Vec<ForeignRule>,
    /// Ports that are led elsewhere.
    pub(super) published: Vec<Ports>,
}

impl Host {
    pub(super) fn look(place: &Place, findings: &mut Findings) -> Self {
        let (status, unheard) = match status(place) {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error)),
        };
        let interfaces = klopf_sys::interfaces().unwrap_or_default();
        let listeners = klopf_sys::listeners().unwrap_or_else(|error| {
            let remedy = "load inet_diag, tcp_diag and udp_diag; without them klopfd cannot tell services either";
            findings.warn("kernel", format!("the kernel does not tell which ports are listened on: {error}"), remedy);
            Vec::new()
        });
        let (mut chains, mut rules) = (Vec::new(), Vec::new());
        if let Ok(mut survey) = Survey::open() {
            survey.tidy(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true));
            // What cannot be read is told of by the check of the kernel.
            chains = survey.base_chains().unwrap_or_default();
            rules = survey.rules().unwrap_or_default();
        }
        let published = containers::published(rules.iter().filter_map(|rule| rule.publishes));
        Self { config: None, status, unheard, interfaces, listeners, chains, rules, published }
    }

    /// Reads the file, and says what is wrong with it.
    pub(super) fn read_configuration(&mut self, place: &Place, findings: &mut Findings) {
        const ABOUT: &str = "configuration";
        let name = place.config.display().to_string();
        let files = match Files::read(&place.config) {
            Ok(files) => files,
            Err(Unreadable { path, error }) => {
                let remedy = "name the file that klopfd reads: klopf doctor --config FILE";
                return findings.wrong(ABOUT, format!("cannot read {}: {error}", path.display()), remedy);
            }
        };
        for path in files.exposed() {
            let text = format!("others may read {}, which holds secrets", path.display());
            findings.warn(ABOUT, text, klopf_files::remedy(path));
        }
        let look = format!("klopf check {name} shows the place");
        match files.parse() {
            Ok(checked) => {
                let sources = SourceFiles::read(&place.config, &checked.config);
                for trouble in sources.troubles() {
                    findings.warn(ABOUT, trouble.to_string(), trouble.help().to_owned());
                }
                for path in &sources.exposed {
                    let text = format!("others may read {}, which holds secrets", path.display());
                    findings.warn(ABOUT, text, klopf_files::remedy(path));
                }
                for warning in &checked.warnings {
                    let text = format!("{}:{}: {}", warning.file, warning.line, warning.text);
                    findings.warn(ABOUT, text, warning.help.clone());
                }
                let doors = checked.config.doors.len();
                if doors == 0 {
                    findings.wrong(ABOUT, format!("{name} has no door"), "write one; the file itself has examples");
                } else if checked.warnings.is_empty() {
                    findings.fine(ABOUT, format!("{name}, {doors} door{}", if doors == 1 { "" } else { "s" }));
                }
                self.config = Some(checked.config);
            }
            Err(faults) => {
                for fault in faults.iter() {
                    let text = format!("{}:{}: {}", fault.file, fault.line, fault.text);
                    findings.wrong(ABOUT, text, format!("{}; {look}", fault.help));
                }
            }
        }
    }

    /// The doors of the file.
    pub(super) fn doors(&self) -> &[Door] {
        self.config.as_ref().map(|config| config.doors.as_slice()).unwrap_or_default()
    }

    /// Interfaces that klopfd watches.
    pub(super) fn watched(&self) -> impl Iterator<Item = &Interface> {
        let names = self.config.as_ref().map(|config| config.daemon.interfaces.as_slice()).unwrap_or_default();
        let all = names.is_empty();
        self.interfaces.iter().filter(move |one| if all { !one.loopback } else { names.contains(&one.name) })
    }
}

/// What klopfd says.
pub(super) fn status(place: &Place) -> Result<Status, AskError> {
    match ask(place, &Request::Status)? {
        Reply::Status(status) => Ok(*status),
        _ => Err(AskError::Strange),
    }
}

/// Asks something that has one answer.
pub(super) fn ask(place: &Place, request: &Request) -> Result<Reply, AskError> {
    Client::ask(&place.socket, request, PATIENCE)?.reply(PATIENCE)?.ok_or(AskError::NoAnswer)
}

/// The number of a protocol in an IP header.
pub(super) fn number(proto: Proto) -> u8 {
    match proto {
        Proto::Tcp => TCP,
        Proto::Udp => UDP,
    }
}

/// Whether ports have one in common.
pub(super) fn meet(range: &PortRange, ports: Ports) -> bool {
    number(range.proto) == ports.proto && range.first <= ports.last && ports.first <= range.last
}

/// Whether an address is of its link alone.
pub(super) fn link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
