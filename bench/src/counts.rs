//! Instructions for each stage, as callgrind counts them: the same on a noisy machine. A file holds what they were.
//!
//! aws-lc has code for each kind of processor. What is compared with the file is that for the plainest, so that it is nearly the same everywhere
//! (the hash and the cipher of `hpke` look at the processor, too, as far as valgrind has its instructions).

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};

use klopf_bench::stages::{ALL, Stages};

use crate::error::{Error, Result};

/// Packets of a count.
const PACKETS: u64 = 1000;
/// How much a count may grow, in hundredths.
const GROWTH: u64 = 5;
/// What aws-lc takes the processor for, if not for what it is.
const PLAINEST: Option<(&str, &str)> = Some(("OPENSSL_ia32cap", "0:0"));

/// Runs a stage for valgrind.
pub(crate) fn run(name: &str) -> bool {
    let mut stages = Stages::default();
    let stage = ALL.into_iter().find(|(other, _)| *other == name);
    stage.is_some_and(|(_, stage)| (0..PACKETS).all(|_| black_box(stage(&mut stages))))
}

/// Counts, and compares with the file; writes it anew if it is to be blessed. True when no count has grown too much.
pub(crate) fn check(file: &Path, bless: bool) -> Result<bool> {
    let before = read(&fs::read_to_string(file).unwrap_or_default());
    let mut text = String::from("# Instructions for each packet, made by `make bench-count-bless`.\n");
    let mut good = true;
    for (name, _) in ALL {
        let now = count_on(name, PLAINEST)?;
        text += &format!("{name} {now}\n");
        let was = before.get(name).copied();
        let grown = was.is_none_or(|was| now * 100 > was * (100 + GROWTH));
        good &= !grown;
        let was = was.map_or_else(|| "none".to_owned(), |was| was.to_string());
        println!("{name:<10} {now:>8} instructions a packet, before {was}{}", if grown { "  GROWN" } else { "" });
    }
    if bless {
        fs::write(file, text).map_err(Error::io(format!("write {}", file.display())))?;
    }
    Ok(good || bless)
}

/// Instructions for each packet of a stage, on this processor as far as valgrind has its instructions.
pub(crate) fn count(name: &str) -> Result<u64> {
    count_on(name, None)
}

fn count_on(name: &str, processor: Option<(&str, &str)>) -> Result<u64> {
    let own = std::env::current_exe().map_err(Error::io("find this program"))?;
    let out = std::env::temp_dir().join(format!("klopf-bench-{}.callgrind", std::process::id()));
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--quiet"])
        .arg(format!("--toggle-collect=*Stages*{name}*"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&own)
        .args(["run-stage", name])
        .envs(processor)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("run valgrind (apt-get install valgrind)"))?;
    let text = fs::read_to_string(&out).unwrap_or_default();
    let _ = fs::remove_file(&out);
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<u64>().ok());
    match total.filter(|total| done.status.success() && *total > 0) {
        Some(total) => Ok(total / PACKETS),
        None => Err(Error::Program(format!("valgrind, {name}: {}", String::from_utf8_lossy(&done.stderr).trim()))),
    }
}

/// Lines of a name and a number.
fn read(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| line.split_once(' ').and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_lines_of_a_name_and_a_number() {
        let counts = read("# Instructions\nparse 90\ncheck 4000\n");
        assert_eq!(counts, BTreeMap::from([("parse".to_owned(), 90), ("check".to_owned(), 4000)]));
    }
}
