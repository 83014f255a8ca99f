//! One hunt for every subject.

use super::baseline::HuntError;
use super::how::HuntOptions;
use super::program::ProgramHunt;
use super::report::{HuntEvent, HuntReport};
use crate::subject::{Subject, Target};

/// A hunt that can begin: its worker processes are there. Dropping it ends them.
#[derive(Debug)]
#[doc(hidden)]
#[must_use = "a hunt begins with `run`"]
pub struct Hunt<'h>(Prepared<'h>);

#[derive(Debug)]
enum Prepared<'h> {
    Program(ProgramHunt<'h>),
    Command(&'h Target, &'h HuntOptions),
}

impl Subject {
    /// Hunts the subject, and reports progress to `watch`: [`Setup::hunt`](crate::Setup::hunt) of a program, [`Target::hunt`] of a command.
    ///
    /// # Errors
    ///
    /// Those of the hunt of a program or of a command.
    pub fn hunt(&self, how: &HuntOptions, watch: impl FnMut(HuntEvent<'_>) + Send) -> Result<HuntReport, HuntError> {
        self.prepare(how)?.run(watch)
    }

    /// Prepares a hunt: forks its worker processes, for which this process must have no other thread. The workers die with the thread that
    /// calls this; [`Hunt::run`] may be called on another one.
    ///
    /// # Errors
    ///
    /// If there are to be worker processes and they cannot be made.
    #[doc(hidden)]
    pub fn prepare<'h>(&'h self, how: &'h HuntOptions) -> Result<Hunt<'h>, HuntError> {
        Ok(Hunt(match self {
            Subject::Program(setup) => Prepared::Program(ProgramHunt::new(setup, how)?),
            Subject::Command(target) => Prepared::Command(target, how),
        }))
    }
}

impl Hunt<'_> {
    /// Runs the hunt, and reports progress to `watch`.
    ///
    /// # Errors
    ///
    /// Those of [`Subject::hunt`].
    pub fn run(self, watch: impl FnMut(HuntEvent<'_>) + Send) -> Result<HuntReport, HuntError> {
        match self.0 {
            Prepared::Program(hunt) => hunt.run(watch),
            Prepared::Command(target, how) => target.hunt(how, watch),
        }
    }
}
