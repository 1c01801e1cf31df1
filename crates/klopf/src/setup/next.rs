//! What comes when the file is written: invitations, the check, and closing the doors.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use klopf_control::{Guards, Request};
use klopf_spa::Name;

use super::answers::{Answers, How, Log, Mailbox};
use super::options::Options;
use super::output::Written;
use super::questions::mail_address;
use super::talk::Talk;
use super::text::{hit, rule};
use crate::check::{self, NATIVE};
use crate::daemon::{self, At, Place, service};
use crate::failure::code;
use crate::invite::{self, Invited};
use crate::shell::quoted;
use crate::{complain, say};

const LOCK_HELP: &str = "Closes the doors for two minutes and says what to type on another machine. When a knock and a connection have come \
    in from there, the doors stay closed; else all is undone. Your own connection is never cut. Later: klopf lock";

/// Does it, and says what is left to be done.
pub(super) fn steps(options: &Options, answers: &Answers, written: &Written, talk: Option<&mut Talk<'_>>) -> ExitCode {
    let path = match written {
        Written::Stdout => return aside(&options.output, answers),
        Written::Beside(path) => {
            say(format_args!("{} is written; {} is as it was.", path.display(), options.output.display()));
            return check::run(Some(path));
        }
        Written::File(path) => path,
    };
    complain(format_args!("{} is written.", path.display()));
    before_invitations(path, answers);
    let place = Place::find(At::new(path.clone(), options.socket.clone()));
    let mut worst = ExitCode::SUCCESS;
    let mut reloaded = false;
    let (people, later): (&[Name], &[Name]) =
        if options.no_invite { (&[], &answers.people) } else { (&answers.people, &[]) };
    for name in people {
        match invite::one(invited(name, answers), &place) {
            Ok(()) => reloaded = true,
            Err(failure) => {
                complain(format_args!("error: {failure}\nLater: {}", command(path, Some(name), answers)));
                worst = failure.code.into();
            }
        }
    }
    let checked = check::run(Some(path));
    if checked != ExitCode::SUCCESS || worst != ExitCode::SUCCESS {
        return if worst == ExitCode::SUCCESS { checked } else { worst };
    }
    if answers.how.has_keys() && people.is_empty() {
        match later {
            [] => complain(format_args!("To invite: {}", command(path, None, answers))),
            names => names
                .iter()
                .for_each(|name| complain(format_args!("To invite: {}", command(path, Some(name), answers)))),
        }
    }
    if let How::Sequence(hits) = &answers.how {
        let hits: Vec<String> = hits.iter().map(hit).collect();
        complain(format_args!("From elsewhere: klopf knock HOST {}", hits.join(" ")));
    }
    close(options, &place, reloaded, talk)
}

/// What is to be done by hand so that anything can come.
fn before_invitations(path: &Path, answers: &Answers) {
    match &answers.how {
        How::Mail(Mailbox::Imap { password_file, .. }) => {
            let file = path.with_file_name(password_file);
            if !fs::exists(&file).unwrap_or(false) {
                let file = quoted(&file.display().to_string());
                complain(format_args!("Its password: install -m 600 /dev/null {file} && editor {file}"));
            }
        }
        How::Log(Log::Firewall { firewall, span, .. }) => {
            let [belongs, rule] = rule(*firewall, *span);
            complain(format_args!("Let your firewall write the hits down. {belongs}\n  {rule}"));
        }
        _ => {}
    }
}

/// Only shown: what is to be done with it.
fn aside(output: &Path, answers: &Answers) -> ExitCode {
    debug_assert_eq!(output, Path::new("-"));
    if answers.how.has_keys() {
        let name = answers.people.first();
        complain(format_args!("When it is in its place: {}", command(Path::new(NATIVE), name, answers)));
    }
    ExitCode::SUCCESS
}

fn invited(name: &Name, answers: &Answers) -> Invited {
    let mail = match &answers.how {
        How::Mail(mailbox) => mail_address(mailbox),
        _ => None,
    };
    let reusable = hears_no_packets(&answers.how);
    Invited { name: name.clone(), door: answers.door(), endpoints: answers.endpoints.clone(), reusable, mail }
}

/// A key is bound to a device by the first packet of that.
fn hears_no_packets(how: &How) -> bool {
    matches!(how, How::Log(Log::Firewall { .. }))
}

/// The command that invites somebody.
fn command(path: &Path, name: Option<&Name>, answers: &Answers) -> String {
    let name = name.map_or("NAME", |name| &**name);
    let mut command = format!("klopf invite {name} --door {}", answers.door());
    for endpoint in &answers.endpoints {
        command.push_str(&format!(" --endpoint {endpoint}"));
    }
    if hears_no_packets(&answers.how) {
        command.push_str(" --reusable");
    }
    if let How::Mail(mailbox) = &answers.how {
        command.extend(mail_address(mailbox).map(|mail| format!(" --mail {}", quoted(&mail))));
    }
    if path != Path::new(NATIVE) {
        command.push_str(&format!(" --config {}", quoted(&path.display().to_string())));
    }
    command
}

/// Closes the doors on trial, if that is wanted, or says how.
fn close(options: &Options, place: &Place, reloaded: bool, talk: Option<&mut Talk<'_>>) -> ExitCode {
    let Some(guards) = daemon::guards(place) else {
        complain(format_args!("klopfd does not run. To start it: {}; then: klopf lock", service("start")));
        return if options.lock { code::UNAVAILABLE.into() } else { ExitCode::SUCCESS };
    };
    let wanted = options.lock
        || talk.is_some_and(|talk| {
            talk.say("");
            talk.yes("Close the doors now, on trial for two minutes (klopf lock)", false, LOCK_HELP).unwrap_or(false)
        });
    let lock = Request::Lock { doors: Vec::new() };
    match (wanted, reloaded) {
        (false, false) => complain("To put it in force, on trial: klopf reload --confirm"),
        (false, true) => complain("To close the doors on trial: klopf lock"),
        (true, true) => return daemon::follow(place, &lock),
        // Without guards nothing would be on trial; they come with the lock.
        (true, false) if guards == Guards::Unlocked => {
            let done = daemon::follow(place, &Request::Reload { confirm: false });
            return if done == ExitCode::SUCCESS { daemon::follow(place, &lock) } else { done };
        }
        (true, false) => return daemon::follow(place, &Request::Reload { confirm: true }),
    }
    ExitCode::SUCCESS
}
