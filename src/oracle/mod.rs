//! The oracle: compares two traces, and checks one against the properties. It only reads traces; it neither forks nor connects.

use crate::model::Model;
use crate::scenario::{Action, Call, Client, Errno, Event, Scenario};
use crate::subject::{Policy, Setup};
use crate::trace::{At, Called, Hygiene, Outcome, Reply, Signal, Step, Survivor, TcpState, Trace};
use std::fmt;

/// Whether the server ended in a way that the model never predicts, and the traces differ in nothing before that end. With an
/// earlier difference the run is a disagreement.
pub(crate) fn ended_wrong(kernel: &Trace, difference: Option<&Difference>) -> bool {
    let outcome = kernel.outcome();
    let at_its_end = |difference: &Difference| match difference.what {
        What::Outcome => true,
        What::Sockets => difference.at == outcome.at(),
        // The server made no further call where the model's server made one.
        What::Call(i) => difference.at == outcome.at() && kernel.steps().last().is_some_and(|s| s.calls.len() <= i),
        What::Step | What::Reply => false,
    };
    !matches!(outcome, Outcome::Survived(_) | Outcome::Killed { signal: Signal::SIGPIPE, .. })
        && difference.is_none_or(at_its_end)
}

/// Whether a survivor is clean: back at `accept` with nothing left behind, or blocked on a client that vanished. A SIGPIPE may be
/// pending only under [`Policy::Blocked`].
pub(crate) fn is_clean(survivor: Survivor, scenario: &Scenario, setup: &Setup, trace: &Trace) -> bool {
    let signal = !survivor.pending || setup.policy == Policy::Blocked;
    signal
        && match (survivor.waits_on, survivor.hygiene) {
            (Some(client), _) => vanished(client, scenario, trace),
            (None, Some(left)) => {
                left.descriptors == 0 && left.close_wait == 0 && (left.served || !Model::serves(setup))
            }
            (None, None) => true,
        }
}

/// Whether the client vanished in this run.
pub(crate) fn vanished(client: Client, scenario: &Scenario, trace: &Trace) -> bool {
    events(scenario, trace)
        .any(|(event, step)| *event == Event::Client(client, Action::Vanish) && matches!(step.reply, Reply::Ok(_)))
}

/// The events that were played, each with its step.
pub(crate) fn events<'t>(scenario: &'t Scenario, trace: &'t Trace) -> impl Iterator<Item = (&'t Event, Step<'t>)> {
    trace.steps().filter_map(|step| Some((step.at.of(scenario)?, step)))
}

/// The first place where two traces differ. `Display` describes it in words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Difference {
    /// The step; `None` for a difference in the outcome after the last step.
    pub at: Option<At>,
    /// The part of the step.
    pub what: What,
    /// The names of the two traces, in the order of `values`.
    pub sides: [&'static str; 2],
    /// What each of the two traces has there.
    pub values: [String; 2],
}

/// The part of a step in which two traces differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The step itself: the traces have different steps there, or only one of them has a step.
    Step,
    /// The result of the event.
    Reply,
    /// The server's call of this index in the step, from 0.
    Call(usize),
    /// The TCP states of the server-side sockets.
    Sockets,
    /// How the run ended for the server.
    Outcome,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Step => f.write_str("the step itself"),
            What::Reply => f.write_str("the event's own result"),
            What::Call(i) => write!(f, "the server's call number {} there", i + 1),
            What::Sockets => f.write_str("the TCP states afterwards"),
            What::Outcome => f.write_str("the outcome"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { what, sides: [one, other], values: [x, y], .. } = self;
        match self.at {
            Some(at) => write!(f, "at {}, ", place(at))?,
            None => f.write_str("at the end, ")?,
        }
        write!(f, "{what}: {one} has `{x}`, {other} has `{y}`")
    }
}

/// The first place where the kernel's trace differs from the model's; `None` if they are equal.
pub fn compare(kernel: &Trace, model: &Trace) -> Option<Difference> {
    const SIDES: [&str; 2] = ["the kernel", "the model"];
    if kernel == model { None } else { difference(kernel, model, SIDES, Until::TheEnd) }
}

/// The first place where two runs of one scenario differ; `None` if they are equal.
pub fn compare_runs(first: &Trace, second: &Trace) -> Option<Difference> {
    const SIDES: [&str; 2] = ["the first run", "the second run"];
    if first == second { None } else { difference(first, second, SIDES, Until::TheEnd) }
}

