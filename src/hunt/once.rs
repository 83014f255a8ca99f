//! One run of a scenario against a fresh server.

use super::activity::ActivityLog;
use super::baseline::{Baseline, TargetError};
use super::command::Target;
use super::lab::Lab;
use super::session::on_a_thread;
use crate::detect::outcome::Seen;
use crate::detect::symptom::Symptom;
use crate::linux::KernelError;
use crate::scenario::Scenario;
use crate::trace::{Role, Trace};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// What came of one run of a scenario against a fresh server.
#[derive(Clone, Debug)]
pub struct TargetRun {
    /// What the server is like under polite clients.
    pub baseline: Baseline,
    /// What happened.
    pub trace: Trace,
    /// What was seen to be wrong, the worst first. Once is not enough to tell a leak from what a server keeps for the next client.
    pub seen: Vec<TargetSeen>,
}

/// Something that was seen to be wrong, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSeen {
    /// What.
    pub symptom: Symptom,
    /// What was seen, in words.
    pub evidence: String,
    /// Which process of the server's it is about.
    pub role: Role,
}

impl Target {
    /// Plays a scenario once, on a fresh server.
    ///
    /// # Errors
    ///
    /// As [`Target::hunt`].
    pub fn play(&self, scenario: &Scenario) -> Result<TargetRun, TargetError> {
        self.play_until(scenario, &Arc::default())
    }

    /// The same, until somebody sets `stop`.
    ///
    /// # Errors
    ///
    /// As [`Target::hunt`], and [`TargetError::Stopped`].
    pub fn play_until(&self, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<TargetRun, TargetError> {
        super::forked::is_no_server()?;
        on_a_thread(|| {
            let mut lab = Lab::open(self, Arc::clone(stop), ActivityLog::default())?;
            let baseline = lab.baseline().cloned().ok_or(KernelError::StillBorn)?;
            let outcome = lab.look(scenario)?;
            if stop.load(Relaxed) {
                // What was cut short is worth nothing.
                return Err(TargetError::Stopped);
            }
            lab.end();
            let told =
                |Seen { identity, evidence }| TargetSeen { symptom: identity.symptom, evidence, role: identity.role };
            Ok(TargetRun { baseline, trace: outcome.trace, seen: outcome.seen.into_iter().map(told).collect() })
        })
    }
}
