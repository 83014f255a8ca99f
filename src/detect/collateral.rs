//! A polite client that was connected throughout, and lost its connection or is no longer served.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

pub(super) struct Collateral;

impl Detector for Collateral {
    fn about(&self) -> &'static About {
        &About {
            name: "collateral",
            summary: "a polite client that was connected throughout lost its connection, or is served no more",
            advice: "keep an error to the connection that had it: check which descriptor or entry is closed on that path.",
            cost: Cost::Run,
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::BystanderNotServed(answered) = observation else { return None };
        Some(Sighting::of_server(format!("a polite client that was connected throughout: {answered}")))
    }
}