/// Compares the traces of one scenario and program under several policies with the first of them. Returns the first place before
/// any broken send where a trace differs, or `None`.
///
/// The comparison includes that the send breaks, but not whether the send raised a signal, nor anything after it. It leaves out
/// whether a survivor served a fresh client, because a send may break there too.
pub fn compare_policies(traces: &[(Policy, &Trace)]) -> Option<Difference> {
    let ((first, one), rest) = traces.split_first()?;
    rest.iter().find_map(|(policy, other)| difference(one, other, [first.name(), policy.name()], Until::BrokenSend))
}

/// How far two traces are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    TheEnd,
    BrokenSend,
}

fn difference(one: &Trace, other: &Trace, sides: [&'static str; 2], until: Until) -> Option<Difference> {
    let differ = |at, what, x: String, y: String| Some(Difference { at, what, sides, values: [x, y] });
    let mut last = None;
    let (mut steps_of_one, mut steps_of_other) = (one.unfolded(), other.unfolded());
    let (x, y) = loop {
        let (x, y) = match (steps_of_one.next(), steps_of_other.next()) {
            (Some(x), Some(y)) => (x, y),
            rest => break rest,
        };
        let at = Some(x.at);
        last = at;
        if x.at != y.at {
            return differ(at, What::Step, place(x.at), place(y.at));
        }
        if x.reply != y.reply {
            return differ(at, What::Reply, x.reply.to_string(), y.reply.to_string());
        }
        for i in 0..x.calls.len().max(y.calls.len()) {
            let (x, y) = (x.calls.get(i), y.calls.get(i));
            if until == Until::BrokenSend && x.zip(y).is_some_and(|(x, y)| both_broken(x, y)) {
                return None;
            }
            if x != y {
                return differ(at, What::Call(i), call(x), call(y));
            }
        }
        if x.sockets != y.sockets {
            return differ(at, What::Sockets, sockets(x.sockets), sockets(y.sockets));
        }
    };
    let outcomes = [one, other].map(|trace| match (trace.outcome(), until) {
        (Outcome::Survived(Survivor { hygiene: Some(left), waits_on, pending }), Until::BrokenSend) => {
            Outcome::Survived(Survivor { hygiene: Some(Hygiene { served: true, ..left }), waits_on, pending })
        }
        (outcome, _) => outcome,
    });
    let longer = x.or(y);
    if outcomes[0] != outcomes[1] {
        let [x, y] = outcomes.map(outcome_words);
        return differ(last.filter(|_| longer.is_some()), What::Outcome, x, y);
    }
    let name = |step: Option<Step<'_>>| step.map_or("nothing more".to_owned(), |s| place(s.at));
    differ(Some(longer?.at), What::Step, name(x), name(y))
}

/// A place in a run, in words.
pub(crate) fn place(at: At) -> String {
    match at {
        At::Event(_) | At::Round { .. } => format!("event {at}"),
        at => at.to_string(),
    }
}

/// Whether two calls are the same broken send; whether they raised SIGPIPE is ignored.
fn both_broken(x: &Called, y: &Called) -> bool {
    is_broken(x) && Called { sigpipe: x.sigpipe, ..*y } == *x
}

/// Whether a call is a broken send: a `send` that failed with EPIPE, whether or not it raised SIGPIPE.
pub(crate) fn is_broken(called: &Called) -> bool {
    called.call == Call::Send && called.result == Some(Err(Errno::EPIPE))
}

fn call(called: Option<&Called>) -> String {
    called.map_or("no call".to_owned(), Called::to_string)
}

fn sockets(states: &[(Client, TcpState)]) -> String {
    let states: Vec<String> = states.iter().map(|(client, state)| format!("{client} {state}")).collect();
    if states.is_empty() { "none".to_owned() } else { states.join(", ") }
}

/// An outcome in words, with what a survivor has left behind.
pub(crate) fn outcome_words(outcome: Outcome) -> String {
    let mut words = vec![outcome.to_string()];
    if let Outcome::Survived(survivor) = outcome {
        words.extend(left_words(survivor));
    }
    words.join(", ")
}

/// What a survivor has left behind, in words; empty for a clean survivor.
pub(crate) fn left_words(survivor: Survivor) -> Vec<String> {
    let Hygiene { descriptors, close_wait, served } = survivor.hygiene.unwrap_or(Hygiene::CLEAN);
    let words = [
        survivor.pending.then(|| "a SIGPIPE pending".to_owned()),
        (descriptors > 0).then(|| format!("descriptors left open: {descriptors}")),
        (close_wait > 0).then(|| format!("sockets left in CLOSE_WAIT: {close_wait}")),
        (!served).then(|| "a fresh client not served".to_owned()),
    ];
    words.into_iter().flatten().collect()
}

#[cfg(test)]
pub(crate) mod tests;
