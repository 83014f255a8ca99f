//! One run of a scenario against a fresh server.

use super::activity::ActivityLog;
use super::baseline::{Baseline, HuntError};
use super::lab::Lab;
use super::session::on_a_thread;
use crate::detect::Seen;
use crate::linux::KernelError;
use crate::scenario::Scenario;
use crate::subject::Target;
use crate::trace::Trace;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// The result of one run of a scenario against a fresh server.
#[derive(Clone, Debug)]
pub struct ObservedRun {
    /// How the server behaves with polite clients.
    pub baseline: Baseline,
    /// The trace of the run.
    pub trace: Trace,
    /// What was seen to be wrong, the worst first. One run is not enough to tell a leak from a resource that the server keeps for its next client.
    pub seen: Vec<Seen>,
}

impl Target {
    /// Plays a scenario once, on a fresh server.
    ///
    /// # Errors
    ///
    /// Those of [`Target::hunt`].
    pub fn play(&self, scenario: &Scenario) -> Result<ObservedRun, HuntError> {
        self.play_until(scenario, &Arc::default())
    }

    /// The same as [`Target::play`], but ends early if `stop` is set.
    ///
    /// # Errors
    ///
    /// Those of [`Target::hunt`], and [`HuntError::Stopped`].
    pub fn play_until(&self, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<ObservedRun, HuntError> {
        super::function::is_no_server()?;
        on_a_thread(|| {
            let mut lab = Lab::open(self, Arc::clone(stop), ActivityLog::default())?;
            let baseline = lab.baseline().cloned().ok_or(KernelError::StillBorn)?;
            let outcome = lab.look(scenario)?;
            if stop.load(Relaxed) {
                // The outcome of an interrupted run is incomplete.
                return Err(HuntError::Stopped);
            }
            lab.end();
            Ok(ObservedRun { baseline, trace: outcome.trace, seen: outcome.seen })
        })
    }
}
