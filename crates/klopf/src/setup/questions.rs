//! The five questions. What an option answers is not asked, and where nobody is asked a default is taken.

use std::fs;
use std::path::Path;

use klopf_config::native::PortRange;
use klopf_files::key_path;
use klopf_spa::Name;
use klopf_wire::{Port, Proto};

use super::answers::{Answers, Dies, How, Log, Mailbox, Stay};
use super::draw::Avoid;
use super::host::Host;
use super::options::{IfDies, Kind, Options, YesNo};
use super::talk::{Ask, Talk};
use super::ways::Ways;
use super::{sound, text};
use crate::failure::{Failure, code};
use crate::invite;

/// What an empty line means where names are asked for.
const NOBODY: &str = "nobody";
const LONG: &str = "30s";
/// For ways that take a minute by themselves.
const LONGER: &str = "5m";

const GUARD_HELP: &str = "Ports that are closed to everybody until somebody knocks. Type the numbers of the list, or ports such as \
    tcp/22 udp/60000-61000, with spaces between them. Loopback stays open, and connections that are up are never cut.";
const WHO_HELP: &str = "Each gets a key of its own, and a line to be pasted there, once: klopf join. A name is that of a person \
    or device, such as laptop or ada. Nobody: later, with klopf invite NAME.";
const STAY_HELP: &str = "For so long somebody who has knocked may make new connections; then the port is closed again. Half a minute is \
    enough for ssh: connections that are up are never cut. For web pages, which make new ones all the time, take 1h.";
const EXTEND_HELP: &str = "With yes, new connections may come for as long as one of the same address is up.";
const DIES_HELP: &str = "What is guarded is held by the kernel, so it stays closed without klopfd, too, and leases end on time. With \
    open the kernel forgets a guard within 15 seconds when klopfd is gone, so that you get in, and everybody else.";
const LOGIN_HELP: &str = "always-allow lets an address in without a knock, with klopfd or without it. Good for one that is yours alone \
    and stays the same.";

/// Who is asked, and about which host.
pub(super) struct Asking<'a> {
    pub(super) options: &'a Options,
    pub(super) host: &'a Host,
    /// Nobody: defaults are taken.
    pub(super) talk: Option<Talk<'a>>,
    /// Random numbers.
    pub(super) chance: &'a mut dyn FnMut() -> u64,
}

/// Options without which nothing can be done, if nobody is asked: those of which the default must be asked for, and those that have
/// none.
pub(super) fn missing(options: &Options) -> Vec<&'static str> {
    let kind = options.kind();
    let all = !options.yes;
    let keys = kind != Some(Kind::Sequence);
    let nobody = options.for_whom.is_empty() && !options.no_invite;
    [
        ("--guard", all && options.guard.is_empty()),
        ("--how", all && kind.is_none()),
        (
            "--mail-imap or --maildir",
            kind == Some(Kind::Mail) && options.mail_imap.is_none() && options.maildir.is_none(),
        ),
        ("--url", kind == Some(Kind::Guestbook) && options.url.is_none()),
        ("--preset", all && kind == Some(Kind::Log) && options.preset.is_none()),
        ("--for-whom or --no-invite", all && keys && nobody),
        ("--open-for", all && options.open_for.is_none()),
        ("--if-klopfd-dies", all && options.if_klopfd_dies.is_none()),
    ]
    .into_iter()
    .filter(|(_, missing)| *missing)
    .map(|(option, _)| option)
    .collect()
}

