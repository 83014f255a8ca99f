//! When two deaths are the same one.

use crate::scenario::Action;
use crate::scenario::{Call, Event, ROUNDS, Repeat, Scenario};
use crate::trace::{At, Outcome, Trace};
use crate::world::Ending;
use std::fmt;

/// How a server died. Deaths of a server are the same if they end alike and in the same call: by the same signal in a
/// `send`, say. When, on which client and after what is left out: it is what the minimiser changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// How it ended.
    pub ending: Ending,
    /// The call in which it ended, or after which, if the call returned; `None` if it had made none since the event.
    pub call: Option<Call>,
}

impl Death {
    /// The death that this trace ends with, or `None` if the server survived.
    pub fn of(trace: &Trace) -> Option<Death> {
        let ending = match trace.outcome() {
            Outcome::Survived(_) => return None,
            Outcome::Killed { signal, .. } => Ending::Killed(signal),
            Outcome::Exited { code, .. } => Ending::Exited(code),
            Outcome::Ended { .. } => Ending::Ended,
            Outcome::Stuck { .. } => Ending::Stuck,
        };
        let last = trace.steps().next_back().and_then(|step| step.calls.last());
        Some(Death { ending, call: last.map(|called| called.call) })
    }

    /// Whether this trace ends with this death, before its teardown begins.
    pub(super) fn comes_early(self, trace: &Trace) -> bool {
        trace.outcome().at().is_some_and(|at| at.event().is_some()) && Death::of(trace) == Some(self)
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ending {
            Ending::Killed(signal) => write!(f, "killed by {signal}")?,
            Ending::Exited(code) => write!(f, "exited with {code}")?,
            Ending::Ended => f.write_str("ended")?,
            Ending::Stuck => f.write_str("stuck")?,
        }
        self.call.map_or(Ok(()), |call| write!(f, " in {call}"))
    }
}

/// The events of a run that ended in death, up to the one that killed; what the teardown did for it is written out as events. A
/// block in which it died ends with the round in which it did, but is one still.
pub(super) fn written_out(scenario: &Scenario, trace: &Trace) -> Vec<Event> {
    let mut events = Vec::new();
    for step in trace.steps() {
        match step.at {
            At::Event(i) => events.push(scenario.events()[i].clone()),
            // Once for each block.
            At::Round { event, round: 0, inner: 0 } => events.push(scenario.events()[event].clone()),
            At::Round { .. } => {}
            At::TeardownGo => events.push(Event::Go),
            At::Teardown(client) => events.push(Event::Client(client, Action::Close)),
        }
    }
    if let (Some(At::Round { round, .. }), Some(Event::Repeat(repeat))) = (trace.outcome().at(), events.last_mut()) {
        let times = (usize::from(round) + 1).max(*ROUNDS.start());
        *repeat = Repeat::new(times, repeat.events()).unwrap_or_else(|| repeat.clone());
    }
    events
}
