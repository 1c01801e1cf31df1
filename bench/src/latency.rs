//! How long after a knock its port is open, and its command runs.

use crate::Measured;
use crate::command;
use crate::contender::Contender;
use crate::daemon::Program;
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::opening;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds, each with all programs in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Knocks a round
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) knocks: u16,
    /// Leave out the measurement of commands
    #[arg(long)]
    pub(crate) no_commands: bool,
}

pub(crate) fn measure(
    options: &Options,
    contenders: &[Contender],
    programs: &[Program],
    interrupt: &Interrupt,
) -> Result<Measured> {
    let (opening, mut targets) = opening::measure(options, contenders, interrupt)?;
    let mut tables = vec![opening];
    if !options.no_commands {
        let (command, more) = command::measure(options, programs, interrupt)?;
        tables.push(command);
        targets.extend(more);
    }
    Ok(Measured { tables, targets, notes: Vec::new() })
}
