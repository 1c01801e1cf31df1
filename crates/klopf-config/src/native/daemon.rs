//! The section `[daemon]`.

use toml::de::DeTable;

use super::report::{Report, Value, Wrong, in_order};
use super::{Daemon, LogTarget, Watched, values};
use crate::suggest::{listed, nearest};

pub(super) const KEYS: [&str; 10] = [
    "interfaces",
    "state-dir",
    "runtime-dir",
    "user",
    "log",
    "service-ports",
    "seccomp",
    "share-table",
    "courier-user",
    "sources",
];

/// The longest name the kernel has for an interface, in bytes.
const INTERFACE_BYTES: usize = 15;

impl Default for Daemon {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            state_dir: "/var/lib/klopf".into(),
            runtime_dir: "/run/klopf".into(),
            user: None,
            log: None,
            service_ports: Vec::new(),
            seccomp_optional: false,
            share_table: false,
            courier_user: None,
            sources: Watched::default(),
        }
    }
}

pub(super) fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> Daemon {
    let mut daemon = Daemon::default();
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            "interfaces" => daemon.interfaces = interfaces(value, report),
            name @ "state-dir" => daemon.state_dir = directory(name, value, report),
            name @ "runtime-dir" => daemon.runtime_dir = directory(name, value, report),
            name @ "user" => daemon.user = user(name, value, report),
            name @ "courier-user" => daemon.courier_user = user(name, value, report),
            "sources" => daemon.sources = sources(value, report).unwrap_or_default(),
            "log" => daemon.log = log(value, report),
            "service-ports" => {
                for value in report.list("service-ports", value, r#"["tcp/443"]"#).unwrap_or_default() {
                    let text = report.string("service-ports", value, r#"["tcp/443"]"#);
                    let range = text.and_then(|text| report.checked(value.span(), values::port_range(text)));
                    daemon.service_ports.extend(range);
                }
            }
            "seccomp" => {
                let choices = [("required", false), ("optional", true)];
                daemon.seccomp_optional = report.choice("seccomp", value, choices).unwrap_or_default();
            }
            name @ "share-table" => daemon.share_table = report.boolean(name, value).unwrap_or_default(),
            _ => report.unknown_key(key, "`[daemon]`", &KEYS),
        }
    }
    daemon
}

fn interfaces(list: &Value<'_>, report: &mut Report<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for value in report.list("interfaces", list, r#"["eth0"]"#).unwrap_or_default() {
        let Some(name) = report.string("interfaces", value, r#"["eth0"]"#) else { continue };
        let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > INTERFACE_BYTES || name.contains(odd) {
            let text = format!("`{name}` cannot be the name of an interface");
            report.fault(value.span(), Wrong::new(text, "write a name as `ip link` shows it"));
        }
        names.push(name.to_owned());
    }
    names
}

fn directory(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> String {
    let path = report.string(key, value, r#""/var/lib/klopf""#).unwrap_or("/");
    if !path.starts_with('/') {
        let wrong = Wrong::new(format!("`{key}` must be an absolute path"), "begin it with `/`");
        report.fault(value.span(), wrong);
    }
    path.to_owned()
}

fn user(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let user = report.string(key, value, r#""klopf""#)?;
    if user.is_empty() {
        let wrong = Wrong::new(format!("`{key}` is empty"), "write a user's name, or remove the line");
        report.fault(value.span(), wrong);
    }
    Some(user.to_owned())
}

/// Nothing if there is a fault in it.
fn sources(list: &Value<'_>, report: &mut Report<'_>) -> Option<Watched> {
    const WORDS: [&str; 2] = ["packet", "log"];
    let example = r#"["packet", "log"]"#;
    let before = report.faults();
    let elements = report.list("sources", list, example)?;
    if elements.is_empty() {
        let help = format!("write one or both of {}, or remove the line", listed(&WORDS));
        report.fault(list.span(), Wrong::new("`sources` names nothing to watch", help));
    }
    let mut watched = Watched { packet: false, log: false };
    for element in elements {
        match report.string("sources", element, example) {
            Some("packet") => watched.packet = true,
            Some("log") => watched.log = true,
            Some(other) => {
                let help = match nearest(other, &WORDS) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None if matches!(other, "mail" | "guestbook") => {
                        "leave it out: mailboxes and guestbooks are read wherever there is a section of one".to_owned()
                    }
                    None => format!("the sources are {}", listed(&WORDS)),
                };
                report.fault(element.span(), Wrong::new(format!("`{other}` is no source"), help));
            }
            None => {}
        }
    }
    (report.faults() == before).then_some(watched)
}

fn log(value: &Value<'_>, report: &mut Report<'_>) -> Option<LogTarget> {
    match report.string("log", value, r#""journal""#)? {
        "journal" => Some(LogTarget::Journal),
        "syslog" => Some(LogTarget::Syslog),
        "stderr" => Some(LogTarget::Stderr),
        path if path.starts_with('/') => Some(LogTarget::File(path.to_owned())),
        other => {
            let help = match nearest(other, &["journal", "syslog", "stderr"]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write `journal`, `syslog`, `stderr` or the absolute path of a file".into(),
            };
            report.fault(value.span(), Wrong::new(format!("cannot log to `{other}`"), help));
            None
        }
    }
}
