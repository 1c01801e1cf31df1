//! The test runner: cases whose needs are not met are ignored, with the reason, or fail where nothing may be skipped.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::stage::LIMIT;
use crate::{Need, Result, Stage};

/// One test.
pub struct Case {
    name: String,
    needs: Vec<Need>,
    limit: Duration,
    play: Box<dyn FnOnce(&Stage) -> Result + Send>,
}

impl Case {
    /// A test that plays on a stage of its own. Root and iproute2 are needed by all of them.
    pub fn new(name: impl Into<String>, needs: &[Need], play: impl FnOnce(&Stage) -> Result + Send + 'static) -> Self {
        let needs = [Need::Root, Need::Program("ip", "iproute2")].into_iter().chain(needs.iter().copied()).collect();
        Self { name: name.into(), needs, limit: LIMIT, play: Box::new(play) }
    }

    /// It may take so long.
    #[must_use]
    pub fn lasting(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    fn unmet(&self) -> Vec<(Need, String)> {
        self.needs.iter().filter_map(|need| need.unmet().map(|why| (*need, why))).collect()
    }

    fn trial(self, policy: &Policy) -> Trial {
        let unmet = self.unmet();
        let Some((_, why)) = unmet.first().cloned() else {
            return Trial::test(self.name, move || Stage::play(self.limit, self.play).map_err(|fault| failed(&*fault)));
        };
        let ignored = unmet.iter().all(|(need, _)| policy.may_skip(*need));
        let reason = why.clone();
        let trial = Trial::test(self.name, move || Err(Failed::from(why))).with_ignored_flag(ignored);
        if ignored { trial.with_kind(reason) } else { trial }
    }
}

/// The main function of a test binary. `--skipped` prints what would be skipped and why, and runs nothing.
///
/// With `KLOPF_NO_SKIP=1` an unmet need fails the test, unless `KLOPF_MAY_SKIP` (names, commas between) has it.
#[must_use]
pub fn run(cases: Vec<Case>) -> ExitCode {
    if env::args().any(|argument| argument == "--skipped") {
        for case in cases {
            for (_, why) in case.unmet() {
                println!("skipped: {}: {why}", case.name);
            }
        }
        return ExitCode::SUCCESS;
    }
    let policy = Policy::from_environment();
    let trials = cases.into_iter().map(|case| case.trial(&policy)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

struct Policy {
    strict: bool,
    excused: String,
}

impl Policy {
    fn from_environment() -> Self {
        let strict = env::var_os("KLOPF_NO_SKIP").is_some_and(|value| value == "1");
        Self { strict, excused: env::var("KLOPF_MAY_SKIP").unwrap_or_default() }
    }

    fn may_skip(&self, need: Need) -> bool {
        !self.strict || self.excused.split(',').any(|name| name.trim() == need.name())
    }
}

fn failed(fault: &dyn std::error::Error) -> Failed {
    Failed::from(fault.to_string())
}
