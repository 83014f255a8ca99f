//! Whether a server that has stopped serving comes back by itself, and when.
//!
//! That a server waits without any time limit says nothing of the next client: it may look at a clock when that one comes. So clients ask
//! again and again, ever less often, but for two cases: where nothing can change any more and one gets no answer, later ones wait behind it;
//! and where nobody listens, none of them reaches the server.

use super::examine::Attended;
use super::{Lab, SCREENING};
use crate::detect::detector::Observation;
use crate::detect::outcome::{Seen, seen};
use crate::hunt::activity::Activity;
use crate::hunt::baseline::TargetError;
use crate::hunt::health_check::Answered;
use crate::linux::KernelError;
use crate::scenario::Scenario;
use crate::world::World;
use std::time::{Duration, Instant};

/// A server is given so long to recover.
const RECOVERY: Duration = Duration::from_secs(20);
/// After this time the first client asks again; the time is doubled after each.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What came of waiting for a server to serve again.
#[derive(Clone, Copy, Debug)]
pub(in crate::hunt) enum Recovery {
    /// It serves again, after so long. Until then it has refused clients, or left them without an answer.
    After { time: Duration, refused: bool },
    /// A client waits for its answer, and nothing of the server can change any more.
    Frozen,
    /// Not within [`RECOVERY`].
    Not,
}

impl Recovery {
    /// Whether it serves again.
    pub(in crate::hunt) const fn is_recovered(self) -> bool {
        matches!(self, Recovery::After { .. })
    }

    /// In words, to follow what was seen.
    pub(in crate::hunt) fn words(self) -> String {
        match self {
            Recovery::After { time, .. } => format!("; it recovered {:.0} s later", time.as_secs_f64().ceil()),
            Recovery::Frozen => "; it waits without any time limit, and will not recover".to_owned(),
            Recovery::Not => format!("; nor {} s later", RECOVERY.as_secs()),
        }
    }

    /// What is seen, if it is that the server has refused clients for a while.
    pub(in crate::hunt) fn throttling(self) -> Option<Seen> {
        let Recovery::After { time, refused: true } = self else { return None };
        seen(&Observation::Refused(time)).next()
    }
}

impl Lab<'_> {
    /// What becomes of a server with which this scenario was played, until a polite client is served again. Where it is to be `alone`, nobody
    /// else was connected meanwhile, whose leaving might help it.
    pub(in crate::hunt) fn recovery(&mut self, scenario: &Scenario, alone: bool) -> Result<Recovery, TargetError> {
        self.fresh()?;
        let polite = if alone { Attended::No } else { Attended::Yes };
        self.run(scenario, self.closely().attended(polite))?;
        self.recovers()
    }

    /// What becomes of the server that is there, until a polite client is served again.
    pub(super) fn recovers(&mut self) -> Result<Recovery, TargetError> {
        let _doing = self.activity.enter(Activity::Recovers);
        let start = Instant::now();
        let (mut wait, mut refused) = (FIRST_WAIT, true);
        loop {
            let answered = self.polite(SCREENING, false)?;
            self.still_wanted()?;
            if answered.is_full() {
                return Ok(Recovery::After { time: start.elapsed(), refused });
            }
            refused &= matches!(answered, Answered::Refused | Answered::CutOff(_));
            let world = &mut self.running.as_mut().ok_or(KernelError::StillBorn)?.world;
            // Where nobody listens, no client can have it do anything.
            if (!refused || !world.is_listening()?) && world.is_at_rest() {
                return Ok(Recovery::Frozen);
            }
            if start.elapsed() >= RECOVERY {
                return Ok(Recovery::Not);
            }
            world.wait(wait.min(RECOVERY))?;
            wait *= 2;
        }
    }
}
