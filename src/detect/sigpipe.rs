//! A process that SIGPIPE killed.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use super::ends;

pub(super) const ADVICE: &str = "pass MSG_NOSIGNAL to every send, or set SIGPIPE to SIG_IGN before the first accept. Where each is not \
                                 enough: write, writev, sendfile and splice take no flags, nor can a library's sends be given one; \
                                 SIG_IGN can be undone by any library, and children keep it through exec, where programs rely on dying \
                                 of a closed pipe.";

pub(super) struct Sigpipe;

impl Detector for Sigpipe {
    fn about(&self) -> &'static About {
        &About {
            name: "sigpipe",
            summary: "a process of the server was killed by SIGPIPE",
            advice: ADVICE,
            cost: Cost::Run,
            harm: Harm::EndsTheServer,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Ended { ended, when } = observation else { return None };
        (ends::killed_by(ended) == Some(libc::SIGPIPE)).then(|| ends::sighting(ended, when))
    }
}
