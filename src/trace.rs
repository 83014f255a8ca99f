//! Traces: what happened in a run. All worlds produce the same type, so traces can be compared with `==`.

mod at;
mod detail;
mod outcome;
mod reply;
mod role;
mod signal;
mod tcp_state;

pub use at::At;
pub use detail::Detail;
pub(crate) use detail::{Data, KEPT};
pub use outcome::{Hygiene, Outcome, Survivor};
pub use reply::{Called, End, Reason, Reply};
pub use role::Role;
pub use signal::Signal;
pub use tcp_state::TcpState;

use crate::scenario::Client;
use std::hash::{Hash, Hasher};

/// Maximum number of bytes sent and not yet read in one direction of a connection. A client's send that would exceed it does
/// nothing, and a server's send blocks until the client reads. A closed TCP window has this effect too; this size does not depend
/// on the kernel's buffers.
pub const WINDOW: u32 = 32 * 1024;

/// One step of a run: an event or a part of the teardown, with its effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'t> {
    /// The place of the event; for equal rounds, the place in the first of them.
    pub at: At,
    /// Number of consecutive equal rounds, this one included; 1 for a step outside a block.
    pub times: u16,
    /// The result of the event.
    pub reply: Reply,
    /// The calls that the server then made, in order.
    pub calls: &'t [Called],
    /// The TCP state of each server-side socket afterwards, in the order in which the clients connected.
    pub sockets: &'t [(Client, TcpState)],
    details: &'t [Detail],
}

impl<'t> Step<'t> {
    /// The calls, each with what else is known of it.
    pub fn detailed(self) -> impl Iterator<Item = (Called, Option<Detail>)> + 't {
        self.calls.iter().enumerate().map(move |(i, called)| (*called, self.details.get(i).copied()))
    }
}

/// What happened in a run, in order. If the server ends, the trace ends with the step in which it ended.
///
/// Consecutive rounds of a block in which all steps are equal are stored once, with their number ([`Step::times`]): ten thousand
/// equal rounds take as much space as one. [`Trace::unfolded`] gives each step that was played.
///
/// `==` leaves out the [`Detail`] of calls.
///
/// The data is in flat lists, so that a run into a used trace allocates nothing.
#[derive(Clone, Debug)]
pub struct Trace {
    steps: Vec<Record>,
    calls: Vec<Called>,
    /// One for each call, or none at all.
    details: Vec<Detail>,
    sockets: Vec<(Client, TcpState)>,
    outcome: Outcome,
}

impl PartialEq for Trace {
    fn eq(&self, other: &Trace) -> bool {
        self.steps == other.steps
            && self.calls == other.calls
            && self.sockets == other.sockets
            && self.outcome == other.outcome
    }
}

impl Eq for Trace {}

impl Hash for Trace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.steps, &self.calls, &self.sockets, self.outcome).hash(state);
    }
}

/// A place between two steps of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    steps: usize,
    calls: usize,
    sockets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record {
    at: At,
    times: u16,
    reply: Reply,
    /// Where the step's calls and sockets end in the flat lists. They begin where those of the step before end.
    calls_end: usize,
    sockets_end: usize,
}

impl Default for Trace {
    fn default() -> Trace {
        let outcome = Outcome::Survived(Survivor::default());
        Trace { steps: Vec::new(), calls: Vec::new(), details: Vec::new(), sockets: Vec::new(), outcome }
    }
}

