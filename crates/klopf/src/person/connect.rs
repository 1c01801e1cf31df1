//! `klopf connect`: what ssh runs to get through a door.

use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueHint};

use super::find::{endpoints, profile_for};
use super::open::explained;
use super::{Asking, Families, What};
use crate::connect::{Reach, pipe};
use crate::failure::{Failure, code};
use crate::open::Knocker;
use crate::profile::{CoreFiles, Folders, Store};
use crate::times::duration;

#[derive(Args)]
pub(crate) struct Options {
    /// The profile, and the door if it is not the usual one; found by the host if not given
    #[arg(short, long, value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    profile: Option<What>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    families: Families,
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// The host: an endpoint of a profile, or the profile's name
    #[arg(value_hint = ValueHint::Hostname, value_parser = NonEmptyStringValueParser::new())]
    host: String,
    /// The TCP port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let _core_files = CoreFiles::none();
    let folders = Folders::find()?;
    let What { profile, door } = options.profile.clone().unwrap_or_default();
    let kept = profile_for(&Store::new(&folders), profile.as_ref(), &options.host)?;
    let knocker = Knocker::new(&folders, &kept, options.asking.of(&kept, door.as_ref())?)?;
    let reach = Reach {
        knocking: Some(&knocker),
        endpoints: &endpoints(&kept, &options.host),
        port: options.port,
        family: options.families.family(),
        patience: options.timeout,
    };
    let stream = reach.connect().map_err(|unreached| explained(&knocker, unreached))?;
    // No key is needed from here on, which may be for days.
    drop((knocker, kept));
    pipe(&stream).map_err(|error| {
        Failure::new(code::UNAVAILABLE, format_args!("the connection to '{}' broke: {error}", options.host))
    })?;
    Ok(ExitCode::SUCCESS)
}