impl Asking<'_> {
    /// All that is answered; nothing of it is checked together yet.
    pub(super) fn answers(&mut self) -> Result<Answers, Failure> {
        let guard = self.guard()?;
        let how = self.how(&guard)?;
        let (people, endpoints) = self.who(&how)?;
        let stay = self.stay(&how)?;
        let dies = self.dies()?;
        Ok(Answers { guard, how, people, endpoints, stay, dies })
    }

    fn guard(&mut self) -> Result<Vec<PortRange>, Failure> {
        if !self.options.guard.is_empty() {
            return sound::guard(&self.options.guard).map_err(|why| usage("--guard", &why));
        }
        let ssh = written(self.host.ssh());
        let Some(talk) = &mut self.talk else { return sound::guard(&[ssh]).map_err(|why| usage("--guard", &why)) };
        talk.say("1. What is to be guarded?");
        for (number, service) in (1..).zip(&self.host.services) {
            let program = service.program.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            talk.say(&format!("  {number}) {}{program}", written(service.port)));
        }
        talk.ask(Ask { text: "Ports", default: Some(&ssh), help: GUARD_HELP }, |answer| {
            let words = answer.split([' ', ',', '\t']).filter(|word| !word.is_empty());
            let listed = |word: &str| {
                let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1))?;
                self.host.services.get(number).map(|service| written(service.port))
            };
            let ports: Vec<String> = words.map(|word| listed(word).unwrap_or_else(|| word.to_owned())).collect();
            sound::guard(&ports)
        })
    }

    fn how(&mut self, guard: &[PortRange]) -> Result<How, Failure> {
        let kind = match (self.options.kind(), &mut self.talk) {
            (Some(kind), _) => kind,
            (None, None) => Kind::Packet,
            (None, Some(talk)) => {
                talk.say("");
                talk.say("2. How do you want to knock?");
                super::ways::choose(talk)?
            }
        };
        if let Some((option, of)) = self.options.misplaced(kind) {
            return Err(usage(option, &format!("it goes with --how {}, not {}", of.word(), kind.word())));
        }
        let busy = |port: Port| {
            let guarded =
                |range: &PortRange| range.proto == port.proto && (range.first..=range.last).contains(&port.number);
            self.host.busy.contains(&port) || guard.iter().any(guarded)
        };
        let avoid = Avoid { busy: &busy, ephemeral: self.host.ephemeral };
        Ways { options: self.options, avoid, chance: self.chance }.of(kind, self.talk.as_mut())
    }

    /// Whom to invite, and to which names or addresses of this host.
    fn who(&mut self, how: &How) -> Result<(Vec<Name>, Vec<String>), Failure> {
        let options = self.options;
        let free = |name: &Name| match fs::exists(key_path(&options.output, name)) {
            Ok(true) => Err(format!("there is a key {name} already, in keys.d beside {}", options.output.display())),
            _ => Ok(()),
        };
        if !how.has_keys() {
            if !options.for_whom.is_empty() {
                return Err(usage("--for-whom", "a plain sequence has no keys: whoever knows it may knock"));
            }
            if let Some(talk) = &mut self.talk {
                talk.say("");
                talk.say("3. Who may knock? Whoever knows the sequence; nobody is invited.");
            }
            return Ok((Vec::new(), Vec::new()));
        }
        for name in &options.for_whom {
            free(name).map_err(|why| usage("--for-whom", &why))?;
        }
        let mut people = match &mut self.talk {
            Some(talk) if options.for_whom.is_empty() && !options.no_invite => {
                talk.say("");
                talk.say("3. Who may knock? Names of devices or people, who are invited now.");
                talk.ask(Ask { text: "Names", default: Some(NOBODY), help: WHO_HELP }, |answer| {
                    let words = answer.split([' ', ',', '\t']).filter(|word| !word.is_empty() && *word != NOBODY);
                    let names: Vec<Name> = words.map(invite::key_name).collect::<Result<_, _>>()?;
                    names.iter().try_for_each(free)?;
                    Ok(names)
                })?
            }
            _ => options.for_whom.clone(),
        };
        let mut seen = Vec::new();
        people.retain(|name| {
            !seen.contains(name) && {
                seen.push(name.clone());
                true
            }
        });
        let invites = !people.is_empty() && !options.no_invite && options.output != Path::new("-");
        let endpoints = match &mut self.talk {
            _ if !invites || !options.endpoint.is_empty() => options.endpoint.clone(),
            talk => match (invite::own_endpoints(), talk) {
                (Ok(_), _) => Vec::new(),
                (Err(failure), None) => return Err(failure),
                (Err(_), Some(talk)) => {
                    let help =
                        "A name or an address of this host, or of the router before it, for those who are invited.";
                    let ask =
                        Ask { text: "How is this host reached from outside (name or address)", default: None, help };
                    vec![talk.ask(ask, |answer| invite::endpoint(answer).map_err(str::to_owned))?]
                }
            },
        };
        Ok((people, endpoints))
    }

    fn stay(&mut self, how: &How) -> Result<Stay, Failure> {
        let takes_time = matches!(how, How::Mail(_) | How::Guestbook(_) | How::Log(Log::Web { .. }));
        let default = if takes_time { LONGER } else { LONG };
        let given = self.options.extend_while_connected.map(|answer| answer == YesNo::Yes);
        let Some(talk) = &mut self.talk else {
            let open_for = self.options.open_for.clone().unwrap_or_else(|| default.to_owned());
            return Ok(Stay { open_for, extend: given.unwrap_or(takes_time) });
        };
        if self.options.open_for.is_none() || given.is_none() {
            talk.say("");
            talk.say("4. How long may new connections come? Those that are up are never cut.");
        }
        let open_for = match &self.options.open_for {
            Some(time) => time.clone(),
            None => talk.ask(Ask { text: "Time", default: Some(default), help: STAY_HELP }, |answer| {
                sound::time(answer).map(|()| answer.to_owned())
            })?,
        };
        let extend = match given {
            Some(extend) => extend,
            None => talk.yes("Does the time go on while a connection is up", takes_time, EXTEND_HELP)?,
        };
        Ok(Stay { open_for, extend })
    }

    fn dies(&mut self) -> Result<Dies, Failure> {
        let given = self.options.if_klopfd_dies.map(|state| state == IfDies::Open);
        let mut always_allow = self.options.always_allow.clone();
        sound::networks(&always_allow).map_err(|why| usage("--always-allow", &why))?;
        let Some(talk) = &mut self.talk else { return Ok(Dies { open: given.unwrap_or(false), always_allow }) };
        let login = self.host.login.filter(|_| always_allow.is_empty());
        if given.is_none() || login.is_some() {
            talk.say("");
            talk.say("5. What if klopfd, the daemon, dies?");
        }
        let open = match given {
            Some(open) => open,
            None => {
                let choices = [
                    ("stay-closed", "nobody new gets in until it runs again"),
                    ("open", "everybody gets in within 15 s"),
                ];
                talk.choose(&choices, DIES_HELP)? == 1
            }
        };
        if let Some(login) = login {
            let question = format!("You are logged in from {login}. Never shut that out");
            if talk.yes(&question, false, LOGIN_HELP)? {
                always_allow.push(login.to_string());
            }
        }
        Ok(Dies { open, always_allow })
    }
}

