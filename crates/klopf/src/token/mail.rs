//! `klopf open --via mail` and `klopf open --code`: a knock that somebody else carries.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use klopf_config::profile::Profile;
use klopf_spa::is_mail_address;

use super::asking::{Claiming, Language, Shape, Writing};
use super::maker::Maker;
use super::words;
use crate::connect::Reach;
use crate::failure::{Failure, code};
use crate::outbox::{Letter, Settings, link, send};
use crate::person::What;
use crate::profile::{Folders, Store, random};
use crate::send::Family;
use crate::{complain, say};

/// How long a mail may take until the door is open, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at a port that refuses.
const PAUSE: Duration = Duration::from_secs(1);
/// What mails are about. As many as a byte is evenly drawn from.
const SUBJECTS: [[&str; 8]; 2] = [
    ["Hello", "Greetings", "A short note", "Thank you", "Hi there", "How are you?", "Just a note", "Good to hear"],
    ["Hallo", "Viele Grüße", "Kurze Nachricht", "Danke", "Moin", "Wie geht's?", "Nur kurz", "Schön zu hören"],
];

/// Which way a knock takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    /// A packet to the server
    #[default]
    Packet,
    /// A mail that the server reads
    Mail,
    /// Hits on ports that spell it, as klopf knock-encoded does
    Encoded,
}

/// How a mail is sent.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Mailing {
    /// Which way the knock takes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) via: Via,
    /// Where the mail goes; as the invitation says if not given
    #[arg(long, value_name = "MAIL", value_parser = mail_address)]
    to: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

fn mail_address(text: &str) -> Result<String, &'static str> {
    is_mail_address(text).then(|| text.to_owned()).ok_or("write a mail address, as knock@example.org")
}

/// A port that is to answer.
pub(crate) struct Awaited {
    pub(crate) port: u16,
    pub(crate) patience: Option<Duration>,
}

/// Sends a token, and waits for a port if told to.
pub(crate) fn open(
    what: &What,
    claiming: &Claiming,
    mailing: &Mailing,
    awaited: Option<Awaited>,
) -> Result<ExitCode, Failure> {
    let folders = Folders::find()?;
    let settings = Settings::load(&folders)?;
    let kept = Store::new(&folders).choose(what.profile.as_ref())?;
    let maker = Maker::new(&folders, &kept, what.door.as_ref())?;
    let to = recipient(mailing, Some(maker.profile()))?;
    let address = claiming.address(Some(maker.profile()))?;
    let token = maker.token(address, claiming.minutes())?;
    let text = mailing.writing.text(&token, Shape::Prose)?;
    hand_in(&settings, &to, mailing.writing, &text)?;
    complain(format_args!("It opens the door {} of {} for {address}, once.", maker.door, kept.name));
    let (profile, families) = (maker.profile().clone(), claiming.families);
    drop((maker, kept));
    awaited.map_or(Ok(()), |awaited| wait(&profile, &awaited, families.family()))?;
    Ok(ExitCode::SUCCESS)
}

/// Checks a code of paper and prints the line that is to be sent, or sends it. There need not be a profile.
pub(crate) fn code(
    typed: &str,
    what: &What,
    claiming: &Claiming,
    mailing: &Mailing,
    awaited: Option<Awaited>,
) -> Result<ExitCode, Failure> {
    let words = words::checked(typed)?;
    let folders = Folders::find()?;
    let store = Store::new(&folders);
    let needless = what.profile.is_none() && store.names().len() != 1;
    let kept = if needless { None } else { Some(store.choose(what.profile.as_ref())?) };
    let profile = kept.as_ref().map(|kept| &kept.profile);
    if claiming.time.is_some() {
        let why = "a code says nothing of a time: the door opens for as long as it says; leave out --for";
        return Err(Failure::new(code::USAGE, why));
    }
    if awaited.is_some() && (profile.is_none() || mailing.via == Via::Packet) {
        let why = "--wait takes a profile that says where the server is, and --via mail";
        return Err(Failure::new(code::USAGE, why));
    }
    let address = claiming.address(profile)?;
    let line = format!("{words} {address}");
    if mailing.via == Via::Packet {
        say(line);
        complain("The words are right. Send this line in a mail, or write it into a guestbook that the server reads.");
        return Ok(ExitCode::SUCCESS);
    }
    hand_in(&Settings::load(&folders)?, &recipient(mailing, profile)?, mailing.writing, &line)?;
    if let (Some(profile), Some(awaited)) = (profile, awaited) {
        wait(profile, &awaited, claiming.families.family())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn recipient(mailing: &Mailing, profile: Option<&Profile>) -> Result<String, Failure> {
    mailing.to.clone().or_else(|| profile?.mail.clone()).ok_or_else(|| {
        let why = "nobody has said to which address mails for this server go; name it: --to MAIL";
        Failure::new(code::USAGE, why)
    })
}

/// Sends a mail, or prints the link that has a mail program do so.
fn hand_in(settings: &Settings, to: &str, writing: Writing, body: &str) -> Result<(), Failure> {
    let mut chance = [0; 1];
    random(&mut chance)?;
    let [english, german] = SUBJECTS;
    let subjects = if writing.language() == Language::De { german } else { english };
    let subject = subjects.get(usize::from(chance[0] % 8)).copied().unwrap_or_default();
    match settings.smtp() {
        Some(smtp) => {
            send(smtp, settings, &Letter { to, subject, body }).map_err(|failure| {
                if failure.code != code::UNAVAILABLE {
                    return failure;
                }
                // Networks that let no mail out are what this is for.
                say(link(to, subject, body));
                Failure::new(failure.code, format_args!("{failure}\nThe link has a mail program send the same mail."))
            })?;
            complain(format_args!("Sent to {to}. It opens when the server reads it."));
        }
        None => {
            say(link(to, subject, body));
            complain(format_args!(
                "Open this link: a mail program then has a mail to be sent. To have klopf send it, add to {}:\n\
                 [smtp]\nserver = \"smtps://USER@HOST\"\nfrom = \"YOU@HOST\"",
                settings.path().display()
            ));
        }
    }
    Ok(())
}

/// Waits until the port answers. Nobody tells when a mail is read.
fn wait(profile: &Profile, awaited: &Awaited, family: Family) -> Result<(), Failure> {
    let (begun, patience) = (Instant::now(), awaited.patience.unwrap_or(PATIENCE));
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        let reach = Reach { knocking: None, endpoints: &profile.endpoints, port: awaited.port, family, patience: left };
        match reach.connect() {
            Ok(stream) => {
                let host = stream.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default();
                say(format_args!("{host} answers at tcp/{}, after {} s.", awaited.port, begun.elapsed().as_secs()));
                return Ok(());
            }
            // It may look like that until the mail is there.
            Err(unreached) if unreached.refused && begun.elapsed() + PAUSE < patience => thread::sleep(PAUSE),
            Err(unreached) => {
                let failure = unreached.failure;
                let why = format_args!(
                    "{failure}\nThe mail may still be under way. On the server this says more: klopf status"
                );
                return Err(Failure::new(failure.code, why));
            }
        }
    }
}
