//! Descriptors that are left when all clients have gone.

use super::detector::{About, Cost, Counted, Detector, Harm, Observation, Sighting};
use super::growth;

pub(super) struct FdLeak;

impl Detector for FdLeak {
    fn about(&self) -> &'static About {
        &About {
            name: "fd-leak",
            summary: "descriptors are left, more and more with repetitions",
            advice: "close the accepted descriptor on every path, those of errors too: after a reset no TCP table shows it any more.",
            cost: Cost::Repetitions(Counted { of: |counts| counts.descriptors, limits: growth::DESCRIPTORS }),
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Left(left) = observation else { return None };
        // A socket in CLOSE_WAIT is a descriptor too, and is reported instead.
        let held = left.close_wait > 0 || left.has_more_tasks();
        left.more("descriptors", |counts| counts.descriptors).filter(|_| !held).map(Sighting::of_server)
    }
}
