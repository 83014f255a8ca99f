//! The hunt of a described program.

use super::jobs::{Bounds, Job, Merged, merge};
use super::{Search, bar};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, say};
use crate::cli::interrupt::Interrupt;
use crate::cli::options::Server;
use crate::cli::{Out, store};
use brokenpipe::{Finding, Found, Kernel, KernelError, Random, Setup, Shape, Worker, hunt, judge, reduce};
use clap::Args;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Instant;

/// What is asked of the hunt of a program alone.
#[derive(Debug, Args)]
pub(super) struct ProgramOptions {
    #[command(flatten)]
    server: Server,
    /// The number of worker processes [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

/// Defaults for the number of scenarios, and for the most events of a scenario.
const CASES: u64 = 100_000;
const MAX_EVENTS: u16 = 8;

impl ProgramOptions {
    pub(super) fn run(self, search: &Search, out: &mut Out) -> Result<u8, Failure> {
        let setup = self.server.setup(Setup::default())?;
        let start = Instant::now();
        let jobs = self.jobs.map_or_else(Worker::at_once, usize::from);
        let playing = Playing { setup, random: random(search), search, start };
        // Before any other thread is started: `Worker::fork` fails in a process with several threads.
        let workers = Worker::fork(jobs, |_, stream| {
            let mut out = Out::new();
            let result = playing.work(Job::new(stream), &mut out);
            // `end` flushes the report before it shows an error: a finding is printed even if its case file cannot be
            // written.
            out.end(result)
        })?;
        let interrupt = Interrupt::listen()?;
        let bounds = Bounds {
            limit: if search.seconds.is_some() { u64::MAX } else { search.cases.unwrap_or(CASES) },
            // A time that an `Instant` cannot represent is no deadline.
            deadline: search.seconds.and_then(|time| start.checked_add(time)),
        };
        let bar = bar(search.seconds.is_none().then_some(bounds.limit));
        let played = match merge(workers, bounds, &bar, &interrupt)? {
            Merged::Shown(code) => return Ok(code),
            Merged::Held { played } => played,
        };
        let tally = playing.tally(played);
        let seed = search.seed;
        if interrupt.asked() {
            say(format_args!("interrupted: {tally} of seed {seed}, and all of them held"));
            return Ok(Exit::INTERRUPTED);
        }
        if played == 0 {
            say(format_args!("nothing ran: {tally} of seed {seed}"));
            return Ok(Exit::NOTHING_RAN);
        }
        writeln!(out, "nothing found: {tally} of seed {seed}, and all of them held")?;
        Ok(Exit::HELD)
    }
}

/// The random scenarios that the options describe.
fn random(search: &Search) -> Random {
    let max_events = usize::from(search.max_events.unwrap_or(MAX_EVENTS));
    let min_events = Shape::default().min_events.min(max_events);
    Random::new(search.seed, Shape { clients: search.clients.into(), min_events, max_events, ..Shape::default() })
}

/// What each worker needs to play.
struct Playing<'s> {
    setup: Setup,
    random: Random,
    search: &'s Search,
    start: Instant,
}

impl Playing<'_> {
    /// Runs a worker: plays its chunks and, if the parent says so, minimises and reports its finding. Gives the exit
    /// code.
    fn work(&self, mut job: Job, out: &mut Out) -> Result<u8, Failure> {
        let played = self.play(&mut job);
        if played.is_err() {
            job.failed();
            while job.next().is_some() {}
        }
        let Some(all) = job.told() else { return Ok(Exit::HELD) };
        let Some((kernel, found)) = &mut played? else { return Ok(Exit::HELD) };
        let finding = reduce(kernel, found.finding.clone())?;
        out.found();
        store::show(&finding, &self.search.out, out)?;
        writeln!(out, "found:  scenario {} of seed {}; {}", found.number, self.search.seed, self.tally(all))?;
        Ok(Exit::FINDING)
    }

    /// Plays all chunks. Gives the finding, if there is one, and the world in which it was found.
    fn play(&self, job: &mut Job) -> Result<Option<(Kernel, Found<Finding>)>, KernelError> {
        let mut kernel = Kernel::new()?;
        let judge = |scenario: &_, kernel: &_, model: &_| judge(scenario, &self.setup, kernel, model);
        let mut found = None;
        while let Some(numbers) = job.next() {
            let first = numbers.start;
            let numbered = numbers.map(|k| (k, self.random.scenario(k)));
            let go_on =
                |played| if job.wants(first + played) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
            let hunted = hunt(&mut kernel, &self.setup, numbered, judge, go_on)?;
            match hunted.found {
                None => job.held(hunted.played),
                Some(failed) => {
                    job.found(hunted.played, failed.number);
                    found = Some(failed);
                }
            }
        }
        Ok(found.map(|found| (kernel, found)))
    }

    fn tally(&self, played: u64) -> String {
        let took = self.start.elapsed().as_secs_f64();
        format!("played {played} {} in {took:.2} s", if played == 1 { "scenario" } else { "scenarios" })
    }
}
