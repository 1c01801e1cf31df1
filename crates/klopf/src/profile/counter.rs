//! The number that each knock has, and no other.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use klopf_spa::KeyId;
use klopf_spa::encoded::Mark;

use super::files;
use crate::failure::{Failure, code};

/// By how many milliseconds numbers may be above the time, for knocks that follow each other faster.
const FAR_AHEAD: u64 = 3_600_000;
/// The same in marks of encoded sequences.
const MARKS_AHEAD: u64 = Mark::at(FAR_AHEAD / 1000).0;

/// The counter of a key on this device. Several programs may use it at once.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    path: PathBuf,
    /// Whether a clock can stand in for what was not written down.
    clock: bool,
    /// By how much numbers may be above the time.
    far_ahead: u64,
}

/// Numbers that nobody else has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The first of them; the others follow.
    pub(crate) first: u64,
    /// Why they are not on the disk, if they are not.
    pub(crate) warning: Option<String>,
}

impl Counter {
    pub(crate) fn new(state: &Path, key: KeyId, clock: bool) -> Self {
        Self { path: state.join("counters").join(key.to_string()), clock, far_ahead: FAR_AHEAD }
    }

    /// That of tokens, which the server counts apart from packets.
    pub(crate) fn of_tokens(state: &Path, key: KeyId) -> Self {
        Self { path: state.join("counters").join(format!("{key}-tokens")), clock: true, far_ahead: FAR_AHEAD }
    }

    /// That of encoded sequences, whose numbers are their marks, apart from both.
    pub(crate) fn of_sequences(state: &Path, key: KeyId) -> Self {
        Self { path: state.join("counters").join(format!("{key}-encoded")), clock: true, far_ahead: MARKS_AHEAD }
    }

    /// Takes so many numbers. They are above all that were taken before, and on the disk.
    ///
    /// # Errors
    /// If they cannot be written down, and no clock makes sure that they are new.
    pub(crate) fn take(&self, many: u64, unix_ms: u64) -> Result<Taken, Failure> {
        let last = |first: u64| first.checked_add(many.max(1) - 1);
        let error = match self.locked(unix_ms, |first| Some((first, last(first)?))) {
            Ok(Some(first)) => return Ok(Taken { first, warning: None }),
            Ok(None) => Trouble::Broken,
            Err(error) => error,
        };
        self.untaken(&error).map(|warning| Taken { first: unix_ms, warning: Some(warning) })
    }

    /// Takes the mark of what is made. `make` gets the first that may be taken, and gives the one that it took, which is on the disk
    /// when this returns; none if it made nothing.
    ///
    /// # Errors
    /// As [`Counter::take`].
    pub(crate) fn mark<T>(
        &self,
        unix_seconds: u64,
        mut make: impl FnMut(Mark) -> Option<(T, Mark)>,
    ) -> Result<Option<(T, Option<String>)>, Failure> {
        let now = Mark::at(unix_seconds);
        match self.locked(now.0, |first| make(Mark(first)).map(|(made, mark)| (made, mark.0))) {
            Ok(made) => Ok(made.map(|made| (made, None))),
            Err(error) => {
                let warning = self.untaken(&error)?;
                Ok(make(now).map(|(made, _)| (made, Some(warning))))
            }
        }
    }

    /// Why a number is not on the disk, where that does no harm.
    fn untaken(&self, error: &Trouble) -> Result<String, Failure> {
        let shown = self.path.display();
        if self.clock {
            return Ok(format!("cannot keep the number of this knock in {shown}: {error}; the time stands in for it"));
        }
        Err(match error {
            Trouble::System(error) => Failure::new(
                code::CANNOT_WRITE,
                format_args!(
                    "cannot write {shown}: {error}\nWithout a clock a knock needs a number that was never used, so \
                     nothing was sent."
                ),
            ),
            Trouble::Broken => Failure::new(
                code::CONFIG,
                format_args!(
                    "{shown} is broken\nWrite into it a number that is greater than any before, or ask for another invitation."
                ),
            ),
        })
    }

    /// What [`Counter::take`] would give, without taking it.
    pub(crate) fn next(&self, unix_ms: u64) -> u64 {
        self.after(self.last().ok().flatten(), unix_ms).unwrap_or(unix_ms)
    }

    /// Whether a number was ever taken, as far as is known.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.last(), Ok(None))
    }

    /// Writes down the last number that is used, before anybody else takes one. `make` gets the first that is free, and gives what was
    /// made of it and that last one.
    fn locked<T>(&self, now: u64, make: impl FnOnce(u64) -> Option<(T, u64)>) -> Result<Option<T>, Trouble> {
        files::make_folder(self.path.parent().unwrap_or_else(|| Path::new(".")))?;
        let _lock = self.lock()?;
        let last = match self.last() {
            // The time is greater than all before, unless the clock was far ahead once.
            Err(Trouble::Broken) if self.clock => None,
            last => last?,
        };
        let Some((made, last)) = make(self.after(last, now).ok_or(Trouble::Broken)?) else { return Ok(None) };
        files::replace(&self.path, format!("{last}\n").as_bytes())?;
        Ok(Some(made))
    }

    fn after(&self, last: Option<u64>, now: u64) -> Option<u64> {
        let next = last.unwrap_or(0).checked_add(1)?;
        if !self.clock {
            return Some(next);
        }
        // The clock was far ahead once. No server took those knocks, nor does it take numbers so far above the time.
        let far_ahead = next > now.saturating_add(self.far_ahead);
        Some(if far_ahead { now } else { next.max(now) })
    }

    fn last(&self) -> Result<Option<u64>, Trouble> {
        match fs::read_to_string(&self.path) {
            Ok(text) => text.trim().parse().map(Some).map_err(|_| Trouble::Broken),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Trouble::Broken),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until nobody else is at it. The lock has a file of its own, for the counter's is another one each time.
    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.path.with_extension("lock"))?;
        file.lock()?;
        Ok(file)
    }
}

