//! A sanitizer's report from a process that went on.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

pub(super) struct SanitizerReport;

impl Detector for SanitizerReport {
    fn about(&self) -> &'static About {
        &About {
            name: "sanitizer-report",
            summary: "a sanitizer reported an error, and no process ended",
            advice: "look at the report in the server's output: what it names is undefined, whatever came of it this time. The sanitizer can be \
                 told to end the process, as with -fno-sanitize-recover.",
            cost: Cost::Run,
            harm: Harm::NoneSoFar,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Reported(line) = observation else { return None };
        Some(Sighting::of_server(format!("no process ended; it wrote: {line}")))
    }
}
