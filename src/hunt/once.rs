//! One run of a scenario against a fresh server.

use super::activity::ActivityLog;
use super::baseline::{Baseline, TargetError};
use super::lab::Lab;
use super::session::on_a_thread;
use crate::detect::outcome::Seen;
use crate::detect::symptom::Symptom;
use crate::linux::KernelError;
use crate::scenario::Scenario;
use crate::subject::Target;
use crate::trace::{Role, Trace};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// The result of one run of a scenario against a fresh server.
#[derive(Clone, Debug)]
pub struct TargetRun {
    /// How the server behaves with polite clients.
    pub baseline: Baseline,
    /// The trace of the run.
    pub trace: Trace,
    /// The symptoms, the worst first. One run is not enough to tell a leak from a resource that the server keeps for its next client.
    pub seen: Vec<TargetSeen>,
}

/// A symptom that one run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSeen {
    /// The kind of symptom.
    pub symptom: Symptom,
    /// What was seen, in words.
    pub evidence: String,
    /// The role of the process that shows it.
    pub role: Role,
}

impl Target {
    /// Plays a scenario once, on a fresh server.
    ///
    /// # Errors
    ///
    /// Those of [`Target::hunt`].
    pub fn play(&self, scenario: &Scenario) -> Result<TargetRun, TargetError> {
        self.play_until(scenario, &Arc::default())
    }

    /// The same as [`Target::play`], but ends early if `stop` is set.
    ///
    /// # Errors
    ///
    /// Those of [`Target::hunt`], and [`TargetError::Stopped`].
    pub fn play_until(&self, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<TargetRun, TargetError> {
        super::function::is_no_server()?;
        on_a_thread(|| {
            let mut lab = Lab::open(self, Arc::clone(stop), ActivityLog::default())?;
            let baseline = lab.baseline().cloned().ok_or(KernelError::StillBorn)?;
            let outcome = lab.look(scenario)?;
            if stop.load(Relaxed) {
                // The outcome of an interrupted run is incomplete.
                return Err(TargetError::Stopped);
            }
            lab.end();
            let told =
                |Seen { identity, evidence }| TargetSeen { symptom: identity.symptom, evidence, role: identity.role };
            Ok(TargetRun { baseline, trace: outcome.trace, seen: outcome.seen.into_iter().map(told).collect() })
        })
    }
}
