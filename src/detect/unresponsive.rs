//! A polite client that comes when all others have gone, and gets no full answer.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

pub(super) struct Unresponsive;

impl Detector for Unresponsive {
    fn about(&self) -> &'static About {
        &About {
            name: "unresponsive",
            summary: "a polite client gets no full answer any more",
            advice: "find what the server waits for (above, its last calls): a connection that is gone must not be waited for, nor one client \
                 for another.",
            cost: Cost::Time,
            harm: Harm::EndsTheServer,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::ClientNotServed { answered, waits } = observation else { return None };
        let waits =
            if waits.is_empty() { String::new() } else { format!("; the server waits in {}", waits.join(", ")) };
        Some(Sighting::of_server(format!("a polite client afterwards: {answered}{waits}")))
    }
}
