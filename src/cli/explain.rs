//! `brokenpipe explain`.

use super::Out;
use super::exit::Exit;
use super::failure::{BadText, Failure};
use super::options::Server;
use super::worlds::{World, Worlds};
use brokenpipe::{Case, Scenario, Setup};
use clap::Args;
use std::path::Path;

/// Play one scenario and explain it: the outcome, why, and a picture
///
/// Time goes downwards; there is a column for each client, one for the server's calls with their results, and the TCP
/// states. The program and the policy of a case file are its own, unless options say otherwise.
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
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let (scenario, otherwise) = read(&self.what)?;
        let setup = self.server.setup(otherwise)?;
        let mut worlds = Worlds::new(self.world)?;
        let played = worlds.play(&setup, &scenario)?;
        super::run::text(&scenario, &setup, &played, out)?;
        Ok(if matches!(played.compared, Some(Err(_))) { Exit::FINDING } else { Exit::HELD })
    }
}

/// A case file if there is one of that name, else a scenario.
fn read(what: &str) -> Result<(Scenario, Setup), Failure> {
    if Path::new(what).exists() {
        let case = Case::load(what).map_err(Failure::case)?;
        let setup = case.setup();
        return Ok((case.scenario, setup));
    }
    match what.parse() {
        Ok(scenario) => Ok((scenario, Setup::default())),
        Err(error) => {
            Err(BadText::new("the scenario", what, error).note("there is no file of that name either").into())
        }
    }
}
