//! Resident memory that grows without end.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

pub(super) struct MemoryGrowth;

impl Detector for MemoryGrowth {
    fn about(&self) -> &'static About {
        &About {
            name: "memory-growth",
            summary: "resident memory grows without end over batches of repetitions",
            advice: "look for what is kept of a connection after its end; a heap profiler with the same scenario shows it.",
            cost: Cost::Batches,
            harm: Harm::NoneSoFar,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::MemoryGrows = observation else { return None };
        Some(Sighting::of_server("resident memory ".to_owned()))
    }
}
