//! Control runs: a symptom that also shows without the scenario is not caused by it.

use super::Lab;
use super::examine::Pace;
use crate::detect::kind::Kind;
use crate::detect::outcome::Outcome;
use crate::hunt::baseline::HuntError;
use crate::linux::KernelError;
use crate::world::World;
use std::time::Duration;

/// How much longer, in addition to a quarter, a polite client is idle in the control run than in the scenario's run.
const LONGER: Duration = Duration::from_millis(50);

impl Lab<'_> {
    /// Whether a polite client that is idle for this long, while no other client acts, is not served afterwards. If so, the server ends
    /// idle connections, and a lost connection is not collateral damage of the scenario.
    pub(super) fn ends_idle_connections(&mut self, idle: Duration, pace: Pace) -> Result<bool, HuntError> {
        self.fresh()?;
        let Some(client) = self.bystander(None, pace)? else { return Ok(false) };
        let world = &mut self.running.as_mut().ok_or(KernelError::StillBorn)?.world;
        world.wait(idle + idle / 4 + LONGER)?;
        let mut control = Outcome::default();
        Self::ask_bystander(world, client, &mut control)?;
        self.end();
        self.still_wanted()?;
        Ok(control.seen.iter().any(|seen| seen.signature.kind == Kind::Collateral))
    }
}
