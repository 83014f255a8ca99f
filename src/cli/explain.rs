//! `brokenpipe explain`.

use super::Out;
use super::exit::Exit;
use super::failure::{BadText, Failure};
use super::options::Server;
use super::user;
use super::worlds::{World, Worlds};
use brokenpipe::{CaseFile, Scenario, Setup, TargetCase, report};
use clap::Args;
use std::io::Write;
use std::path::Path;

/// Play one scenario and explain it: the outcome, why, and a picture
///
/// Time goes downwards; there is a column for each client, one for the server's calls with their results, and the TCP
/// states. The program and the policy of a case file are its own, unless options say otherwise; if it is of any server, with a command in
/// it, that server is started.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Where to play
    #[arg(long, short, value_enum, default_value_t = World::Kernel)]
    world: World,
    #[command(flatten)]
    server: Server,
    /// The scenario, or a case file
    #[arg(value_name = "SCENARIO|FILE")]
    what: String,
}

impl Explain {
    /// Whether it plays on the kernel.
    pub(super) fn plays(&self) -> bool {
        self.world != World::Model
    }

    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let (scenario, otherwise) = match read(&self.what)? {
            What::Scenario(scenario) => (scenario, Setup::default()),
            What::Case(case) => match *case {
                CaseFile::Program(case) => (case.scenario.clone(), case.setup()),
                CaseFile::Target(case) => return self.target(&case, out),
            },
        };
        let setup = self.server.setup(otherwise)?;
        let mut worlds = Worlds::new(self.world)?;
        let played = worlds.play(&setup, &scenario)?;
        super::run::text(&scenario, &setup, &played, out)?;
        Ok(if matches!(played.compared, Some(Err(_))) { Exit::FINDING } else { Exit::HELD })
    }

    /// A case of any server: it has no program and no model.
    fn target(&self, case: &TargetCase, out: &mut Out) -> Result<u8, Failure> {
        if self.world != World::Kernel || self.server.is_given() {
            let problem = "this case is of a command: `--world`, `--program` and `--policy` say nothing about it";
            return Err(Failure::Usage(problem.to_owned()));
        }
        let TargetCase { target, scenario, .. } = case;
        if target.has_namespace() {
            user::enter_namespace();
        }
        let run = target.play(scenario)?;
        out.write_all(report::target_run(&run, target, scenario).as_bytes())?;
        Ok(Exit::HELD)
    }
}

/// What is to be explained.
enum What {
    Scenario(Scenario),
    Case(Box<CaseFile>),
}

/// A case file if there is one of that name, else a scenario.
fn read(what: &str) -> Result<What, Failure> {
    if Path::new(what).exists() {
        return CaseFile::load(what).map(|case| What::Case(Box::new(case))).map_err(Failure::case);
    }
    what.parse()
        .map(What::Scenario)
        .map_err(|error| BadText::new("the scenario", what, error).note("there is no file of that name either").into())
}
