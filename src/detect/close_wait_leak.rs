//! Sockets in CLOSE_WAIT that are left when all clients have gone.

use super::detector::{About, Cost, Counted, Detector, Harm, Observation, Sighting};
use super::growth;

pub(super) struct CloseWaitLeak;

impl Detector for CloseWaitLeak {
    fn about(&self) -> &'static About {
        &About {
            name: "close-wait-leak",
            summary: "sockets in CLOSE_WAIT are left when all clients have gone, more and more with repetitions",
            advice: "close a connection whose peer has sent a FIN as soon as there is nothing left to answer: recv that gives 0, or EPOLLRDHUP.",
            cost: Cost::Repetitions(Counted { of: |counts| counts.descriptors, limits: growth::DESCRIPTORS }),
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Left(left) = observation else { return None };
        if left.close_wait == 0 || left.has_more_tasks() {
            return None;
        }
        let evidence =
            format!("all clients have gone, and {} of the server's sockets are in CLOSE_WAIT", left.close_wait);
        Some(Sighting::of_server(evidence))
    }
}
