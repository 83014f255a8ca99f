//! Processes that have ended and are not reaped.

use super::detector::{About, Cost, Counted, Detector, Harm, Observation, Sighting};
use super::growth;

pub(super) struct Zombie;

impl Detector for Zombie {
    fn about(&self) -> &'static About {
        &About {
            name: "zombie",
            summary: "processes that have ended are not reaped, more and more with repetitions",
            advice: "reap in a loop until waitpid has nothing more (one SIGCHLD may stand for several), or set SIGCHLD to SIG_IGN.",
            cost: Cost::Repetitions(Counted { of: |counts| counts.zombies, limits: growth::TASKS }),
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Left(left) = observation else { return None };
        let (before, now) = (left.before.zombies, left.now.zombies);
        let evidence = || format!("processes that ended and are not reaped: {before} before, {now} afterwards");
        (now > before).then(|| Sighting::of_server(evidence()))
    }
}
