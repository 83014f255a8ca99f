//! Judges a run of a program by its traces.

use super::finding::{Compared, Finding, Gate};
use super::kind::Kind;
use super::signature::Signature;
use crate::oracle::{Difference, What, compare, ended_wrong, is_clean};
use crate::scenario::{Client, Scenario};
use crate::subject::{Policy, Setup, Subject};
use crate::trace::{At, Outcome, Role, Signal, Step, Trace};

/// Judges one run. Returns a finding, or `None` if every property holds and the server survived.
///
/// A [`Kind::Nondeterminism`] or a [`Kind::PolicyDifference`] needs more than one run: see [`compare_runs`](crate::compare_runs) and
/// [`compare_policies`](crate::compare_policies).
///
/// ```
/// use brokenpipe::{Kind, Model, Scenario, Setup, Trace, judge, play};
///
/// let scenario: Scenario = "a connect; b connect; b fin; b rst; a close".parse()?;
/// let (setup, mut trace) = (Setup::default(), Trace::default());
/// play(&mut Model::default(), &setup, &scenario, &mut trace)?;
/// let finding = judge(&scenario, &setup, &trace, &trace).expect("the greeter dies");
/// assert_eq!(finding.kind(), Kind::Death);
/// assert_eq!(finding.signature.to_string(), "death in send, socket in CLOSE");
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
    Some(Finding::of_program(kind, scenario, setup, [kernel, model], difference))
}

impl Finding {
    /// A finding about a program: of this kind, by the first of these traces, which was compared with the second.
    pub fn of_program(
        kind: Kind,
        scenario: &Scenario,
        setup: &Setup,
        [trace, with]: [&Trace; 2],
        difference: Option<Difference>,
    ) -> Finding {
        let signature = signature(kind, [trace, with], difference.as_ref());
        let subject = Subject::Program(setup.clone());
        Finding {
            trace: trace.clone(),
            compared: Some(Compared { with: with.clone(), difference }),
            confirmed: 1,
            ..Finding::of(subject, signature, scenario, Gate::On)
        }
    }
}

/// The signature of a finding. Its call is the server's call at which the finding shows; `None` if it shows in a client's reply or in the
/// TCP states. Its state is that of the socket before that step; `None` if there was no such socket.
fn signature(kind: Kind, [trace, with]: [&Trace; 2], difference: Option<&Difference>) -> Signature {
    let (at, what) = match difference {
        Some(Difference { at, what, .. }) => (*at, Some(*what)),
        None => (trace.outcome().at(), None),
    };
    let (step, before) = at.map_or((None, None), |at| place(trace, at));
    let called = match (what, step) {
        (Some(What::Call(i)), Some(step)) => step.calls.get(i).or(step.calls.last()),
        (Some(What::Outcome) | None, Some(step)) => step.calls.last(),
        _ => None,
    };
    // Without a call, the socket is the first whose state differs between the two traces.
    let differs = || with.unfolded().find(|s| Some(s.at) == at).zip(step).and_then(|(x, y)| other(x, y));
    let client = called.map_or_else(differs, |called| called.client);
    let state = |step: Step<'_>| step.sockets.iter().find(|(c, _)| Some(*c) == client).map(|(_, state)| *state);
    Signature { kind, role: Role::Main, call: called.map(|c| c.call.name()), state: before.and_then(state) }
}

/// The first client whose socket has different states in the two steps.
fn other(x: Step<'_>, y: Step<'_>) -> Option<Client> {
    x.sockets.iter().zip(y.sockets).find(|(x, y)| x != y).map(|((client, _), _)| *client)
}

/// The step at a place, and the step before it.
fn place(trace: &Trace, at: At) -> (Option<Step<'_>>, Option<Step<'_>>) {
    let mut before = None;
    for step in trace.unfolded() {
        if step.at == at {
            return (Some(step), before);
        }
        before = Some(step);
    }
    (None, None)
}

#[cfg(test)]
mod tests;
