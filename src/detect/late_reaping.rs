//! Processes that have ended and are reaped only when the next client comes: there are as many as there were clients at a time.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};

/// What was counted of a server's zombies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreaped {
    /// How many clients there were at a time.
    pub(crate) clients: usize,
    /// The number of zombies before they came, when they had gone, and when another client had come.
    pub(crate) zombies: [usize; 3],
}

pub(super) struct LateReaping;

impl Detector for LateReaping {
    fn about(&self) -> &'static About {
        &About {
            name: "late-reaping",
            summary: "processes that have ended are reaped only when the next client comes",
            advice: "reap in a handler of SIGCHLD, or ignore SIGCHLD (`SIG_IGN`, or SA_NOCLDWAIT): until then each zombie counts against the limit \
                 of processes.",
            cost: Cost::Batches,
            harm: Harm::NoneSoFar,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::Unreaped(Unreaped { clients, zombies: [before, gone, next] }) = observation else {
            return None;
        };
        // One for each client, or nearly: that of the last one may have been reaped.
        let is_late = gone.saturating_sub(*before) + 1 >= *clients && next < gone;
        is_late.then(|| {
            Sighting::of_server(format!(
                "processes that ended and are not reaped: {before} at first, {gone} when {clients} clients had gone, {next} when the next one \
                 had come"
            ))
        })
    }
}
