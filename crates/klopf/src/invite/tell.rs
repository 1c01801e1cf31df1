//! What is said beside the line, on standard error.

use std::fmt::Write as _;

use klopf_config::native::{Door, Way, moment_text};
use klopf_spa::{InvitedKey, PacketPort};
use klopf_wire::Proto;

use super::draft::Draft;
use super::qr;
use super::reload::Answer;
use crate::complain;
use crate::terminal::wrapped;

/// Columns of a terminal that nobody has made larger.
const COLUMNS: usize = 80;

/// All that is said in words; `named` is whether the endpoints were.
pub(super) fn all(draft: &Draft, named: bool, answer: &Answer) {
    for line in lines(draft, named, answer) {
        // What is to be typed or copied stays in one line.
        let whole = line.starts_with(' ');
        let lines = if whole { vec![line] } else { wrapped(&line, COLUMNS) };
        lines.into_iter().for_each(complain);
    }
}

/// For a person; `named` is whether the endpoints were.
pub(super) fn lines(draft: &Draft, named: bool, answer: &Answer) -> Vec<String> {
    let invitation = &draft.invitation;
    let endpoints = invitation.endpoints.join(", ");
    let doors: Vec<&str> = invitation.doors.iter().map(|door| &**door).collect();
    let mut lines = vec![String::new(), invited(draft, &doors.join(", "))];
    let secret = match (&invitation.key, draft.key.once) {
        (InvitedKey::Own(_), _) => "The line holds no private key, but is not for everybody.",
        (InvitedKey::Made(_), true) => "The line is a secret until then: whoever uses it first has the key.",
        (InvitedKey::Made(_), false) => "The line is a secret as long as the key counts: it is the key.",
    };
    lines.push(secret.to_owned());
    lines.push(String::new());
    lines.push("On the other side:".to_owned());
    lines.push("  klopf join                 and paste the line".to_owned());
    lines.push(next(draft));
    lines.push(String::new());
    if !named {
        lines.push(format!("This host is taken to be reached at {endpoints}; if not, --endpoint HOST."));
    }
    if draft.doors.iter().any(by_packet) {
        lines.push(match invitation.way.port {
            PacketPort::Fixed(port) => {
                format!("Knocks go to UDP port {port}: firewalls in front of this host must let it through.")
            }
            PacketPort::Hop => {
                "Knocks go to changing UDP ports from 1024 on: firewalls in front of this host must let them through."
                    .to_owned()
            }
        });
    }
    let of = |encoded: bool| -> Vec<&str> {
        let others = draft.doors.iter().filter(|door| !by_packet(door) && by_hits(draft, door) == encoded);
        others.map(|door| &*door.name).collect()
    };
    let (by_text, by_ports) = (of(false), of(true));
    if !by_text.is_empty() {
        lines.push(format!("No packet opens {}: only a token or a code does, in a text.", by_text.join(", ")));
    }
    if !by_ports.is_empty() {
        let doors = by_ports.join(", ");
        lines.push(format!("No sealed packet opens {doors}, but hits on ports do: klopf knock-encoded."));
    }
    if draft.by_mail.is_some() && invitation.mail.is_none() {
        lines.push("The other side does not know where mails go: --mail tells it.".to_owned());
    }
    lines.push(match answer {
        Answer::Done(text) => format!("klopfd: {text}."),
        Answer::NoDaemon => "klopfd does not run: the key counts as soon as it does.".to_owned(),
    });
    if let Some(uri) = &draft.otpauth {
        lines.push("For an authenticator, and as secret:".to_owned());
        lines.push(format!("  {}", **uri));
        if invitation.code_doors.is_empty() {
            lines.push(
                "None of its doors asks for a code: `second-factor = \"totp\"` in the door's section does.".to_owned(),
            );
        }
    }
    lines
}

/// QR codes of the line, and of what an authenticator must know.
pub(super) fn codes(draft: &Draft) {
    let uri = draft.otpauth.as_ref().map(|uri| ("For an authenticator:", uri));
    for (title, text) in [("For klopf join:", &draft.invitation.text())].into_iter().chain(uri) {
        match qr::drawn(text) {
            Some(code) => {
                complain(format_args!("\n{title}\n{}", *code));
                let columns = qr::columns(&code);
                if columns > COLUMNS {
                    complain(format_args!("This code takes a terminal of {columns} columns."));
                }
            }
            None => complain(format_args!("\n{title} too long for a QR code.")),
        }
    }
}

/// Who may open what, until when, how often.
fn invited(draft: &Draft, doors: &str) -> String {
    let key = &draft.key;
    let mut text = format!("{} may open {doors}", key.name);
    if let Some(end) = key.expires {
        let _ = write!(text, " until {}", moment(end));
    }
    if let Some(end) = key.join_before {
        let _ = write!(text, ", if it is used before {}", moment(end));
    }
    text.push_str(if key.once { ", from the device that uses it first." } else { ", from any device." });
    text
}

/// What to type after joining.
fn next(draft: &Draft) -> String {
    let is_ssh =
        |port: &klopf_config::native::PortRange| port.proto == Proto::Tcp && (port.first..=port.last).contains(&22);
    let ssh = |door: &&Door| by_packet(door) && door.guard.iter().any(is_ssh);
    let name = &draft.key.name;
    let first = draft.doors.first();
    // The first door is the usual one, which need not be named.
    let named = |door: &Door| match first == Some(door) {
        true => name.to_string(),
        false => format!("{name}/{}", door.name),
    };
    let (by_ssh, host) = (draft.doors.iter().find(ssh), draft.invitation.endpoints.first());
    if let (Some(door), Some(host)) = (by_ssh, host) {
        return format!("  klopf ssh-config {} >> ~/.ssh/config   once, and then: ssh {host}", named(door));
    }
    if let Some(door) =
        draft.doors.iter().find(|door| by_hits(draft, door)).filter(|_| !draft.doors.iter().any(by_packet))
    {
        return format!("  klopf knock-encoded {}", named(door));
    }
    match (draft.doors.iter().find(|door| by_packet(door)), &draft.by_mail, first) {
        (Some(door), ..) => format!("  klopf open {}", named(door)),
        (None, Some(door), _) => format!("  klopf open {name}/{door} --via mail"),
        (None, None, Some(door)) => format!("  klopf token {name}/{} --allow ADDRESS   for a guestbook", door.name),
        (None, None, None) => format!("  klopf open {name}"),
    }
}

fn by_packet(door: &Door) -> bool {
    door.takes(Way::Packet)
}

fn by_hits(draft: &Draft, door: &Door) -> bool {
    draft.invitation.encoded_doors.iter().any(|encoded| *encoded.door == *door.name)
}

/// `2026-11-24 08:00 UTC`.
pub(super) fn moment(unix_seconds: u64) -> String {
    let text = moment_text(unix_seconds).replace('T', " ");
    format!("{} UTC", text.get(..16).unwrap_or(&text))
}
