//! A server that refuses clients for a while.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

pub(super) struct Throttling;

impl Detector for Throttling {
    fn about(&self) -> &'static About {
        &About {
            name: "throttling",
            summary: "the server refuses clients for a while, and then serves them again by itself",
            advice: "if it is meant as a defence, see that it cannot be used to shut others out: it should count by client, and its end should not \
                 depend on who asks.",
            cost: Cost::Run,
            harm: Harm::NoneSoFar,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Refused(time) = observation else { return None };
        let seconds = time.as_secs_f64().ceil();
        Some(Sighting::of_server(format!("new clients are refused, and served again within {seconds:.0} s, by itself")))
    }
}
