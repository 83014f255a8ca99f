//! Whether processes that have ended are reaped before the next client comes.

use super::Lab;
use super::pace::{Attended, grace};
use super::repeat::clients;
use crate::detect::detector::Observation;
use crate::detect::late_reaping::Unreaped;
use crate::detect::outcome::Outcome;
use crate::hunt::baseline::HuntError;
use crate::linux::foreign::patience::Patience;
use crate::scenario::Scenario;
use std::time::Duration;

/// How long a server is given to reap, if it shows no deadline of its own.
const GRACE: Duration = Duration::from_secs(1);

impl Lab<'_> {
    /// Plays a scenario on the fresh server that is running, and counts its zombies before it, when all clients have gone and the server was
    /// given the time that it asks for, and when another client has come.
    pub(super) fn reaps_late(&mut self, scenario: &Scenario) -> Result<Outcome, HuntError> {
        let before = self.zombies()?;
        let mut outcome = self.run(scenario, self.repeating(Attended::No))?;
        outcome.seen.clear();
        let mut patience = Patience::new(&self.running()?.world.server);
        let gone = loop {
            let zombies = self.zombies()?;
            let world = &mut self.running()?.world;
            let bound = grace(world, &patience, GRACE, true);
            if zombies <= before || world.is_at_rest() || patience.is_up(&world.server, bound) {
                break zombies;
            }
            world.idle(patience.next(&world.server, bound))?;
        };
        self.polite(self.closely().bound, false)?;
        let zombies = [before, gone, self.zombies()?];
        outcome.observe(&Observation::Unreaped(Unreaped { clients: clients(scenario), zombies }));
        Ok(outcome)
    }

    fn zombies(&mut self) -> Result<usize, HuntError> {
        Ok(self.running()?.world.server.counts().zombies)
    }
}
