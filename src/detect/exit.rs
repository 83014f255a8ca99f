//! A main process that ended by itself, or a worker that did so because something failed.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use super::ends;
use crate::trace::Role;

pub(super) struct Exit;

impl Detector for Exit {
    fn about(&self) -> &'static About {
        &About {
            name: "exit",
            summary: "the server, or one of its workers, ended by itself",
            advice: "look at what the server does with the error of its last call: ECONNRESET, EPIPE, ECONNABORTED, EMFILE and EINTR are \
                 everyday results, and end a connection at most.",
            cost: Cost::Run,
            harm: Harm::EndsTheServer,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Ended { ended, when } = observation else { return None };
        // A main process that is killed by a signal that the server sent itself has ended by itself.
        let by_itself = ends::killed_by(ended).is_none();
        // A worker that exits with 0 has done its work. Whether a failure is usual, a comparison with polite clients shows.
        let failed = ended.role == Role::Worker && ended.death.code().is_some_and(|code| code != 0);
        (by_itself && (ended.role.is_main() || failed)).then(|| ends::sighting(ended, when))
    }
}
