//! A server that lives, but whose listener is gone.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

pub(super) struct NotListening;

impl Detector for NotListening {
    fn about(&self) -> &'static About {
        &About {
            name: "not-listening",
            summary: "the server lives, and its listener is gone",
            advice: "go back to the accept loop from every error path, and close the listener only when shutting down.",
            cost: Cost::Run,
            harm: Harm::EndsTheServer,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::NobodyListens(address) = observation else { return None };
        Some(Sighting::of_server(format!("nobody listens on {address} any more")))
    }
}
