//! Whether something that was seen in a run is seen without the scenario as well: then the scenario is not its cause.

use super::Lab;
use super::examine::Pace;
use crate::detect::outcome::Outcome;
use crate::detect::symptom::Symptom;
use crate::hunt::baseline::TargetError;
use crate::linux::KernelError;
use crate::world::World;
use std::time::Duration;

/// By how much longer a polite client is idle in the control than it was in the run.
const LONGER: Duration = Duration::from_millis(50);

impl Lab<'_> {
    /// Whether a polite client that is idle for so long, while nobody else does anything, is no longer served afterwards: the server ends
    /// connections that are idle, which is no collateral damage of what others did meanwhile.
    pub(super) fn ends_idle_connections(&mut self, idle: Duration, pace: Pace) -> Result<bool, TargetError> {
        self.fresh()?;
        let Some(client) = self.bystander(None, pace)? else { return Ok(false) };
        let world = &mut self.running.as_mut().ok_or(KernelError::StillBorn)?.world;
        world.wait(idle + idle / 4 + LONGER)?;
        let mut control = Outcome::default();
        Self::ask_bystander(world, client, &mut control)?;
        self.end();
        self.still_wanted()?;
        Ok(control.seen.iter().any(|seen| seen.identity.symptom == Symptom::Collateral))
    }
}
