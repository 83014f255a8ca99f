//! A busy loop for as long as the server has no descriptor free.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use super::spin;

pub(super) struct SpinWhileShort;

impl Detector for SpinWhileShort {
    fn about(&self) -> &'static About {
        &About {
            name: "spin-while-short",
            summary: "the server works in a circle for as long as it is short of descriptors",
            advice: "accept that fails with EMFILE leaves the connection queued, and the listener is reported ready again at once: leave it alone \
                 for a while, or keep one descriptor in reserve with which the connection can be accepted and closed.",
            cost: Cost::Run,
            harm: Harm::NoneSoFar,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::SpinsWhileShort(loops) = observation else { return None };
        Some(spin::sighting(loops, "while its descriptors were limited, and nobody asked anything of it"))
    }
}