impl Trace {
    /// The steps, in order.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = Step<'_>> + ExactSizeIterator {
        (0..self.steps.len()).map(|i| self.step(i))
    }

    /// Each step that was played, in order: the steps of equal rounds come once for each round.
    pub fn unfolded(&self) -> impl Iterator<Item = Step<'_>> {
        let (mut next, mut copy) = (0, 0);
        std::iter::from_fn(move || {
            let step = self.steps.get(next).map(|_| self.step(next))?;
            let At::Round { event, round, inner } = step.at else {
                next += 1;
                return Some(step);
            };
            let ends = |record: &Record| !matches!(record.at, At::Round { event: e, round: r, .. } if (e, r) == (event, round));
            next += 1;
            let last = self.steps.get(next).is_none_or(ends);
            let step = Step { at: At::Round { event, round: round + copy, inner }, times: 1, ..step };
            if last {
                copy += 1;
                if copy < self.steps[next - 1].times {
                    next -= inner as usize + 1;
                } else {
                    copy = 0;
                }
            }
            Some(step)
        })
    }

    fn step(&self, i: usize) -> Step<'_> {
        let (calls, sockets) = match i {
            0 => (0, 0),
            i => (self.steps[i - 1].calls_end, self.steps[i - 1].sockets_end),
        };
        let record = &self.steps[i];
        Step {
            at: record.at,
            times: record.times,
            reply: record.reply,
            calls: &self.calls[calls..record.calls_end],
            details: self.details.get(calls..record.calls_end).unwrap_or_default(),
            sockets: &self.sockets[sockets..record.sockets_end],
        }
    }

    /// The server's calls over all steps, in order; the calls of equal rounds come once.
    pub fn calls(&self) -> &[Called] {
        &self.calls
    }

    /// How the run ended for the server.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Empties the trace and keeps its allocations.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.calls.clear();
        self.details.clear();
        self.sockets.clear();
        self.outcome = Outcome::Survived(Survivor::default());
    }

    /// Adds a call to the step that [`Trace::push_step`] will finish. `detail` is given for each call of a run or for none.
    pub(crate) fn push_call(&mut self, called: Called, detail: Option<Detail>) {
        self.calls.push(called);
        self.details.extend(detail);
    }

    /// Finishes a step. `sockets` appends the TCP states. Fails only if `sockets` fails.
    pub(crate) fn push_step<E>(
        &mut self,
        at: At,
        reply: Reply,
        sockets: impl FnOnce(&mut Vec<(Client, TcpState)>) -> Result<(), E>,
    ) -> Result<(), E> {
        sockets(&mut self.sockets)?;
        let (calls_end, sockets_end) = (self.calls.len(), self.sockets.len());
        self.steps.push(Record { at, times: 1, reply, calls_end, sockets_end });
        Ok(())
    }

    /// The end of the trace so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark { steps: self.steps.len(), calls: self.calls.len(), sockets: self.sockets.len() }
    }

    /// Ends the round that began at `start`. If it equals the round before, which began at `last`, the new round is dropped and
    /// counted in the `times` of that one. Returns where the round that is now the last begins.
    pub(crate) fn fold(&mut self, last: Option<Mark>, start: Mark) -> Mark {
        let Some(last) = last.filter(|last| self.equal(*last, start)) else {
            return start;
        };
        self.steps.truncate(start.steps);
        self.calls.truncate(start.calls);
        self.details.truncate(start.calls);
        self.sockets.truncate(start.sockets);
        self.steps[last.steps..].iter_mut().for_each(|record| record.times += 1);
        last
    }

    /// Whether the round from `one` to `other` equals the round from `other` to the end.
    fn equal(&self, one: Mark, other: Mark) -> bool {
        let ends = |record: &Record, from: Mark| (record.calls_end - from.calls, record.sockets_end - from.sockets);
        let (x, y) = (&self.steps[one.steps..other.steps], &self.steps[other.steps..]);
        let same = |(x, y): (&Record, &Record)| x.reply == y.reply && ends(x, one) == ends(y, other);
        x.len() == y.len()
            && x.iter().zip(y).all(same)
            && self.calls[one.calls..other.calls] == self.calls[other.calls..]
            && self.sockets[one.sockets..other.sockets] == self.sockets[other.sockets..]
    }

    pub(crate) fn finish(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

#[cfg(test)]
mod tests;
