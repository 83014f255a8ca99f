//! Threads that are left when all clients have gone.

use super::detector::{About, Cost, Counted, Detector, Harm, Observation, Sighting};
use super::growth;

pub(super) struct ThreadLeak;

impl Detector for ThreadLeak {
    fn about(&self) -> &'static About {
        &About {
            name: "thread-leak",
            summary: "threads are left, more and more with repetitions",
            advice: "have a connection's thread end with its connection, whatever it is waiting for at the time.",
            cost: Cost::Repetitions(Counted { of: |counts| counts.threads, limits: growth::TASKS }),
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Left(left) = observation else { return None };
        // A leaked process has threads, and is reported instead.
        let held = left.now.processes > left.before.processes;
        left.more("threads", |counts| counts.threads).filter(|_| !held).map(Sighting::of_server)
    }
}
