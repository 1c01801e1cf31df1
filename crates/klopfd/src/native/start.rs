//! Reading the configuration at the start, when a broken key of one person must not keep everybody out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use klopf_config::native::Config;
use klopf_files::Files;
use klopf_spa::{Psk, Seed};
use klopf_sys::clock;
use zeroize::Zeroizing;

use super::{unreadable, with_warnings};
use crate::exit;
use crate::keeper::reason;

/// As at a reload, but files of `keys.d` that are broken are left out, and told: the configuration, the rendered warnings, and
/// what was left out.
///
/// # Errors
/// The exit code and the rendered faults.
pub(super) fn read(path: &Path) -> Result<(Config, String, Vec<String>), (u8, String)> {
    let (mut files, lost) = Files::read_some(path).map_err(|error| unreadable(path, &error))?;
    let mut left_out: Vec<String> = Vec::new();
    for lost in lost {
        left_out.push(format!("{} cannot be read ({}) and is left out", lost.path.display(), reason(&lost.error)));
        stand_in(&mut files, lost.path);
    }
    let mut tried = BTreeSet::new();
    loop {
        let faults = match files.parse() {
            Ok(checked) => {
                let (config, warnings) = with_warnings(&files, checked);
                return Ok((config, warnings, left_out));
            }
            Err(faults) => faults,
        };
        let broken: BTreeSet<PathBuf> = faults.iter().filter_map(|fault| files.key_named(&fault.file)).collect();
        if broken.is_empty() {
            return Err((exit::CONFIG, faults.to_string()));
        }
        for path in broken {
            files.take(&path);
            if !tried.insert(path.clone()) {
                continue;
            }
            let first = faults.iter().find(|fault| Path::new(&fault.file) == path);
            let why = first.map(|fault| format!(", line {}: {}", fault.line, fault.text)).unwrap_or_default();
            left_out.push(format!("{}{why}; it is left out, `klopf check` shows every fault", path.display()));
            stand_in(&mut files, path);
        }
    }
}

/// Puts a key in its place that opens nothing, for doors may name it.
fn stand_in(files: &mut Files, path: PathBuf) {
    let (Ok(seed), Ok(psk)) = (clock::random(), clock::random()) else { return };
    let (public, psk) = (Seed::new(seed).public().text(), Psk::new(psk).text());
    let text = format!("public = \"{public}\"\npsk = \"{}\"\nexpires = 1970-01-02T00:00:00Z\n", *psk);
    files.put(path, Zeroizing::new(text.into_bytes()));
}
