//! `brokenpipe run`.

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, say};
use super::input::{Input, Scenarios};
use super::interrupt::Interrupt;
use super::options::{self, Server};
use super::worlds::{Played, World, Worlds};
use brokenpipe::report::{self, Json};
use brokenpipe::{Scenario, Setup, Shard};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal, Write};

/// Play scenarios, and show what happened
///
/// A scenario is a list of events joined by `;`, such as 'a connect; b connect; b fin; b rst; a close'. With `-`, scenarios are read from
/// standard input, one on each line. For each a JSON object is written on a line of its own, in the same order, as soon as the scenario has
/// been played. Empty lines and comments are skipped.
///
/// The exit code is 1 only if the two worlds disagree, not if the server dies.
#[derive(Debug, Args)]
#[command(after_long_help = format!("Events:\n{}", brokenpipe::event_help()))]
pub(super) struct Run {
    /// The worlds to play in
    #[arg(long, short, value_enum, default_value_t = World::Both)]
    world: World,
    #[command(flatten)]
    server: Server,
    /// Output format [default: text; with `-`, json]
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Play only part I of N, counted from 0: every N-th scenario [default: all of them; with `-`, the part that BROKENPIPE_SHARD or a
    /// scheduler's variables name, such as JOB_COMPLETION_INDEX and JOB_COMPLETIONS]
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// The scenarios, or `-` for standard input
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The outcome, the reason, and a diagram
    Text,
    /// One object on each line, see docs/json.md
    Json,
}

/// The argument that stands for standard input.
const STDIN: &str = "-";

impl Run {
    /// Whether the command plays on the kernel in a session of its own. Scenarios that a user types are played in the terminal's session,
    /// so that they can be read from the terminal; they come too slowly to disturb other processes.
    pub(super) fn plays(&self) -> bool {
        self.world != World::Model && !(self.scenarios == [STDIN] && io::stdin().is_terminal())
    }

    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let setup = self.server.setup(Setup::default())?;
        if self.scenarios == [STDIN] {
            return self.stream(setup, out);
        }
        // All scenarios are parsed before the first is played, so that a mistake in the last is reported at once.
        let parse = |text: &String| match text.as_str() {
            STDIN => Err(Failure::Usage("`-`, standard input, does not go with scenarios as arguments".to_owned())),
            text => options::scenario(text),
        };
        let scenarios = self.scenarios.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let interrupt = Interrupt::listen()?;
        let mut player = Player::new(self.world, self.format.unwrap_or(Format::Text), setup, &interrupt)?;
        for scenario in self.shard.unwrap_or_default().part(&scenarios) {
            match player.play(scenario, None, out) {
                Err(Failure::Interrupted) => return Ok(player.interrupted()),
                played => played?,
            }
        }
        Ok(player.end())
    }

    fn stream(self, setup: Setup, out: &mut Out) -> Result<u8, Failure> {
        let shard = match self.shard {
            Some(shard) => shard,
            None => Shard::from_env().map_err(|error| Failure::Usage(error.to_string()))?,
        };
        if self.shard.is_none() && shard != Shard::WHOLE {
            // The user did not select this part with an option, and might take its result for that of all scenarios.
            say(format_args!("playing shard {shard}, by the environment"));
        }
        let interrupt = Interrupt::listen()?;
        let mut input = Scenarios::new(&interrupt)?;
        let mut player = Player::new(self.world, self.format.unwrap_or(Format::Json), setup, &interrupt)?;
        for k in 0.. {
            let scenario = match input.next(|| out.flush())? {
                Input::Interrupted => return Ok(player.interrupted()),
                Input::End => break,
                Input::Scenario(scenario) if shard.holds(k) => scenario,
                Input::Scenario(_) => continue,
            };
            match player.play(&scenario, Some(input.number()), out) {
                Err(Failure::Interrupted) => return Ok(player.interrupted()),
                played => played?,
            }
        }
        Ok(player.end())
    }
}

/// Plays scenarios, shows the results, and counts them.
struct Player {
    worlds: Worlds,
    format: Format,
    setup: Setup,
    played: u64,
    disagreements: u64,
}

impl Player {
    fn new(world: World, format: Format, setup: Setup, interrupt: &Interrupt) -> Result<Player, Failure> {
        Ok(Player { worlds: Worlds::new(world, interrupt)?, format, setup, played: 0, disagreements: 0 })
    }

    /// Plays one scenario and shows the result. `line` is its line number on standard input, if it came from there.
    fn play(&mut self, scenario: &Scenario, line: Option<usize>, out: &mut Out) -> Result<(), Failure> {
        let played = self.worlds.play(&self.setup, scenario)?;
        if matches!(played.compared, Some(Err(_))) {
            out.found();
        }
        match self.format {
            Format::Json => {
                let Played { world, trace, compared, .. } = &played;
                let agrees = compared.as_ref().map(Result::is_ok);
                Json { scenario, setup: &self.setup, world, trace, agrees }.write_line(&mut *out)?;
            }
            Format::Text => {
                if self.played > 0 {
                    writeln!(out)?;
                }
                text(scenario, &self.setup, &played, out)?;
            }
        }
        if let Some(Err(difference)) = &played.compared {
            self.disagreements += 1;
            if self.format == Format::Json {
                let line = line.map(|n| format!("line {n}, ")).unwrap_or_default();
                say(format_args!("disagreement: {line}`{scenario}`: {difference}"));
            }
        }
        self.played += 1;
        Ok(())
    }

    fn interrupted(&self) -> u8 {
        say(format_args!("interrupted: played {} scenarios, {} disagreements", self.played, self.disagreements));
        Exit::INTERRUPTED
    }

    fn end(&self) -> u8 {
        match (self.played, self.disagreements) {
            (0, _) => {
                say("nothing ran: there was no scenario to play");
                Exit::NOTHING_RAN
            }
            (_, 0) => Exit::HELD,
            _ => Exit::FINDING,
        }
    }
}

/// Writes the full text report of a run.
pub(super) fn text(scenario: &Scenario, setup: &Setup, played: &Played<'_>, out: &mut Out) -> io::Result<()> {
    out.write_all(report::explain(scenario, setup, played.trace).as_bytes())?;
    match &played.compared {
        None => Ok(()),
        Some(Ok(())) => writeln!(out, "\nThe kernel and the model agree."),
        Some(Err(difference)) => {
            writeln!(out, "\nThe kernel and the model disagree: {difference}\n\nThe model says:\n")?;
            out.write_all(report::explain(scenario, setup, played.model).as_bytes())
        }
    }
}
