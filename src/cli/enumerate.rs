//! `brokenpipe enumerate`.

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, say};
use super::options;
use brokenpipe::{Enumerate as Scenarios, Shard, enumerate};
use clap::Args;
use std::io::Write;

/// List every scenario up to a length, one on each line
///
/// The events are connect, send 5, recv, fin, close and rst. Of scenarios that differ only in the names of their clients, one is listed: the
/// one in which client b connects after client a. `brokenpipe run -` plays them.
#[derive(Debug, Args)]
pub(super) struct Enumerate {
    /// Most events of a scenario
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    events: u16,
    /// Most clients of a scenario
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = options::clients())]
    clients: u16,
    /// List only part I of N, counted from 0: every N-th scenario
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    shard: Shard,
}

impl Enumerate {
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let all = enumerate(self.events.into(), self.clients.into(), Scenarios::plain_actions(), Vec::new());
        let mut some = false;
        for scenario in self.shard.part(all) {
            writeln!(out, "{scenario}")?;
            some = true;
        }
        if !some {
            say(format_args!("no scenario is in shard {}", self.shard));
            return Ok(Exit::NOTHING_RAN);
        }
        Ok(Exit::HELD)
    }
}
