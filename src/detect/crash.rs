//! A process that a signal other than SIGPIPE killed, or that ended as a sanitizer or a runtime ends a process after its report.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use super::ends;

pub(super) struct Crash;

impl Detector for Crash {
    fn about(&self) -> &'static About {
        &About {
            name: "crash",
            summary: "a process of the server was killed by a signal, or reported an error of its own",
            advice: "look at the server's output, and run it under a debugger or a sanitizer with the same scenario: what a client does may end \
                 its own connection and nothing else.",
            cost: Cost::Run,
            harm: Harm::EndsTheServer,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        match observation {
            Observation::Ended { ended, when } => {
                ends::killed_by(ended).filter(|signal| *signal != libc::SIGPIPE).map(|_| ends::sighting(ended, when))
            }
            Observation::EndedByReporter { ended, line } => Some(ends::by_reporter(ended, line)),
            _ => None,
        }
    }
}
