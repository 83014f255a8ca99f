//! How a target is hunted.

use super::activity::ActivityLog;
use super::severity::Severity;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How a target is hunted.
///
/// ```
/// use brokenpipe::TargetHunt;
/// use std::time::Duration;
///
/// let how = TargetHunt::default().time(Duration::from_secs(60)).clients(2).first(true);
/// assert_eq!(how.clients, 2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a hunt begins with `Target::hunt`"]
pub struct TargetHunt {
    /// Scenarios to play.
    pub cases: u64,
    /// Time to play for; then the number of scenarios does not count.
    pub time: Option<Duration>,
    /// Which random scenarios.
    pub seed: u64,
    /// Most clients of a scenario.
    pub clients: usize,
    /// Most events of a scenario that is mixed of others.
    pub max_events: usize,
    /// Whether to stop at the first finding.
    pub first: bool,
    /// Whether warnings count as findings do.
    pub strict: bool,
    /// Whether errors may be injected: `fault` events.
    pub faults: bool,
    /// Set by whoever wants it to stop, while a server is still starting too.
    pub stop: Arc<AtomicBool>,
    /// Where the hunt notes what it is doing.
    pub activity: ActivityLog,
}

impl TargetHunt {
    /// How many scenarios to play.
    pub fn cases(self, cases: u64) -> TargetHunt {
        TargetHunt { cases, ..self }
    }

    /// For how long to play, whatever the number of scenarios.
    pub fn time(self, time: Duration) -> TargetHunt {
        TargetHunt { time: Some(time), ..self }
    }

    /// Which random scenarios to play.
    pub fn seed(self, seed: u64) -> TargetHunt {
        TargetHunt { seed, ..self }
    }

    /// Most clients of a scenario.
    pub fn clients(self, clients: usize) -> TargetHunt {
        TargetHunt { clients, ..self }
    }

    /// Most events of a scenario that is mixed of others.
    pub fn max_events(self, max_events: usize) -> TargetHunt {
        TargetHunt { max_events, ..self }
    }

    /// Whether to stop at the first finding.
    pub fn first(self, first: bool) -> TargetHunt {
        TargetHunt { first, ..self }
    }

    /// Whether warnings count as findings do.
    pub fn strict(self, strict: bool) -> TargetHunt {
        TargetHunt { strict, ..self }
    }

    /// Whether errors may be injected.
    pub fn faults(self, faults: bool) -> TargetHunt {
        TargetHunt { faults, ..self }
    }

    /// The flag by which it is stopped.
    pub fn stop(self, stop: Arc<AtomicBool>) -> TargetHunt {
        TargetHunt { stop, ..self }
    }

    /// Where it notes what it is doing.
    pub fn activity(self, activity: ActivityLog) -> TargetHunt {
        TargetHunt { activity, ..self }
    }

    /// Whether a finding of this severity counts as a failure.
    pub fn counts(&self, severity: Severity) -> bool {
        severity == Severity::Finding || (self.strict && severity == Severity::Warning)
    }
}

impl Default for TargetHunt {
    fn default() -> TargetHunt {
        TargetHunt {
            cases: 1000,
            time: None,
            seed: 0,
            clients: 3,
            max_events: 12,
            first: false,
            strict: false,
            faults: true,
            stop: Arc::default(),
            activity: ActivityLog::default(),
        }
    }
}
