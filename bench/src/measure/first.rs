//! A real user knocks and connects at once: is the first SYN answered?

use std::path::Path;
use std::time::Duration;

use super::{Amount, all};
use crate::contender::Gate;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::part::{Part, Table};
use crate::samples::{figure, percentile};
use crate::user::Visit;

const TEXT: [&str; 3] = [
    "`klopf open`, `klopf knock`, `fwknop` or `knock`, its hits without a pause between them, and as soon as it has ended a new process that connects: \
     was its first SYN answered? If not, TCP sends the next one after a second.",
    "`klopf open` and `klopf knock` wait 10 ms at their end, so that a server that is busy has opened when they are through; `knock` and \
     `fwknop` end at once.",
    "The time is from the end of the client to the connection, the start of the new process included. Where no first SYN gets \
     through there are fewer tries.",
];
/// For the connection. If the first SYN is not answered by then it never will be.
const LIMIT: Duration = Duration::from_millis(500);
/// After so many in a row that were not answered, there are a tenth of the tries.
const HOPELESS: usize = 10;

#[derive(Default)]
struct Samples {
    tries: usize,
    /// Milliseconds.
    late: Vec<f64>,
}

pub(crate) fn measure(amount: &Amount, bin: &Path, interrupt: &Interrupt) -> Result<Part> {
    let contenders = all(amount, bin);
    let mut samples: Vec<Samples> = contenders.iter().map(|_| Samples::default()).collect();
    for round in 1..=amount.rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            eprintln!("first connection, round {round}/{}: {}", amount.rounds, contender.name);
            let mut gate = Gate::start(contender, interrupt)?;
            let users = gate.users(1)?;
            let mut most = usize::from(amount.visits.div_ceil(amount.rounds));
            let (mut tries, mut before) = (0, samples.late.len());
            while tries < most {
                interrupt.check()?;
                gate.shut()?;
                let visit = users.visit(0, LIMIT).map_err(Error::io("visit"))?;
                tries += 1;
                if let Visit::In(late) = visit {
                    samples.late.push(late.as_secs_f64() * 1e3);
                }
                if tries == HOPELESS && samples.late.len() == before {
                    most = most.div_ceil(10).max(HOPELESS);
                    before = usize::MAX;
                }
            }
            samples.tries += tries;
        }
    }
    let mut part = Part::new("First connection", &TEXT);
    let mut table = Table::new(["ms"].into_iter().chain(contenders.iter().map(|contender| contender.name)));
    table.row("first SYN answered", samples.iter().map(|one| format!("{} of {}", one.late.len(), one.tries)));
    for (label, percent) in [("median", 50), ("90 %", 90), ("99 %", 99)] {
        table.row(label, samples.iter().map(|one| figure(percentile(&one.late, percent))));
    }
    part.tables.push(table);
    for (contender, one) in contenders.iter().zip(&samples).filter(|(contender, _)| contender.name.starts_with("Klopf"))
    {
        let got = format!("{} of {}", one.late.len(), one.tries);
        let aim = format!("{0} of {0}", one.tries);
        part.target(&format!("{}: the first SYN is answered", contender.name), &aim, got, one.late.len() == one.tries);
    }
    Ok(part)
}
