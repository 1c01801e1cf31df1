//! `klopf deliver`: a mail from standard input into a Maildir (cr.yp.to/proto/maildir.html).

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};

use crate::failure::{Failure, code};
use crate::open::unix_ms;
use crate::profile::random;

/// What is kept of a mail, in bytes: a token stands in its text, and that comes before what makes a mail long. The rest is read
/// and left out, for a mail that is refused goes back to somebody who only wanted to write to this user.
const MOST: u64 = 1 << 20;
/// The mode of a mail where files get the group of their folder: the courier, another user, is of that group.
const MODE: u32 = 0o440;
/// Elsewhere whoever may look into the folder may read it.
const MODE_FOR_ALL: u32 = 0o444;
const SET_GROUP: u32 = 0o2000;

#[derive(Args)]
pub(crate) struct Options {
    /// The Maildir, which has the folders tmp and new
    #[arg(long, value_name = "DIR", default_value = "/var/spool/klopf", value_hint = ValueHint::DirPath)]
    maildir: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let Options { maildir } = options;
    let stored = store(maildir, &mut io::stdin().lock());
    // The mail server keeps the mail and tries again.
    stored.map(|()| ExitCode::SUCCESS).map_err(|error| {
        Failure::new(code::TEMPORARY, format_args!("cannot deliver into {}: {error}", maildir.display()))
    })
}

/// Writes a mail whole or not at all.
fn store(maildir: &Path, mail: &mut impl Read) -> io::Result<()> {
    let mut chance = [0; 16];
    random(&mut chance).map_err(|failure| io::Error::other(failure.to_string()))?;
    // Nobody else can tell the name, so nobody can take its place where all may write.
    let name = format!("{}.{:032x}.klopf", unix_ms() / 1000, u128::from_be_bytes(chance));
    let tmp = maildir.join("tmp");
    let has_group = fs::metadata(&tmp)?.permissions().mode() & SET_GROUP != 0;
    let mode = if has_group { MODE } else { MODE_FOR_ALL };
    let draft = Draft::write(tmp.join(&name), mode, mail)?;
    let folder = maildir.join("new");
    fs::rename(&draft.0, folder.join(&name))?;
    std::mem::forget(draft);
    // Whoever may write there need not be allowed to look.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all()?;
    }
    // Who sends is not to be stopped in the middle.
    let _ = io::copy(mail, &mut io::sink());
    Ok(())
}

/// A mail that is not there yet; removed when it is dropped.
struct Draft(PathBuf);

impl Draft {
    fn write(path: PathBuf, mode: u32, mail: &mut impl Read) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let draft = Self(path);
        io::copy(&mut mail.take(MOST), &mut file)?;
        file.flush()?;
        // Whatever the umask says.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn maildir(scratch: &Scratch) -> PathBuf {
        let maildir = scratch.path("mail");
        ["tmp", "new"].into_iter().for_each(|folder| fs::create_dir_all(maildir.join(folder)).unwrap());
        maildir
    }

    fn files(folder: PathBuf) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_mail_is_there_as_it_came_and_under_a_name_of_its_own() {
        let scratch = Scratch::new();
        let maildir = maildir(&scratch);
        for _ in 0..2 {
            store(&maildir, &mut &b"Subject: x\n\n\xff\0y"[..]).unwrap();
        }
        let new = files(maildir.join("new"));
        assert_eq!((new.len(), files(maildir.join("tmp")).len()), (2, 0));
        for mail in new {
            assert_eq!(fs::read(&mail).unwrap(), b"Subject: x\n\n\xff\0y");
            assert_eq!(fs::metadata(&mail).unwrap().permissions().mode() & 0o777, 0o444);
            assert!(mail.file_name().unwrap().len() > 40);
        }
    }

    #[test]
    fn where_files_get_the_group_of_their_folder_it_alone_may_read() {
        let scratch = Scratch::new();
        let maildir = maildir(&scratch);
        fs::set_permissions(maildir.join("tmp"), Permissions::from_mode(0o3733)).unwrap();
        store(&maildir, &mut &b"x"[..]).unwrap();
        let mail = files(maildir.join("new")).remove(0);
        assert_eq!(fs::metadata(mail).unwrap().permissions().mode() & 0o777, 0o440);
    }

    #[test]
    fn of_a_long_mail_the_beginning_is_kept_and_all_is_read() {
        let scratch = Scratch::new();
        let maildir = maildir(&scratch);
        let mut mail = io::repeat(b'a').take(3 * MOST);
        store(&maildir, &mut mail).unwrap();
        assert_eq!(fs::metadata(&files(maildir.join("new"))[0]).unwrap().len(), MOST);
        assert_eq!(mail.limit(), 0);
    }

    #[test]
    fn what_breaks_off_leaves_nothing_behind() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let scratch = Scratch::new();
        let maildir = maildir(&scratch);
        store(&maildir, &mut b"half".chain(Broken)).unwrap_err();
        fs::remove_dir(maildir.join("new")).unwrap();
        store(&maildir, &mut &b"whole"[..]).unwrap_err();
        assert!(files(maildir.join("tmp")).is_empty());
        let options = Options { maildir: scratch.path("none") };
        assert_eq!(run(&options).unwrap_err().code, 75);
    }
}
