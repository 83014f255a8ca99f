//! How a server died, and when two deaths count as the same.

use crate::scenario::Action;
use crate::scenario::{Call, Event, ROUNDS, Repeat, Scenario};
use crate::trace::{At, Outcome, Trace};
use crate::world::Ending;
use std::fmt;

/// How a server died. Two deaths count as the same if the server ended in the same way and in the same call: by the same signal
/// in a `send`, for example. The time, the client and the events before do not count, because the minimiser changes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// How the server ended.
    pub ending: Ending,
    /// The call in which the server ended, or after which it ended if the call returned; `None` if the server made no call in its
    /// last step.
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

    /// Whether the trace ends with this death before the teardown begins.
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

/// The events of a run that ended in death, up to the fatal one. The steps of the teardown become events. A block in which the
/// server died is cut to the rounds up to the fatal one, but keeps the minimum of two.
pub(super) fn written_out(scenario: &Scenario, trace: &Trace) -> Vec<Event> {
    let mut events = Vec::new();
    for step in trace.steps() {
        match step.at {
            At::Event(i) => events.push(scenario.events()[i].clone()),
            // The first step of a block stands for the block.
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
