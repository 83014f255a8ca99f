//! `brokenpipe hunt`: hunts a described program, or any server that a command starts.

mod command;
mod progress;
mod watch;

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, lines, say};
use super::interrupt::Interrupt;
use super::options::{self, Server};
use super::user;
use brokenpipe::{HuntError, HuntOptions, HuntReport, Setup, Shape, Subject, Worker};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use watch::Watch;

/// Search for the order of events that kills the server
///
/// Without a command: plays random scenarios against a program (`--program`), on the kernel and in the model, until the server dies, the two
/// disagree, or something else goes wrong. That scenario is minimised, explained, and saved as a case file. The same seed finds the same
/// scenario, whatever the number of jobs.
///
/// With a command after `--`: does the same to any server, without changing it. In the command, `{port}` stands for the port that the
/// server must listen on, and `{dir}` for a fresh folder. Each failure is confirmed on three fresh servers, minimised, shown, and saved as a
/// case file.
#[derive(Debug, Args)]
pub(super) struct Hunt {
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    server: Server,
    /// The number of worker processes, without a command [default: one for each core]
    #[arg(long, short, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    #[command(flatten)]
    of_command: command::CommandOptions,
    /// The server: its program and arguments
    #[arg(last = true, value_name = "COMMAND", help_heading = None, conflicts_with_all = ["program", "policy", "jobs"])]
    command: Vec<String>,
}

/// What both hunts are told.
#[derive(Debug, Args)]
struct Search {
    /// Most clients of a random scenario. The shortest one that shows a failure may have more
    #[arg(long, value_name = "N", default_value_t = 3, allow_negative_numbers = true, value_parser = options::clients())]
    clients: u16,
    /// Most events of a random scenario [default: 8, with a command 12]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..))]
    max_events: Option<u16>,
    /// Stop after this many scenarios [default: 100000, with a command 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "seconds")]
    cases: Option<u64>,
    /// Play for this time instead of a number of scenarios. A server's first start does not count, and what is suspected by then is
    /// followed up
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = seconds)]
    seconds: Option<Duration>,
    /// The seed of the random scenarios
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// Inject no errors: play no `fault` events
    #[arg(long)]
    no_faults: bool,
    /// The folder for case files
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Output format
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A full report of each finding, and of a command a description of the server
    Text,
    /// One object for each finding, each on a line, see docs/json.md
    Json,
}

/// Most scenarios of a program if nothing else is asked for. Those of a command are the library's default.
const CASES_OF_PROGRAM: u64 = 100_000;

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of seconds, as in 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "expected a number of seconds from 0 to 1e19".to_owned())
}

impl Hunt {
    /// Whether this process plays itself. The hunt of a described program plays in worker processes; this process plays only what failed
    /// there, once more.
    pub(super) fn plays(&self) -> bool {
        !self.command.is_empty()
    }

    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        // clap treats an empty list after `--` like no `--` at all. clap takes `--` for no option's value, so a last argument `--` is that
        // separator.
        if self.command.is_empty() && std::env::args_os().next_back().is_some_and(|last| last == "--") {
            return Err(Failure::Usage(
                "there is no command after `--`: the server's program and its arguments go there".to_owned(),
            ));
        }
        let Hunt { search, server, jobs, of_command, command } = self;
        let mut how = HuntOptions::default().seed(search.seed).clients(search.clients.into());
        let subject = if command.is_empty() {
            how = how.cases(CASES_OF_PROGRAM).max_events(Shape::default().max_events);
            how.jobs = jobs.map_or_else(Worker::at_once, usize::from);
            Subject::Program(server.setup(Setup::default())?)
        } else {
            how = of_command.how(how);
            Subject::Command(of_command.target(command)?)
        };
        how.faults = !search.no_faults;
        how.time = search.seconds;
        how.cases = search.cases.unwrap_or(how.cases);
        how.max_events = search.max_events.map_or(how.max_events, usize::from);
        if how.time.map_or(how.cases == 0, |time| time.is_zero()) {
            say("nothing ran: there was no scenario to play");
            return Ok(Exit::NOTHING_RAN);
        }
        // Both before there is any other thread.
        if matches!(subject, Subject::Command(_)) && !of_command.no_netns {
            user::enter_namespace();
        }
        let mut watch = Watch::new(&subject, &how, &search.out, search.format);
        let failed = |error| match subject {
            Subject::Program(_) => Failure::Playing(error),
            Subject::Command(_) => Failure::Target(error),
        };
        let hunt = subject.prepare(&how).map_err(failed)?;
        let interrupt = Interrupt::set(Arc::clone(&how.stop))?;
        let report = match watch.run(hunt, out)? {
            Err(HuntError::Stopped) => {
                say("interrupted before the server listened");
                return Ok(Exit::INTERRUPTED);
            }
            report => report.map_err(failed)?,
        };
        end(&watch, &report, interrupt.asked(), out)
    }
}

/// Says what is left to say of a hunt, and gives the exit code.
fn end(watch: &Watch<'_>, report: &HuntReport, interrupted: bool, out: &mut Out) -> Result<u8, Failure> {
    let is_program = matches!(report.subject, Subject::Program(_));
    if interrupted && !is_program {
        say("interrupted");
    }
    if let Some(error) = &report.ended {
        say(format_args!("the hunt ended early: {}", lines(error)));
    }
    watch.suspicions(report, out)?;
    let code = match report.played {
        _ if watch.is_unsaved => Exit::MACHINE,
        _ if is_program && watch.findings > 0 => Exit::FINDING,
        _ if interrupted => Exit::INTERRUPTED,
        _ if watch.findings > 0 => Exit::FINDING,
        _ if report.ended.is_some() => Exit::MACHINE,
        0 => Exit::NOTHING_RAN,
        _ => Exit::HELD,
    };
    // A hunt of a program has one result, or none.
    let is_result = !is_program || [Exit::FINDING, Exit::HELD].contains(&code);
    let tally = watch.tally(report);
    if watch.format == Format::Text && is_result {
        writeln!(out, "{tally}")?
    } else {
        say(tally)
    }
    Ok(code)
}

/// A progress bar on standard error, hidden where that is not a terminal. `None` makes a bar without an end.
fn bar(scenarios: Option<u64>) -> ProgressBar {
    let bar = scenarios.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let template = match scenarios {
        Some(_) => "{elapsed} {wide_bar} {human_pos}/{human_len} scenarios, {rate}",
        None => "{elapsed} {spinner} {human_pos} scenarios, {rate}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        // indicatif's own rate has four decimal places.
        let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
            // An error here only means that the bar is not drawn.
            let _ = write!(to, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar
}
