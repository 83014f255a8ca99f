//! `brokenpipe hunt`.

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, say};
use super::interrupt::Interrupt;
use super::options::{self, Server};
use super::store;
use brokenpipe::{
    Finding, Found, Hunted, Kernel, KernelError, Random, Setup, Shape, Shard, hunt, judge, reduce, report,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Search for the order of events that kills the server
///
/// Plays random scenarios on the kernel and in the model until one ends in a death, a disagreement or anything else
/// that should not be. That one is cut down to the fewest events, explained, and kept in a case file. The same seed
/// finds the same, with however many jobs.
#[derive(Debug, Args)]
pub(super) struct Hunt {
    #[command(flatten)]
    server: Server,
    /// Most clients of a scenario
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = options::clients())]
    clients: u16,
    /// Most events of a scenario
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    max_events: u16,
    /// Give up after so many scenarios
    #[arg(long, value_name = "N", default_value_t = 100_000, conflicts_with = "seconds")]
    cases: u64,
    /// Give up after this time, and not after a number of scenarios
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Which random scenarios to play
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many to play at once [default: one on each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// The folder for the case file
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of seconds, as in 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "expected a number of seconds that is not negative".to_owned())
}

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

impl Hunt {
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let setup = self.server.setup(Setup::default())?;
        let interrupt = Interrupt::listen()?;
        let start = Instant::now();
        let shared = self.shared(start);
        let jobs = self.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
        let found = self.hunt(&setup, jobs, &shared, &interrupt);
        shared.bar.finish_and_clear();
        let found = found?;
        let played = shared.played.into_inner();
        let tally = || {
            let took = start.elapsed().as_secs_f64();
            format!("played {played} {} in {took:.2} s", if played == 1 { "scenario" } else { "scenarios" })
        };
        let seed = self.seed;
        if let Some(found) = found {
            let finding = reduce(&mut Kernel::new()?, found.finding)?;
            self.report(&finding, out)?;
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

    fn shared(&self, start: Instant) -> Shared {
        // On standard error, and hidden where that is no terminal.
        let bar = match self.seconds {
            None => ProgressBar::new(self.cases),
            Some(_) => ProgressBar::no_length(),
        };
        let template = match self.seconds {
            None => "{elapsed} {wide_bar} {human_pos}/{human_len} scenarios, {rate}",
            Some(_) => "{elapsed} {spinner} {human_pos} scenarios, {rate}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            // indicatif's own rate has four digits after the point.
            let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
                // The bar is for looking at: where it cannot be drawn, it is not.
                let _ = write!(to, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        Shared {
            lowest: AtomicU64::new(NONE),
            played: AtomicU64::new(0),
            // Farther than a clock can tell is no deadline.
            deadline: self.seconds.and_then(|time| start.checked_add(time)),
            bar,
        }
    }

    /// Plays in so many threads, and gives what the scenario of the lowest number among those that failed was.
    fn hunt(
        &self,
        setup: &Setup,
        jobs: usize,
        shared: &Shared,
        interrupt: &Interrupt,
    ) -> Result<Option<Found<Finding>>, Failure> {
        let max_events = usize::from(self.max_events);
        let min_events = Shape::default().min_events.min(max_events);
        let shape = Shape { clients: self.clients.into(), min_events, max_events, ..Shape::default() };
        let random = Random::new(self.seed, shape);
        let limit = if self.seconds.is_some() { NONE } else { self.cases };
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
    fn report(&self, finding: &Finding, out: &mut Out) -> Result<(), Failure> {
        let saved = store::save(finding, &self.out);
        let replay = match &saved {
            Ok(path) => store::replay_command(path),
            Err(_) => store::run_command(finding),
        };
        out.write_all(report::finding(finding, &replay).as_bytes())?;
        let path = saved?;
        writeln!(out, "case:   {}", path.display())?;
        Ok(())
    }
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
