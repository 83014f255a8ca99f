//! Whether a server that has stopped serving recovers by itself, and when.
//!
//! A server that waits without a timeout may still serve the next client, because it may check the time when that client comes. So clients
//! ask again and again, at growing intervals. There are two exceptions. If a client gets no answer and nothing can change any more, later
//! clients queue behind it. If no process listens, no client reaches the server.

use super::capacity::Asking;
use super::pace::Attended;
use super::{Lab, SCREENING};
use crate::detect::detector::Observation;
use crate::detect::outcome::{Seen, seen};
use crate::hunt::activity::Activity;
use crate::hunt::baseline::HuntError;
use crate::hunt::health_check::Answered;
use crate::linux::KernelError;
use crate::scenario::Scenario;
use crate::world::World;
use std::time::{Duration, Instant};

/// How long a server is given to recover, in real time and in virtual time.
const RECOVERY: Duration = Duration::from_secs(20);
const RECOVERY_VIRTUAL: Duration = Duration::from_secs(2 * 3600);
/// The time between the first and the second request. It doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Whether a server recovered.
#[derive(Clone, Copy, Debug)]
pub(in crate::hunt) enum Recovery {
    /// The server serves again after `time`. If `refused`, it refused or cut off every client until then; else it left at least one without
    /// an answer.
    After {
        time: Duration,
        refused: bool,
        /// Whether it is virtual time.
        is_virtual: bool,
    },
    /// A client waits for its answer, and nothing in the server can change any more.
    Frozen,
    /// The server did not serve again within this time.
    Not(Duration),
}

impl Recovery {
    /// Whether it serves again.
    pub(in crate::hunt) const fn is_recovered(self) -> bool {
        matches!(self, Recovery::After { .. })
    }

    /// In words, to be appended to the evidence.
    pub(in crate::hunt) fn words(self) -> String {
        match self {
            Recovery::After { time, .. } if time < FIRST_WAIT => {
                "; it served again when all clients had gone".to_owned()
            }
            Recovery::After { time, is_virtual: true, .. } => {
                format!("; it served again after {:.1} s of virtual time", time.as_secs_f64())
            }
            Recovery::After { time, .. } => format!("; it recovered {:.0} s later", time.as_secs_f64().ceil()),
            Recovery::Frozen => "; it waits without any time limit, and will not recover".to_owned(),
            Recovery::Not(time) => format!("; nor {} s later", time.as_secs()),
        }
    }

    /// The symptom of throttling, if the server has refused clients for a while.
    pub(in crate::hunt) fn throttling(self) -> Option<Seen> {
        let Recovery::After { time, refused: true, .. } = self else { return None };
        seen(&Observation::Refused(time)).next()
    }
}

impl Lab<'_> {
    /// Plays this scenario on a fresh server, and waits until a polite client is served again. If `alone`, no polite client is connected
    /// during the scenario: a server may recover because such a client leaves.
    pub(in crate::hunt) fn recovery(&mut self, scenario: &Scenario, alone: bool) -> Result<Recovery, HuntError> {
        self.fresh()?;
        let polite = if alone { Attended::No } else { Attended::Yes };
        self.run(scenario, self.closely().attended(polite))?;
        self.recovers()
    }

    /// Waits until the running server serves a polite client although another has vanished; the first has asked at `start`. In words, to be
    /// appended to the evidence; empty in real time, and if the server is not seen to do so.
    pub(super) fn serves_beside_vanished(&mut self, start: Instant) -> Result<String, HuntError> {
        let _doing = self.activity.enter(Activity::Recovers);
        let (manner, capacity) = (self.manner(), self.capacity);
        let world = &mut self.running()?.world;
        let asking = Asking { manner, bound: FIRST_WAIT, capacity, examines: true };
        let time = asking.served_later(world, start)?.time();
        self.still_wanted()?;
        let words = |time: Duration| format!(", and was served after {:.1} s of virtual time", time.as_secs_f64());
        Ok(time.map(words).unwrap_or_default())
    }

    /// Waits until the running server serves a polite client again.
    pub(super) fn recovers(&mut self) -> Result<Recovery, HuntError> {
        let _doing = self.activity.enter(Activity::Recovers);
        let server = &self.running()?.world.server;
        let (start, is_virtual) = (server.now(), server.real_time().is_none());
        let real = Instant::now();
        // Whether every client until then was refused or cut off; `None` if there was none.
        let (mut wait, mut refused) = (FIRST_WAIT, None);
        let most = if is_virtual { RECOVERY_VIRTUAL } else { RECOVERY };
        loop {
            // Virtual time costs nothing, so a client that waits shows when exactly it is served.
            let answered = self.polite(if is_virtual { wait } else { SCREENING }, false)?;
            self.still_wanted()?;
            let world = &mut self.running.as_mut().ok_or(KernelError::StillBorn)?.world;
            let time = world.server.now().saturating_duration_since(start);
            if answered.is_full() {
                return Ok(Recovery::After { time, refused: refused.unwrap_or(false), is_virtual });
            }
            let is_refused = matches!(answered, Answered::Refused | Answered::CutOff(_));
            refused = Some(refused.unwrap_or(true) && is_refused);
            // If no process listens, no client can make the server do anything.
            if (refused == Some(false) || !world.is_listening()?) && world.is_at_rest() {
                return Ok(Recovery::Frozen);
            }
            // Time that does not pass in jumps is real.
            if time >= most || (is_virtual && real.elapsed() >= RECOVERY) {
                return Ok(Recovery::Not(most));
            }
            if is_refused || !is_virtual {
                world.wait(wait.min(most))?;
            }
            wait *= 2;
        }
    }
}
