//! A main process that ended by itself.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use super::ends;

pub(super) struct Exit;

impl Detector for Exit {
    fn about(&self) -> &'static About {
        &About {
            name: "exit",
            summary: "the server ended by itself",
            advice: "look at what the server does with the error of its last call: ECONNRESET, EPIPE, ECONNABORTED, EMFILE and EINTR are \
                 everyday results, and end a connection at most.",
            cost: Cost::Run,
            harm: Harm::EndsTheServer,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Ended { ended, when } = observation else { return None };
        // A main process that is killed by a signal that the server sent itself has ended by itself.
        let by_itself = ended.role.is_main() && ends::killed_by(ended).is_none();
        by_itself.then(|| ends::sighting(ended, when))
    }
}
