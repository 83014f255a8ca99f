//! A process that SIGPIPE killed.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use super::ends;

pub(super) struct Sigpipe;

impl Detector for Sigpipe {
    fn about(&self) -> &'static About {
        &About {
            name: "sigpipe",
            summary: "a process of the server was killed by SIGPIPE",
            advice: "pass MSG_NOSIGNAL to every send, or set SIGPIPE to SIG_IGN before the first accept. write, writev and sendfile take no \
                 flags, and a library's sends can be given none; SIG_IGN is kept by children through exec, where programs rely on dying \
                 of a closed pipe.",
            cost: Cost::Run,
            harm: Harm::EndsTheServer,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Ended { ended, when } = observation else { return None };
        (ends::killed_by(ended) == Some(libc::SIGPIPE)).then(|| ends::sighting(ended, when))
    }
}
