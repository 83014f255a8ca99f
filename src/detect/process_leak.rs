//! Processes that are left when all clients have gone.

use super::detector::{About, Cost, Counted, Detector, Harm, Observation, Sighting};
use super::growth;

pub(super) struct ProcessLeak;

impl Detector for ProcessLeak {
    fn about(&self) -> &'static About {
        &About {
            name: "process-leak",
            summary: "processes are left, more and more with repetitions",
            advice: "have a connection's process end with its connection, whatever it is waiting for at the time.",
            cost: Cost::Repetitions(Counted { of: |counts| counts.processes, limits: growth::TASKS }),
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Left(left) = observation else { return None };
        left.more("processes", |counts| counts.processes).map(Sighting::of_server)
    }
}