enum Trouble {
    /// There is something else than a number.
    Broken,
    System(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => f.write_str("it holds no number"),
            Self::System(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;
    use crate::scratch::Scratch;

    fn counter(scratch: &Scratch, clock: bool) -> Counter {
        Counter::new(&scratch.path("state"), KeyId([7; 8]), clock)
    }

    fn first(counter: &Counter, many: u64, unix_ms: u64) -> u64 {
        let taken = counter.take(many, unix_ms).unwrap();
        assert_eq!(taken.warning, None);
        taken.first
    }

    #[test]
    fn numbers_only_rise_whatever_the_clock_says() {
        let scratch = Scratch::new();
        let counter = counter(&scratch, true);
        let got = [(1, 1000), (2, 1000), (1, 1000), (1, 5), (1, 2000)].map(|(many, now)| first(&counter, many, now));
        assert_eq!(got, [1000, 1001, 1003, 1004, 2000]);
        assert_eq!((counter.next(0), counter.next(9000)), (2001, 9000));
    }

    #[test]
    fn a_clock_that_was_far_ahead_once_leaves_no_number_that_no_server_takes() {
        let scratch = Scratch::new();
        let counter = counter(&scratch, true);
        let got = [10_000_000_000, 5000, 5000].map(|now| first(&counter, 1, now));
        assert_eq!(got, [10_000_000_000, 5000, 5001]);
    }

    #[test]
    fn marks_rise_from_that_of_the_time_and_the_one_that_was_taken_is_written_down() {
        let scratch = Scratch::new();
        let counter = Counter::of_sequences(&scratch.path("state"), KeyId([7; 8]));
        let mark = |now, more: u64| {
            let (made, warning) = counter.mark(now, |from| Some((from, Mark(from.0 + more)))).unwrap().unwrap();
            assert_eq!(warning, None);
            made.0
        };
        let got = [mark(8000, 5), mark(8000, 0), mark(8008, 0), mark(7000, 0), mark(8_000_000, 0), mark(8000, 0)];
        assert_eq!(got, [64_000, 64_006, 64_064, 64_065, 64_000_000, 64_000]);
        assert_eq!(counter.mark(8000, |_| None::<((), Mark)>), Ok(None));
        assert_eq!(mark(8000, 0), 64_001, "what was not made has no number");
        fs::remove_dir_all(scratch.path("state")).unwrap();
        fs::write(scratch.path("state"), b"").unwrap();
        let (made, warning) = counter.mark(8000, |from| Some((from.0, from))).unwrap().unwrap();
        assert!(made == 64_000 && warning.is_some());
    }

    #[test]
    fn without_a_clock_they_are_counted() {
        let scratch = Scratch::new();
        let counter = counter(&scratch, false);
        assert_eq!([1, 3, 1].map(|many| first(&counter, many, 1_000_000)), [1, 2, 5]);
    }

    #[test]
    fn no_two_programs_take_the_same_number() {
        let scratch = Scratch::new();
        let all: Vec<u64> = thread::scope(|scope| {
            let take = || {
                let counter = counter(&scratch, true);
                (0..20)
                    .flat_map(|_| {
                        let at = first(&counter, 2, 1000);
                        [at, at + 1]
                    })
                    .collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (160, 160));
    }

    #[test]
    fn what_cannot_be_written_down_needs_a_clock() {
        let scratch = Scratch::new();
        // Root may write to folders that are read-only, but nobody below a file.
        fs::write(scratch.path("state"), b"").unwrap();
        let taken = counter(&scratch, true).take(1, 1000).unwrap();
        assert!(taken.first == 1000 && taken.warning.is_some());
        assert_eq!(counter(&scratch, false).take(1, 1000).unwrap_err().code, 73);
    }

    #[test]
    fn a_broken_counter_needs_a_clock() {
        for broken in ["", "many\n", "-1\n", "18446744073709551616\n", "18446744073709551615\n"] {
            let scratch = Scratch::new();
            let (with, without) = (counter(&scratch, true), counter(&scratch, false));
            files::replace(&with.path, broken.as_bytes()).unwrap();
            assert_eq!(without.take(1, 1000).unwrap_err().code, 78, "{broken}");
            assert_eq!(with.take(1, 1000).unwrap().first, 1000, "{broken}");
        }
    }
}
