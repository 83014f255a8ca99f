//! The configuration of a hunt.

use super::activity::ActivityLog;
use crate::detect::Severity;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The configuration of a hunt.
///
/// ```
/// use brokenpipe::HuntOptions;
/// use std::time::Duration;
///
/// let how = HuntOptions::default().time(Duration::from_secs(60)).clients(2).first(true);
/// assert_eq!(how.clients, 2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a hunt begins with `Subject::hunt`"]
pub struct HuntOptions {
    /// The number of scenarios to play.
    pub cases: u64,
    /// How long to play. If set, the number of scenarios does not count.
    pub time: Option<Duration>,
    /// The seed of the random scenarios.
    pub seed: u64,
    /// Maximum number of clients of a random scenario.
    pub clients: usize,
    /// Maximum number of events of a random scenario.
    pub max_events: usize,
    /// The number of worker processes of the hunt of a program. 0: this process plays itself.
    pub jobs: usize,
    /// Whether to stop at the first finding.
    pub first: bool,
    /// Whether warnings count as failures, as findings do.
    pub strict: bool,
    /// Whether errors may be injected (`fault` events).
    pub faults: bool,
    /// Set by the caller to stop the hunt, also while a server is starting. It is looked at after each scenario; if workers play, after each
    /// chunk of scenarios, which takes some 50 ms.
    pub stop: Arc<AtomicBool>,
    /// Where the hunt records what it is doing.
    pub activity: ActivityLog,
}

impl HuntOptions {
    /// Sets the number of scenarios to play.
    pub fn cases(self, cases: u64) -> HuntOptions {
        HuntOptions { cases, ..self }
    }

    /// Sets how long to play, whatever the number of scenarios.
    pub fn time(self, time: Duration) -> HuntOptions {
        HuntOptions { time: Some(time), ..self }
    }

    /// Sets the seed of the random scenarios.
    pub fn seed(self, seed: u64) -> HuntOptions {
        HuntOptions { seed, ..self }
    }

    /// Sets the maximum number of clients of a random scenario.
    pub fn clients(self, clients: usize) -> HuntOptions {
        HuntOptions { clients, ..self }
    }

    /// Sets the maximum number of events of a random scenario.
    pub fn max_events(self, max_events: usize) -> HuntOptions {
        HuntOptions { max_events, ..self }
    }

    /// Sets the number of worker processes of the hunt of a program. They can be made only while the process has no other thread.
    pub fn jobs(self, jobs: usize) -> HuntOptions {
        HuntOptions { jobs, ..self }
    }

    /// Sets whether to stop at the first finding.
    pub fn first(self, first: bool) -> HuntOptions {
        HuntOptions { first, ..self }
    }

    /// Sets whether warnings count as failures, as findings do.
    pub fn strict(self, strict: bool) -> HuntOptions {
        HuntOptions { strict, ..self }
    }

    /// Sets whether errors may be injected.
    pub fn faults(self, faults: bool) -> HuntOptions {
        HuntOptions { faults, ..self }
    }

    /// Sets the flag that stops the hunt.
    pub fn stop(self, stop: Arc<AtomicBool>) -> HuntOptions {
        HuntOptions { stop, ..self }
    }

    /// Sets where the hunt records what it is doing.
    pub fn activity(self, activity: ActivityLog) -> HuntOptions {
        HuntOptions { activity, ..self }
    }

    /// Whether a finding of this severity counts as a failure.
    pub fn counts(&self, severity: Severity) -> bool {
        severity == Severity::Finding || (self.strict && severity == Severity::Warning)
    }
}

impl Default for HuntOptions {
    fn default() -> HuntOptions {
        HuntOptions {
            cases: 1000,
            time: None,
            seed: 0,
            clients: 3,
            max_events: 12,
            jobs: 0,
            first: false,
            strict: false,
            faults: true,
            stop: Arc::default(),
            activity: ActivityLog::default(),
        }
    }
}
