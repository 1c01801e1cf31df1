//! `klopf keygen`: a key of one's own.

use std::process::ExitCode;

use klopf_spa::Seed;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::profile::{CoreFiles, Folders, KeyFiles, random};
use crate::{complain, say};

pub(super) fn run() -> Result<ExitCode, Failure> {
    let _core_files = CoreFiles::none();
    let files = KeyFiles::new(&Folders::find()?);
    let mut bytes = Zeroizing::new([0; 32]);
    random(&mut *bytes)?;
    let seed = Seed::new(*bytes);
    let path = files.save(&seed)?;
    let public = seed.public();
    say(public.text());
    complain(format_args!("The private key is in {}.", path.display()));
    complain("Give the line above to whoever invites you: klopf invite --public LINE");
    Ok(ExitCode::SUCCESS)
}
