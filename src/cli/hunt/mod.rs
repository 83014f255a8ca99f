//! `brokenpipe hunt`: hunts a described program, or any server that a command starts.

mod command;
mod jobs;
mod program;
mod progress;

use super::Out;
use super::failure::Failure;
use super::options;
use clap::Args;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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
    of_program: program::ProgramOptions,
    #[command(flatten)]
    of_command: command::CommandOptions,
    /// The server: its program and arguments
    #[arg(last = true, value_name = "COMMAND", help_heading = None, conflicts_with_all = ["program", "policy", "jobs"])]
    command: Vec<String>,
}

/// What both hunts are told.
#[derive(Debug, Args)]
struct Search {
    /// Most clients of a scenario
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = options::clients())]
    clients: u16,
    /// Most events of a scenario [default: 8, with a command 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_events: Option<u16>,
    /// Stop after this many scenarios [default: 100000, with a command 1000]
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    cases: Option<u64>,
    /// Stop after this time instead of after a number of scenarios
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = seconds)]
    seconds: Option<Duration>,
    /// The seed of the random scenarios
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The folder for case files
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of seconds, as in 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "expected a number of seconds that is not negative".to_owned())
}

impl Hunt {
    /// Whether this process plays itself. The hunt of a described program plays in worker processes.
    pub(super) fn plays(&self) -> bool {
        !self.command.is_empty()
    }

    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let Hunt { search, of_program, of_command, command } = self;
        // clap treats an empty list after `--` like no `--` at all. clap takes `--` for no option's value, so a last argument `--` is that
        // separator.
        if command.is_empty() && std::env::args_os().next_back().is_some_and(|last| last == "--") {
            return Err(Failure::Usage(
                "there is no command after `--`: the server's program and its arguments go there".to_owned(),
            ));
        }
        if command.is_empty() { of_program.run(&search, out) } else { of_command.run(command, &search, out) }
    }
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
