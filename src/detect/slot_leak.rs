//! Clients that have left and still count, so that the server serves fewer at once than it did.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

pub(super) struct SlotLeak;

impl Detector for SlotLeak {
    fn about(&self) -> &'static About {
        &About {
            name: "slot-leak",
            summary: "the server serves fewer clients at once than before, as if those that have left were still there",
            advice: "find where the server counts its clients, or gives each one of a fixed number of places: a connection that fails has to give \
                 its place back as one that ends well does.",
            cost: Cost::Time,
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Crowded(answered) = observation else { return None };
        let beside = "when all had gone but one polite client, another polite client was not served beside it";
        Some(Sighting::of_server(format!("{beside}: {answered}")))
    }
}
