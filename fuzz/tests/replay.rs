//! Plays the seeds, and what a fuzzer has found on this machine, on any compiler.

use std::path::{Path, PathBuf};
use std::{fs, io};

use klopf_engine::Refusal;

/// What is in these directories: committed inputs, found ones, and those that made a target panic.
const PLACES: [&str; 3] = ["seeds", "corpus", "artifacts"];

/// The inputs of a target in one of the places, none if it is not there.
fn inputs(place: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(place).join(target);
    let files = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        files => files.unwrap(),
    };
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    files.map(|file| read(file.unwrap().path())).collect()
}

fn replay<T>(target: &str, run: fn(&[u8]) -> T) {
    assert!(!inputs("seeds", target).is_empty(), "{target} has seeds");
    for (path, input) in PLACES.into_iter().flat_map(|place| inputs(place, target)) {
        println!("{}", path.display()); // the last one is shown when it fails
        run(&input);
    }
}

#[test]
fn frame_to_engine() {
    replay("frame_to_engine", klopf_fuzz::frame_to_engine);
}

#[test]
fn packet() {
    replay("packet", klopf_fuzz::packet);
}

#[test]
fn klopf_toml() {
    replay("klopf_toml", klopf_fuzz::klopf_toml);
}

#[test]
fn knockd_conf() {
    replay("knockd_conf", klopf_fuzz::knockd_conf);
}

#[test]
fn profile() {
    replay("profile", klopf_fuzz::profile);
}

#[test]
fn socks() {
    replay("socks", klopf_fuzz::socks);
}

#[test]
fn stun() {
    replay("stun", klopf_fuzz::stun);
}

#[test]
fn command_line() {
    replay("command_line", klopf_fuzz::command_line);
}

#[test]
fn sealed_packet() {
    replay("sealed_packet", klopf_fuzz::sealed_packet);
}

#[test]
fn sealed_middle() {
    replay("sealed_middle", klopf_fuzz::sealed_middle);
}

#[test]
fn token() {
    replay("token", klopf_fuzz::token);
}

#[test]
fn share() {
    replay("share", klopf_fuzz::share);
}

#[test]
fn code() {
    replay("code", klopf_fuzz::code);
}

#[test]
fn encoded() {
    replay("encoded", klopf_fuzz::encoded);
}

#[test]
fn invitation() {
    replay("invitation", klopf_fuzz::invitation);
}

#[test]
fn text() {
    replay("text", klopf_fuzz::text);
}

#[test]
fn mail() {
    replay("mail", klopf_fuzz::mail);
}

#[test]
fn page() {
    replay("page", klopf_fuzz::page);
}

#[test]
fn brief() {
    replay("brief", klopf_fuzz::brief);
}

#[test]
fn line() {
    replay("line", klopf_fuzz::line);
}

#[test]
fn nflog() {
    replay("nflog", klopf_fuzz::nflog);
}

#[test]
fn journal() {
    replay("journal", klopf_fuzz::journal);
}

/// Whether it counts something that knocks at ports can bring.
fn is_of_sequences(name: &str) -> bool {
    let sealed = Refusal::ALL.into_iter().filter(|why| *why != Refusal::TooManyGrants).map(Refusal::name);
    !sealed.chain(["sealed-knocks"]).any(|other| other == name)
}

/// A target that never gets anywhere finds nothing. With `--nocapture` this shows how far it gets.
#[test]
fn the_seeds_reach_all_that_the_engine_counts() {
    for place in PLACES {
        let all = inputs(place, "frame_to_engine").into_iter().map(|(_, input)| klopf_fuzz::frame_to_engine(&input));
        let mut sums = klopf_engine::Counters::default().named();
        for counters in all {
            for ((_, sum), (_, count)) in sums.iter_mut().zip(counters.named()) {
                *sum += count;
            }
        }
        println!("{place}: {sums:?}");
        let reached = sums.iter().all(|(name, sum)| *sum > 0 || !is_of_sequences(name));
        assert!(place != "seeds" || reached, "{sums:?}");
    }
}

#[test]
fn the_seeds_get_through_every_seal_and_every_reader() {
    type Target = (&'static str, fn(&[u8]) -> bool);
    let targets: [Target; 14] = [
        ("sealed_packet", klopf_fuzz::sealed_packet),
        ("sealed_middle", klopf_fuzz::sealed_middle),
        ("token", klopf_fuzz::token),
        ("share", klopf_fuzz::share),
        ("code", klopf_fuzz::code),
        ("encoded", klopf_fuzz::encoded),
        ("invitation", klopf_fuzz::invitation),
        ("text", klopf_fuzz::text),
        ("mail", klopf_fuzz::mail),
        ("page", klopf_fuzz::page),
        ("brief", klopf_fuzz::brief),
        ("line", klopf_fuzz::line),
        ("nflog", klopf_fuzz::nflog),
        ("journal", klopf_fuzz::journal),
    ];
    for (target, run) in targets {
        let all = inputs("seeds", target);
        let through = all.iter().filter(|(_, input)| run(input)).count();
        println!("{target}: {through} of {} seeds get through", all.len());
        assert!(through > 1 && through < all.len(), "{target}: {through}");
    }
}
