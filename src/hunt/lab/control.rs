//! Control runs: a symptom that also shows without the scenario is not caused by it.

use super::Lab;
use super::pace::Pace;
use super::repeat::clients;
use crate::detect::kind::Kind;
use crate::detect::outcome::Outcome;
use crate::hunt::baseline::{HuntError, Silent};
use crate::hunt::seeds::held;
use crate::linux::KernelError;
use crate::scenario::{Event, MAX_CLIENTS, Scenario};
use crate::trace::Role;
use crate::world::World;
use std::time::Duration;

/// How many polite clients come at least.
const LEAST: usize = 20;
/// How much longer, in addition to a quarter, a polite client is idle in the control run than in the scenario's run.
const LONGER: Duration = Duration::from_millis(50);

impl Lab<'_> {
    /// Whether workers of the server end by themselves when as many polite clients come, one after the other, as a scenario has.
    pub(super) fn workers_end(&mut self, scenario: &Scenario) -> Result<bool, HuntError> {
        self.fresh()?;
        self.running()?.world.ends();
        self.polite_clients(clients(scenario).max(LEAST))?;
        let ends = self.running()?.world.ends();
        self.end();
        Ok(ends.iter().any(|ended| ended.role == Role::Worker))
    }

    /// Whether as many polite clients, one after the other, are too many for the server: it may end by itself after a number of clients.
    pub(in crate::hunt) fn tires(&mut self, scenario: &Scenario) -> Result<bool, HuntError> {
        let clients = clients(scenario);
        self.fresh()?;
        let served = self.polite_clients(clients)?;
        self.end();
        Ok(served < clients)
    }

    /// Whether a polite client that is connected throughout is cut off while as many clients stay connected: a server may make room for
    /// them.
    pub(super) fn makes_room(&mut self, clients: usize) -> Result<bool, HuntError> {
        let payload = self.target.payloads().into_iter().next();
        for silent in [Silent::Connected, Silent::Whole] {
            let Some(scenario) = held(silent, clients.min(MAX_CLIENTS), payload.as_ref()) else { continue };
            self.fresh()?;
            let Some(client) = self.bystander(None, self.closely())? else { break };
            let world = &mut self.running()?.world;
            for event in scenario.events() {
                if let Event::Client(client, action) = event {
                    world.act(*client, action)?;
                    world.settle()?;
                }
            }
            // A polite client came beside those of the scenario too.
            self.polite_beside(self.closely().bound)?;
            let mut control = Outcome::default();
            Self::ask_bystander(&mut self.running()?.world, client, None, &mut control)?;
            self.end();
            self.still_wanted()?;
            if !control.seen.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a polite client that is idle for this long, while no other client acts, is not served afterwards. If so, the server ends
    /// idle connections, and a lost connection is not collateral damage of the scenario.
    pub(super) fn ends_idle_connections(&mut self, idle: Duration, pace: Pace) -> Result<bool, HuntError> {
        self.fresh()?;
        let Some(client) = self.bystander(None, pace)? else { return Ok(false) };
        let world = &mut self.running.as_mut().ok_or(KernelError::StillBorn)?.world;
        world.wait(idle + idle / 4 + LONGER)?;
        let mut control = Outcome::default();
        Self::ask_bystander(world, client, None, &mut control)?;
        self.end();
        self.still_wanted()?;
        Ok(control.seen.iter().any(|seen| seen.signature.kind == Kind::Collateral))
    }
}
