//! The hunt of a program.

use super::{Search, bar};
use crate::cli::Out;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, say};
use crate::cli::interrupt::Interrupt;
use crate::cli::options::Server;
use crate::cli::store;
use brokenpipe::{Finding, Found, Hunted, Kernel, KernelError, Random, Setup, Shape, Shard, hunt, judge, reduce};
use clap::Args;
use indicatif::ProgressBar;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What is asked of the hunt of a program alone.
#[derive(Debug, Args)]
pub(super) struct ProgramOptions {
    #[command(flatten)]
    server: Server,
    /// How many to play at once [default: one on each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

/// Most scenarios, and most events of one, if nothing else is asked for.
const CASES: u64 = 100_000;
const MAX_EVENTS: u16 = 8;

/// Number of the finding before there is one.
const NONE: u64 = u64::MAX;

/// The bar is moved once in so many scenarios of a job.
const PER_MOVE: u64 = 64;

/// What the jobs of a hunt know of each other.
struct Shared {
    /// The lowest number of a scenario that failed. No job goes beyond it, and each goes on up to it: so the one that
    /// is reported does not depend on who was first.
    lowest: AtomicU64,
    played: AtomicU64,
    deadline: Option<Instant>,
    bar: ProgressBar,
}

impl ProgramOptions {
    pub(super) fn run(self, search: &Search, out: &mut Out) -> Result<u8, Failure> {
        let setup = self.server.setup(Setup::default())?;
        let interrupt = Interrupt::listen()?;
        let start = Instant::now();
        let shared = shared(search, start);
        let jobs = self.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
        let found = hunt_in(&setup, search, jobs, &shared, &interrupt);
        shared.bar.finish_and_clear();
        let found = found?;
        let played = shared.played.into_inner();
        let tally = || {
            let took = start.elapsed().as_secs_f64();
            format!("played {played} {} in {took:.2} s", if played == 1 { "scenario" } else { "scenarios" })
        };
        let seed = search.seed;
        if let Some(found) = found {
            let finding = reduce(&mut Kernel::new()?, found.finding)?;
            report(&finding, &search.out, out)?;
            writeln!(out, "found:  scenario {} of seed {seed}; {}", found.number, tally())?;
            return Ok(Exit::FINDING);
        }
        if interrupt.asked() {
            say(format_args!("interrupted: {} of seed {seed}, and all of them held", tally()));
            return Ok(Exit::INTERRUPTED);
        }
        if played == 0 {
            say(format_args!("nothing ran: {} of seed {seed}", tally()));
            return Ok(Exit::NOTHING_RAN);
        }
        writeln!(out, "nothing found: {} of seed {seed}, and all of them held", tally())?;
        Ok(Exit::HELD)
    }
}

fn shared(search: &Search, start: Instant) -> Shared {
    let bar = bar(search.seconds.is_none().then(|| search.cases.unwrap_or(CASES)));
    Shared {
        lowest: AtomicU64::new(NONE),
        played: AtomicU64::new(0),
        // Farther than a clock can tell is no deadline.
        deadline: search.seconds.and_then(|time| start.checked_add(time)),
        bar,
    }
}

/// Plays in so many threads, and gives what the scenario of the lowest number among those that failed was.
fn hunt_in(
    setup: &Setup,
    search: &Search,
    jobs: usize,
    shared: &Shared,
    interrupt: &Interrupt,
) -> Result<Option<Found<Finding>>, Failure> {
    let max_events = usize::from(search.max_events.unwrap_or(MAX_EVENTS));
    let min_events = Shape::default().min_events.min(max_events);
    let shape = Shape { clients: search.clients.into(), min_events, max_events, ..Shape::default() };
    let random = Random::new(search.seed, shape);
    let limit = if search.seconds.is_some() { NONE } else { search.cases.unwrap_or(CASES) };
    let results: Vec<Result<Hunted<Finding>, KernelError>> = std::thread::scope(|scope| {
        let job = |index| {
            let random = &random;
            scope.spawn(move || {
                let result = Shard::new(index, jobs).map_or(Ok(Hunted { played: 0, found: None }), |shard| {
                    let below = |k: &u64| *k < limit && *k < shared.lowest.load(Ordering::Relaxed);
                    let numbered = shard.numbers().take_while(below).map(|k| (k, random.scenario(k)));
                    one_job(setup, numbered, shared, interrupt)
                });
                let lowest = match &result {
                    Ok(Hunted { found: Some(found), .. }) => found.number,
                    Ok(_) => NONE,
                    // The others need not go on.
                    Err(_) => 0,
                };
                shared.lowest.fetch_min(lowest, Ordering::Relaxed);
                result
            })
        };
        let threads: Vec<_> = (0..jobs).map(job).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut lowest: Option<Found<Finding>> = None;
    for hunted in results {
        if let Some(found) = hunted?.found
            && lowest.as_ref().is_none_or(|l| found.number < l.number)
        {
            lowest = Some(found);
        }
    }
    Ok(lowest)
}

/// Writes the case file and the report. If there can be no file, the report comes all the same.
fn report(finding: &Finding, dir: &Path, out: &mut Out) -> Result<(), Failure> {
    let saved = store::save(finding, dir);
    let replay = match &saved {
        Ok(path) => store::replay_command(path),
        Err(_) => store::run_command(finding),
    };
    out.write_all(brokenpipe::report::finding(finding, &replay).as_bytes())?;
    let path = saved?;
    writeln!(out, "case:   {}", path.display())?;
    Ok(())
}

/// What one job does.
fn one_job(
    setup: &Setup,
    numbered: impl Iterator<Item = (u64, brokenpipe::Scenario)>,
    shared: &Shared,
    interrupt: &Interrupt,
) -> Result<Hunted<Finding>, KernelError> {
    let mut counted = 0;
    let mut watch = |played: u64| {
        shared.played.fetch_add(played - counted, Ordering::Relaxed);
        counted = played;
        if played.is_multiple_of(PER_MOVE) {
            shared.bar.set_position(shared.played.load(Ordering::Relaxed));
        }
        // Once something is found, the time that is up does not matter: the few scenarios below it are played to the
        // end.
        let late = || shared.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let open = shared.lowest.load(Ordering::Relaxed) == NONE;
        if interrupt.asked() || (open && late()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let judge = |scenario: &_, kernel: &_, model: &_| judge(scenario, setup, kernel, model);
    let hunted = hunt(&mut Kernel::new()?, setup, numbered, judge, &mut watch)?;
    shared.played.fetch_add(hunted.played - counted, Ordering::Relaxed);
    Ok(hunted)
}
