//! `klopf open`: one knock, and perhaps a look at what came of it.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use super::{Asking, Families, Waiting, What};
use crate::connect::{Reach, Unreached};
use crate::failure::{Failure, code};
use crate::open::{Knocker, Sent, Target, explain, probable_causes, resolve};
use crate::profile::{CoreFiles, Folders, Store};
use crate::send::SETTLE;
use crate::sequence::{self, Request};
use crate::token::{Awaited, Mailing, Via, open_by_code, open_by_mail};
use crate::{complain, say};

#[derive(Args)]
pub(crate) struct Options {
    /// The profile, if there are several, and the door, if it is not the usual one
    #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    what: Option<What>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    mailing: Mailing,
    #[command(flatten)]
    families: Families,
    /// Send nothing; show what would be sent, byte by byte
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let _core_files = CoreFiles::none();
    let (what, mailing) = (options.what.clone().unwrap_or_default(), &options.mailing);
    if mailing.via == Via::Encoded {
        let asked = options.asking.plain()?;
        return sequence::open(&Request::plain(what, asked, &options.waiting, options.families, options.dry_run));
    }
    let words = options.asking.words()?;
    if words.is_some() || mailing.via == Via::Mail {
        if options.dry_run {
            return Err(Failure::new(code::USAGE, "--dry-run shows packets; klopf token prints what a mail would say"));
        }
        let claiming = options.asking.claiming(options.families);
        let awaited = options.waiting.wait.map(|port| Awaited { port, patience: options.waiting.timeout });
        return match words {
            Some(words) => open_by_code(&words, &what, &claiming, mailing, awaited),
            None => open_by_mail(&what, &claiming, mailing, awaited),
        };
    }
    let folders = Folders::find()?;
    let What { profile, door } = what;
    let kept = Store::new(&folders).choose(profile.as_ref())?;
    let knocker = Knocker::new(&folders, &kept, options.asking.of(&kept, door.as_ref())?)?;
    if options.dry_run {
        rehearse(&knocker, options.families)?;
    } else {
        say(open(&knocker, &options.waiting, options.families)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Knocks at the first endpoint that can be reached, and waits for a port if told to; what came of it.
pub(super) fn open(knocker: &Knocker, waiting: &Waiting, families: Families) -> Result<String, Failure> {
    let Some(port) = waiting.wait else {
        let (target, sent) = first(knocker, families, |target| knocker.knock(target))?;
        std::thread::sleep(SETTLE);
        let addresses: Vec<String> = sent.iter().map(|Sent { to, .. }| to.ip().to_string()).collect();
        return Ok(format!(
            "Knocked at {} ({}) for the door {}. A knock is never answered.",
            target.endpoint,
            addresses.join(", "),
            knocker.door()
        ));
    };
    let begun = Instant::now();
    let reach = Reach {
        knocking: Some(knocker),
        endpoints: &knocker.profile().endpoints,
        port,
        family: families.family(),
        patience: waiting.patience(),
    };
    let stream = reach.connect().map_err(|unreached| explained(knocker, unreached))?;
    let host = stream.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default();
    Ok(format!("{host} answers at tcp/{port}, after {} ms.", begun.elapsed().as_millis()))
}

/// What is probably wrong.
pub(super) fn explained(knocker: &Knocker, unreached: Unreached) -> Failure {
    let Unreached { failure, sent, refused, unanswered } = unreached;
    if !unanswered {
        return failure;
    }
    let causes: Vec<String> =
        probable_causes(knocker, &sent, refused).into_iter().map(|cause| format!("\n  - {cause}")).collect();
    Failure::new(
        failure.code,
        format_args!("{failure}\nProbably one of these, the likeliest first:{}", causes.concat()),
    )
}

/// The first endpoint with which it works, and what came of it.
fn first<T>(
    knocker: &Knocker,
    families: Families,
    what: impl Fn(&Target) -> Result<T, Failure>,
) -> Result<(Target, T), Failure> {
    let mut last = None;
    for endpoint in &knocker.profile().endpoints {
        let tried = resolve(endpoint, families.family()).and_then(|target| {
            let done = what(&target)?;
            Ok((target, done))
        });
        match tried {
            Ok(done) => return Ok(done),
            // Another endpoint would not change it.
            Err(failure) if !matches!(failure.code, code::NO_HOST | code::UNAVAILABLE) => return Err(failure),
            Err(failure) => {
                if let Some(before) = last.replace(failure) {
                    complain(before);
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(code::CONFIG, "the profile has no endpoint")))
}

fn rehearse(knocker: &Knocker, families: Families) -> Result<(), Failure> {
    let (target, packets) = first(knocker, families, |target| knocker.rehearse(target))?;
    say(format_args!("Nothing is sent. To open the door {} of {}:\n", knocker.door(), target.endpoint));
    for packet in packets {
        say(explain(&packet, knocker.key(), knocker.profile().way.shape));
    }
    Ok(())
}
