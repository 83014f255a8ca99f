//! Whether the server serves two polite clients at once when all others have gone.

use super::Lab;
use crate::hunt::activity::Activity;
use crate::hunt::baseline::HuntError;
use crate::hunt::health_check::PoliteClient;
use crate::scenario::Client;
use crate::world::World;
use std::time::{Duration, Instant};

/// How long a server is given until it serves two at once again, in virtual time and in real time.
const MOST_VIRTUAL: Duration = Duration::from_secs(2 * 3600);
const MOST_REAL: Duration = Duration::from_secs(20);
/// The time between the first and the second time that two come. It doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

impl Lab<'_> {
    /// Whether the running server serves one polite client and not another one beside it, now and whenever two come later: a server may leave
    /// new clients alone for some time.
    pub(super) fn stays_crowded(&mut self) -> Result<bool, HuntError> {
        let _doing = self.activity.enter(Activity::Recovers);
        let server = &self.running()?.world.server;
        let most = if server.real_time().is_some() { MOST_REAL } else { MOST_VIRTUAL };
        let (start, real, mut wait) = (server.now(), Instant::now(), FIRST_WAIT);
        loop {
            let (manner, protocol, bound) = (self.manner(), self.protocol(), self.closely().bound);
            let world = &mut self.running()?.world;
            let mut first = PoliteClient::new(Client::BYSTANDER, protocol, bound);
            let is_served = first.connect(world)?.is_full() && first.ask(world)?.is_full();
            let beside = manner.ask(world, bound)?;
            first.leave(world)?;
            world.clear(None)?;
            // If the first one is not served, that is another symptom.
            if !is_served || beside.is_full() || world.main_ended().is_some() || world.has_spin() {
                return Ok(false);
            }
            self.still_wanted()?;
            let world = &mut self.running()?.world;
            if world.server.now().saturating_duration_since(start) >= most || real.elapsed() >= MOST_REAL {
                return Ok(true);
            }
            world.wait(wait)?;
            wait *= 2;
        }
    }
}
