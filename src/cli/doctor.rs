//! `brokenpipe doctor`.

use super::Out;
use super::exit::Exit;
use super::failure::Failure;
use brokenpipe::{Requirement, requirements};
use clap::Args;
use std::io::Write;

/// Show whether brokenpipe works on this machine, and what to do if it does not
#[derive(Debug, Args)]
pub(super) struct Doctor {}

impl Doctor {
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let all = requirements();
        for requirement in &all {
            show(requirement, out)?;
        }
        let lacking = all.iter().filter(|r| r.needed && r.state.is_err()).count();
        if lacking > 0 {
            writeln!(
                out,
                "\nthis machine cannot play: {lacking} of what it needs is missing. `--world model` needs nothing."
            )?;
            return Ok(Exit::MACHINE);
        }
        writeln!(out, "\nthis machine can play.")?;
        Ok(Exit::HELD)
    }
}

fn show(requirement: &Requirement, out: &mut Out) -> Result<(), Failure> {
    let Requirement { name, purpose, needed, state, remedy, .. } = requirement;
    match state {
        Ok(detail) => writeln!(out, "ok       {name}: {detail}\n         {purpose}")?,
        Err(why) => {
            let word = if *needed { "needed" } else { "optional" };
            writeln!(out, "missing  {name} ({word}): {why}\n         {purpose}\n         remedy: {remedy}")?;
        }
    }
    Ok(())
}