/// As in the file: `tcp/22`.
fn written(port: Port) -> String {
    match port.proto {
        Proto::Tcp => format!("tcp/{}", port.number),
        Proto::Udp => format!("udp/{}", port.number),
    }
}

pub(super) fn usage(option: &str, why: &str) -> Failure {
    Failure::new(code::USAGE, format_args!("{option}: {why}"))
}

/// What is wrong with a mailbox, page or log, if anything is.
pub(super) fn flaw(how: &How) -> Result<(), String> {
    let stay = Stay { open_for: LONG.to_owned(), extend: false };
    let dies = Dies { open: false, always_allow: Vec::new() };
    let guard = sound::guard(&["tcp/22".to_owned()])?;
    let answers = Answers { guard, how: how.clone(), people: Vec::new(), endpoints: Vec::new(), stay, dies };
    sound::complaint(&text::text(&answers)).map_or(Ok(()), Err)
}

/// The mail address of a mailbox, as far as its address tells.
pub(super) fn mail_address(mailbox: &Mailbox) -> Option<String> {
    let Mailbox::Imap { url, .. } = mailbox else { return None };
    let (user, _) = url.split_once("://")?.1.split_once('@')?;
    let user = user.replace("%40", "@");
    klopf_spa::is_mail_address(&user).then_some(user)
}
