//! Files for their owner alone, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::{Failure, code};

/// A longer file is not read to its end, in bytes.
const LONGEST: u64 = 1 << 20;

/// Makes a folder for its owner alone, if it is not there.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Puts a file in place of what is there, in one step; the folder is made. On the disk when it returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    make_folder(folder)?;
    let draft = Draft::write(path, bytes)?;
    fs::rename(&draft.0, path)?;
    std::mem::forget(draft);
    // The name is on the disk when the folder is. Windows has no such thing.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// As [`replace`], for a file that is there: whose it is and who may read it stay.
#[cfg(target_os = "linux")]
pub(crate) fn change(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let path = fs::canonicalize(path)?;
    let (metadata, draft) = (fs::metadata(&path)?, Draft::write(&path, bytes)?);
    let made = fs::metadata(&draft.0)?;
    if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
        chown(&draft.0, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    fs::set_permissions(&draft.0, metadata.permissions())?;
    fs::rename(&draft.0, &path)?;
    std::mem::forget(draft);
    File::open(folder_of(&path))?.sync_all()
}

/// As [`replace`], and fails where there is a file already.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(folder_of(path))?;
    let draft = Draft::write(path, bytes)?;
    // A link is never made over another name; where there are no links, two that join at once may meet.
    match fs::hard_link(&draft.0, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if fs::exists(path)? => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => {
            drop(draft);
            replace(path, bytes)
        }
    }
}

/// Where a file is; the folder of a name alone is the one in which this runs.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A file that is not yet what it is to be; removed when it is dropped.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let mut chance = [0; 8];
        getrandom::fill(&mut chance)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}~", u64::from_be_bytes(chance)));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let draft = Self(path.with_file_name(name));
        let mut file = options.open(&draft.0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads a file with keys.
///
/// # Errors
/// Also if others than its owner may read it, with the command that mends it.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shown = path.display();
    let unreadable = |error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => code::NO_INPUT,
            io::ErrorKind::PermissionDenied => code::RIGHTS,
            _ => code::CONFIG,
        };
        Failure::new(code, format_args!("cannot read {shown}: {error}"))
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0 {
        let why = format_args!(
            "{shown} holds private keys, and others than its owner may use it; nothing was sent\n\
             If nobody has read it: chmod 600 {}\nElse ask for another invitation.",
            quoted(path)
        );
        return Err(Failure::new(code::RIGHTS, why));
    }
    // In one piece from the start, so that no copy is left behind when it grows.
    let length = usize::try_from(metadata.len().min(LONGEST)).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A path as a shell takes it.
#[cfg(unix)]
fn quoted(path: &Path) -> String {
    crate::shell::quoted(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let scratch = Scratch::new();
        let path = scratch.path("deep/er/file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(create(&path, b"three").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read_dir(path.parent().unwrap()).unwrap().count()),
            (b"two".into(), 1)
        );
        create(&scratch.path("other"), b"four").unwrap();
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new();
        let path = scratch.path("klopf/file");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        replace(&path, b"secret").unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(**read_private(&path).unwrap(), *b"secret");
        for others in [0o640, 0o604, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(others)).unwrap();
            let failure = read_private(&path).unwrap_err();
            let said = failure.to_string();
            assert!(failure.code == 77 && said.contains("chmod 600 ") && !said.contains("secret"), "{said}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_changed_file_keeps_who_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new();
        let path = scratch.path("file");
        replace(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        change(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 1);
        assert!(change(&scratch.path("none"), b"x").is_err());
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let scratch = Scratch::new();
        let path = scratch.path("file");
        replace(&path, b"one").unwrap();
        // A folder in the way stands for a disk that is full: the draft is written, and cannot take the place.
        let taken = scratch.path("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("in it"), b"").unwrap();
        assert!(replace(&taken, b"two").is_err());
        assert!(replace(&path.join("below a file"), b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 2, "no draft is left");
    }
}
