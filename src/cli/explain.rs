//! `brokenpipe explain`.

use super::Out;
use super::exit::Exit;
use super::failure::{BadText, Failure, say};
use super::interrupt::Interrupt;
use super::options::Server;
use super::user;
use super::worlds::{World, Worlds};
use brokenpipe::{Case, Scenario, Setup, Subject, Target, report};
use clap::Args;
use std::io::Write;
use std::path::Path;

/// Play one scenario and explain it: the outcome, the reason, and a diagram
///
/// In the diagram time goes down. It has a column for each client, one for the server's calls with their results, and one for the TCP state
/// of each socket. A case file names its program and policy; options replace them. For a case with a command, the contents of the file are
/// shown and nothing is started, unless `--run` is given.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The worlds to play in
    #[arg(long, short, value_enum, default_value_t = World::Kernel)]
    world: World,
    #[command(flatten)]
    server: Server,
    /// For a case with a command: start the server, play the case once, and show the result
    #[arg(long)]
    run: bool,
    /// The scenario, or a case file
    #[arg(value_name = "SCENARIO|FILE")]
    what: String,
}

impl Explain {
    /// Whether the command plays on the kernel.
    pub(super) fn plays(&self) -> bool {
        self.world != World::Model
    }

    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let (scenario, otherwise) = match read(&self.what)? {
            What::Scenario(scenario) => (scenario, Setup::default()),
            What::Case(case) => match &case.subject {
                Subject::Program(setup) => (case.scenario, setup.clone()),
                Subject::Command(target) => return self.command(target, &case, out),
            },
        };
        let setup = self.server.setup(otherwise)?;
        let interrupt = Interrupt::listen()?;
        let mut worlds = Worlds::new(self.world, &interrupt)?;
        let played = worlds.play(&setup, &scenario)?;
        super::run::text(&scenario, &setup, &played, out)?;
        Ok(if matches!(played.compared, Some(Err(_))) { Exit::FINDING } else { Exit::HELD })
    }

    /// Explains the case of a command, which cannot be played in the model.
    fn command(&self, target: &Target, case: &Case, out: &mut Out) -> Result<u8, Failure> {
        if self.world != World::Kernel || self.server.is_given() {
            let problem = "this case is of a command: `--world`, `--program` and `--policy` say nothing about it";
            return Err(Failure::Usage(problem.to_owned()));
        }
        if !self.run {
            out.write_all(report::case(case).as_bytes())?;
            writeln!(out, "\nnothing was started: `--run` starts the server and shows what is seen in one run")?;
            return Ok(Exit::HELD);
        }
        say(report::commands(target).trim_end());
        if target.has_namespace() {
            // Before any other thread is started: only a process with a single thread can enter a user namespace.
            user::enter_namespace();
        }
        let interrupt = Interrupt::listen()?;
        let run = target.play_until(&case.scenario, &interrupt.flag())?;
        out.write_all(report::observed_run(&run, target, &case.scenario).as_bytes())?;
        Ok(Exit::HELD)
    }
}

/// The argument of `explain`.
enum What {
    Scenario(Scenario),
    Case(Box<Case>),
}

/// Loads a case file if a file of that name exists, else parses a scenario.
fn read(what: &str) -> Result<What, Failure> {
    if Path::new(what).exists() {
        return Case::load(what).map(|case| What::Case(Box::new(case))).map_err(Failure::case);
    }
    what.parse()
        .map(What::Scenario)
        .map_err(|error| BadText::new("the scenario", what, error).note("there is no file of that name either").into())
}
