//! How much time a run gives the server.

use super::{EXAMINING, Lab, SCREENING};
use crate::linux::foreign::patience::Patience;
use crate::linux::foreign::world::Foreign;
use std::time::Duration;

/// A polite client may wait this many times as long as the slowest client of the warm-up, if that is longer than the fixed bound: when
/// examining, and when screening.
const SLOWER: u32 = 20;
const SLOWER_SCREENING: u32 = 4;
/// How long a server may keep resources that it then releases by itself.
const GRACE_SCREENING: Duration = Duration::from_millis(150);
const GRACE_EXAMINING: Duration = Duration::from_secs(1);
/// The same after many repetitions, each of which has left something behind.
pub(super) const GRACE_REPEATED: Duration = Duration::from_millis(500);
/// A server that waits with a timeout may release resources when the timeout expires. It is given until then, but no longer than this.
/// Timeouts of a minute and a little more are common.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// The same where the server's clock jumps, until it has done so [`MOST_JUMPS`] times: a server that wakes up again and again shows no
/// deadline but its next one.
const PATIENCE_VIRTUAL: Duration = Duration::from_secs(24 * 3600);
const MOST_JUMPS: u64 = 1000;
/// How long a server that ran short of a resource may leave its clients unserved, when examining and when screening.
const BACK_OFF: Duration = Duration::from_secs(10);
const BACK_OFF_SCREENING: Duration = Duration::from_secs(3);
/// The minimum time for which a suspected busy loop is watched. Some servers loop without blocking for the second or two for which they leave a
/// client alone.
pub(super) const CIRCLES: Duration = Duration::from_secs(3);

/// How much time a run gives the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long a polite client waits for its answer.
    pub(super) bound: Duration,
    /// How long the server may take to release resources.
    pub(super) grace: Duration,
    /// Whether the server is also given until its own deadlines expire.
    pub(super) patient: bool,
    /// Whether a busy server is watched for a while, to see whether it blocks.
    pub(super) measures: bool,
    /// The minimum time for which it is watched.
    pub(super) watched: Duration,
    /// Which polite clients take part.
    pub(super) polite: Attended,
}

impl Pace {
    /// The same with these polite clients.
    pub(super) fn attended(self, polite: Attended) -> Pace {
        Pace { polite, ..self }
    }

    /// The same for a server that ran short of a resource.
    pub(super) fn backed_off(self) -> Pace {
        let back_off = if self.measures { BACK_OFF } else { BACK_OFF_SCREENING };
        Pace { bound: self.bound.max(back_off), ..self }
    }
}

/// Which polite clients take part besides the clients of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attended {
    /// None.
    No,
    /// One that is connected throughout, if the server serves several clients at once, and one afterwards.
    Yes,
    /// The same, and the client that comes afterwards stays connected throughout the next run.
    Stays,
}

impl Lab<'_> {
    /// The pace of screening.
    pub(super) fn screening(&self) -> Pace {
        let bound = SCREENING.max(self.latency * SLOWER_SCREENING);
        Pace {
            bound,
            grace: GRACE_SCREENING,
            patient: false,
            measures: false,
            watched: Duration::ZERO,
            polite: Attended::Stays,
        }
    }

    /// The pace of repetitions. The server is given no time to release resources after each, only after the last one.
    pub(super) fn repeating(&self, polite: Attended) -> Pace {
        Pace { grace: Duration::ZERO, polite, ..self.screening() }
    }

    /// The pace of examining.
    pub(super) fn closely(&self) -> Pace {
        let bound = EXAMINING.max(self.latency * SLOWER);
        Pace {
            bound,
            grace: GRACE_EXAMINING,
            patient: false,
            measures: true,
            watched: Duration::ZERO,
            polite: Attended::Yes,
        }
    }
}

/// How long a server is given to release resources: at least `least`. If `patient`, also until its last deadline expires, but no longer
/// than [`PATIENCE`] or [`PATIENCE_VIRTUAL`].
pub(super) fn grace(world: &mut Foreign, patience: &Patience, least: Duration, patient: bool) -> Duration {
    let own = patient.then(|| world.server.last_deadline()).flatten();
    let jumps = patience.jumps(&world.server).is_some_and(|jumps| jumps < MOST_JUMPS);
    let most = if jumps && !patience.is_long() { PATIENCE_VIRTUAL } else { PATIENCE };
    // A little longer, because the server still has work to do then.
    let own = own.map(|deadline| deadline.saturating_duration_since(patience.start).min(most) + GRACE_SCREENING);
    least.max(own.unwrap_or_default())
}
