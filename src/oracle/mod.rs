//! The oracle: compares two traces, and names what is wrong with a run ([`Kind`]). It only reads traces; it neither forks nor
//! connects.

use crate::model::Model;
use crate::scenario::{Action, Call, Client, Errno, Event, Scenario};
use crate::subject::{Policy, Setup};
use crate::trace::{At, Called, Hygiene, Outcome, Reply, Signal, Step, Survivor, TcpState, Trace};
use std::fmt;

/// What is wrong with a run: the property that it breaks. The order is that of severity, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The kernel's trace differs from the model's.
    Disagreement,
    /// Two runs of one scenario gave different traces.
    Nondeterminism,
    /// The traces under two policies differ before the first broken send (a send that fails with EPIPE).
    PolicyDifference,
    /// The server ended in a way that no order of events explains: it exited, got stuck, or was killed by a signal other than
    /// SIGPIPE.
    WrongEnd,
    /// SIGPIPE killed a server whose policy handles SIGPIPE.
    HandledDeath,
    /// The server survived but is not as it was before: it leaks descriptors or sockets, is blocked on a client that has closed,
    /// has a SIGPIPE pending that its policy does not explain, or no longer serves.
    Hygiene,
    /// SIGPIPE killed a server under [`Policy::Default`], as the model predicts. This is what a hunt searches for.
    Death,
}

impl Kind {
    /// Every kind, the worst first.
    pub const ALL: [Kind; 7] = [
        Kind::Disagreement,
        Kind::Nondeterminism,
        Kind::PolicyDifference,
        Kind::WrongEnd,
        Kind::HandledDeath,
        Kind::Hygiene,
        Kind::Death,
    ];

    /// The kind's name, in kebab-case.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Disagreement => "disagreement",
            Kind::Nondeterminism => "nondeterminism",
            Kind::PolicyDifference => "policy-difference",
            Kind::WrongEnd => "wrong-end",
            Kind::HandledDeath => "handled-death",
            Kind::Hygiene => "hygiene",
            Kind::Death => "death",
        }
    }

    /// The kind's meaning, in one line for reports.
    pub const fn explanation(self) -> &'static str {
        match self {
            Kind::Disagreement => "the kernel did not do what the model of TCP's rules predicts",
            Kind::Nondeterminism => "two runs of the same scenario gave different traces",
            Kind::PolicyDifference => "the policy for SIGPIPE made a difference before there was a SIGPIPE",
            Kind::WrongEnd => "the server exited, got stuck, or was killed by a signal other than SIGPIPE",
            Kind::HandledDeath => "SIGPIPE killed a server whose policy handles SIGPIPE",
            Kind::Hygiene => "the server survived, but is not in the state that it was in before the clients came",
            Kind::Death => "the clients' order of events killed the server by SIGPIPE",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A finding: what is wrong, the scenario, the server, and the traces that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// The scenario that was played.
    pub scenario: Scenario,
    /// The server's program and policy.
    pub setup: Setup,
    /// The trace of the kernel world.
    pub kernel: Trace,
    /// The trace that the model predicts; for a [`Kind::Nondeterminism`], that of the second run.
    pub model: Trace,
    /// The first place where two traces differ: the kernel's and the model's for a [`Kind::Disagreement`], those of two runs for
    /// a [`Kind::Nondeterminism`], those of two policies for a [`Kind::PolicyDifference`]. `None` for the other kinds.
    pub difference: Option<Difference>,
}

/// Judges one run. Returns a finding, or `None` if every property holds and the server survived.
///
/// A [`Kind::Nondeterminism`] or a [`Kind::PolicyDifference`] needs more than one run: see [`compare_runs`] and
/// [`compare_policies`].
///
/// ```
/// use brokenpipe::{Kind, Model, Scenario, Setup, Trace, judge, play};
///
/// let scenario: Scenario = "a connect; b connect; b fin; b rst; a close".parse()?;
/// let (setup, mut trace) = (Setup::default(), Trace::default());
/// play(&mut Model::default(), &setup, &scenario, &mut trace)?;
/// let finding = judge(&scenario, &setup, &trace, &trace).expect("the greeter dies");
/// assert_eq!(finding.kind, Kind::Death);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn judge(scenario: &Scenario, setup: &Setup, kernel: &Trace, model: &Trace) -> Option<Finding> {
    let difference = compare(kernel, model);
    let kind = match kernel.outcome() {
        _ if ended_wrong(kernel, difference.as_ref()) => Kind::WrongEnd,
        _ if difference.is_some() => Kind::Disagreement,
        Outcome::Killed { signal: Signal::SIGPIPE, .. } if setup.policy == Policy::Default => Kind::Death,
        Outcome::Killed { signal: Signal::SIGPIPE, .. } => Kind::HandledDeath,
        Outcome::Survived(survivor) if is_clean(survivor, scenario, setup, kernel) => return None,
        _ => Kind::Hygiene,
    };
    // A wrong end is a finding by itself, whatever the model predicts: its difference from the model is dropped.
    let difference = difference.filter(|_| kind == Kind::Disagreement);
    let (scenario, setup) = (scenario.clone(), setup.clone());
    Some(Finding { kind, scenario, setup, kernel: kernel.clone(), model: model.clone(), difference })
}

/// Whether the server ended in a way that the model never predicts, and the traces differ in nothing before that end. With an
/// earlier difference the run is a disagreement.
fn ended_wrong(kernel: &Trace, difference: Option<&Difference>) -> bool {
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
fn is_clean(survivor: Survivor, scenario: &Scenario, setup: &Setup, trace: &Trace) -> bool {
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
mod tests;
