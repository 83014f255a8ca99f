//! A busy loop, although no client asks anything of the server.

use super::detector::{About, Cost, Detector, Harm, Observation, Place, Sighting};
use crate::linux::foreign::world::{self, Circle};

pub(super) struct Spin;

impl Detector for Spin {
    fn about(&self) -> &'static About {
        &About {
            name: "spin",
            summary: "the server works in a circle, with nobody asking anything of it",
            advice: "take in, or no longer ask for, the event that keeps coming: EPOLLHUP and EPOLLERR cannot be masked, a level-triggered \
                 EPOLLRDHUP or EPOLLPRI comes again until it is dealt with, and accept that fails with EMFILE leaves the connection queued.",
            cost: Cost::Run,
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Spins { spin, lifted } = observation else { return None };
        let mut sighting = sighting(spin, "while nobody asked anything of it");
        if *lifted {
            sighting.evidence += "; the limit had been lifted";
        }
        Some(sighting)
    }
}

/// What was seen of a busy loop. `when` says when it was measured.
pub(super) fn sighting(spin: &world::Spin, when: &str) -> Sighting {
    let mut evidence = match spin.call {
        Some((call, Some(fd))) => format!("{call} on descriptor {fd}, again and again"),
        Some((call, None)) => format!("{call}, again and again"),
        None => format!("task {} does not come to rest", spin.task),
    };
    if let Some(Circle { calls, processor, .. }) = spin.measured {
        let time = processor.as_millis();
        evidence += &format!("; {when}: {calls} calls, {time} ms of processor time, and it never blocked");
    }
    let (call, state) = (spin.known_by.map(|last| last.name), spin.known_by.and_then(|last| last.state));
    Sighting { place: Place { call, state, ..Place::SERVER }, evidence }
}
