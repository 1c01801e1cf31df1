//! From the first line of the process to its last right.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use klopf_brief::{ANSWER_SIZE, Brief, What};
use klopf_sys::{Pair, Received, User};
use zeroize::Zeroizing;

use crate::board::Board;
use crate::post::Post;
use crate::source;

/// Bytes of a brief, certificates included.
const LONGEST_BRIEF: u64 = 64 << 20;
/// The program was not started by klopfd (sysexits.h).
const USAGE: u8 = 64;
/// Something could not be had from the system (sysexits.h).
const OS_ERROR: u8 = 71;

/// Runs the courier; returns when the keeper is gone.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(handed) = Handed::take(&arguments) else {
        say("this program is for klopfd's own use");
        return ExitCode::from(USAGE);
    };
    klopf_sys::set_name(c"klopf-courier");
    match prepare(handed) {
        Ok(post) => match post.run() {
            true => ExitCode::from(klopf_brief::ANEW),
            false => ExitCode::SUCCESS,
        },
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(OS_ERROR)
        }
    }
}

/// What the keeper hands over at the start.
struct Handed {
    user: User,
    brief: OwnedFd,
    watch: Pair,
    keeper: Pair,
}

impl Handed {
    /// Each descriptor is taken once.
    fn take(arguments: &[OsString]) -> Option<Self> {
        let words: Option<Vec<&str>> = arguments.iter().map(|word| word.to_str()).collect();
        let words: [&str; 4] = words?.try_into().ok()?;
        let (uid, gid) = words[0].split_once(':')?;
        let user = User { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
        let [_, brief, watch, keeper] = words;
        if brief == watch || brief == keeper || watch == keeper {
            return None;
        }
        let descriptor = |number: &str| klopf_sys::inherited(number.parse().ok()?);
        Some(Self {
            user,
            brief: descriptor(brief)?,
            watch: descriptor(watch)?.into(),
            keeper: descriptor(keeper)?.into(),
        })
    }
}

fn prepare(handed: Handed) -> Result<Post, Box<dyn Error>> {
    klopf_sys::keep_secrets(true);
    let brief = read(handed.brief)?;
    klopf_sys::drop_privileges(handed.user)?;
    let maildirs = brief.sources.iter().filter_map(|source| match &source.what {
        What::Maildir(maildir) => Some(Path::new(&maildir.path)),
        What::Imap(_) | What::Guestbook(_) => None,
    });
    klopf_sys::confine_courier(maildirs)?;
    // Threads have the rights of who starts them, so all of them come after this.
    let board = Arc::new(Board::new(brief.sources.iter().map(|source| source.id))?);
    // What the watch has said to another courier is nothing to this one, which begins with everything anyway.
    while matches!(handed.watch.receive(&mut [0; ANSWER_SIZE]), Received::Message(_)) {}
    source::start(brief, &board)?;
    klopf_sys::close_stderr();
    Ok(Post::new(board, handed.watch, handed.keeper))
}

fn read(from: OwnedFd) -> Result<Brief, Box<dyn Error>> {
    let mut text = Zeroizing::new(String::new());
    File::from(from).take(LONGEST_BRIEF).read_to_string(&mut text)?;
    Brief::decode(&text).ok_or_else(|| "the keeper's brief cannot be read".into())
}

/// The moments in which the courier has somewhere to say something are before it starts.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "klopf-courier: {text}");
}
