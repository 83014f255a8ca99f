//! Turns a fuzzer's artifacts into findings: plays each again, groups duplicates, and minimises one of each group.

use crate::input::Input;
use crate::model::Model;
use crate::oracle::{Difference, Finding, Kind, What, compare_runs, judge};
use crate::scenario::{Call, Client};
use crate::search::reduce;
use crate::subject::Setup;
use crate::trace::{At, Step, TcpState, Trace};
use crate::world::{World, certain, play};
use std::fmt;

/// The result of playing an input [`Triage::TIMES`] times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Triage {
    /// No run failed.
    Holds,
    /// Each run failed, and in the same way. Holds the finding of the first.
    Fails(Box<Finding>),
    /// The runs differ: a [`Kind::Nondeterminism`], whether or not some of them failed.
    Flaky {
        /// How many of the runs failed.
        failed: usize,
        /// Two of the runs that differ.
        finding: Box<Finding>,
    },
}

impl Triage {
    /// How often an input is played, each time against a fresh server.
    pub const TIMES: usize = 3;
}

/// Plays an input [`Triage::TIMES`] times in the `kernel` world. That world must start a new server for each run, as
/// [`Kernel::fresh`](crate::Kernel::fresh) does.
///
/// ```
/// use brokenpipe::{Input, Kernel, Kind, Setup, Triage, triage};
///
/// let death = Input::new(Setup::default(), "hold; a connect; a fin; a rst; b connect; go".parse()?);
/// let Triage::Fails(finding) = triage(&mut Kernel::fresh()?, &death)? else {
///     panic!("the greeter dies each time");
/// };
/// assert_eq!(finding.kind, Kind::Death);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The error of the kernel world.
pub fn triage<W: World<Setup = Setup>>(kernel: &mut W, input: &Input) -> Result<Triage, W::Error> {
    let Input { setup, scenario } = input;
    let mut expected = Trace::default();
    certain(play(&mut Model::default(), setup, scenario, &mut expected));
    let mut runs: [Trace; Triage::TIMES] = Default::default();
    for run in &mut runs {
        play(kernel, setup, scenario, run)?;
    }
    let findings: Vec<Finding> = runs.iter().filter_map(|run| judge(scenario, setup, run, &expected)).collect();
    let [first, rest @ ..] = &runs;
    let differs = rest.iter().find_map(|run| compare_runs(first, run).map(|difference| (run, difference)));
    Ok(match (differs, findings.into_iter().next()) {
        (None, None) => Triage::Holds,
        (None, Some(finding)) => Triage::Fails(Box::new(finding)),
        (Some((other, difference)), _) => Triage::Flaky {
            failed: runs.iter().filter(|run| judge(scenario, setup, run, &expected).is_some()).count(),
            finding: Box::new(Finding {
                kind: Kind::Nondeterminism,
                scenario: scenario.clone(),
                setup: setup.clone(),
                kernel: first.clone(),
                model: other.clone(),
                difference: Some(difference),
            }),
        },
    })
}

/// Findings with equal signatures are duplicates: they have the same kind, show at the same server call, and the socket of that call was in
/// the same state before. One fault that is found by many scenarios is thus one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    /// The kind of the finding.
    pub kind: Kind,
    /// The server's call at which the finding shows; `None` if it shows in a client's reply or in the TCP states.
    pub call: Option<Call>,
    /// The TCP state of the socket before that step; `None` if there was no such socket.
    pub state: Option<TcpState>,
}

impl Signature {
    /// The signature of this finding.
    pub fn of(finding: &Finding) -> Signature {
        let trace = &finding.kernel;
        let at = match &finding.difference {
            Some(Difference { at, what, .. }) => (*at, Some(*what)),
            None => (finding.kernel.outcome().at(), None),
        };
        let (step, before) = at.0.map_or((None, None), |at| place(trace, at));
        let called = match (at.1, step) {
            (Some(What::Call(i)), Some(step)) => step.calls.get(i).or(step.calls.last()),
            (Some(What::Outcome) | None, Some(step)) => step.calls.last(),
            _ => None,
        };
        // Without a call, the socket is the first whose state differs between the two traces.
        let differs = || finding.model.unfolded().find(|s| Some(s.at) == at.0).zip(step).and_then(|(x, y)| other(x, y));
        let client = called.map_or_else(differs, |called| called.client);
        let state = |step: Step<'_>| step.sockets.iter().find(|(c, _)| Some(*c) == client).map(|(_, state)| *state);
        Signature { kind: finding.kind, call: called.map(|c| c.call), state: before.and_then(state) }
    }
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

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        self.call.map_or(Ok(()), |call| write!(f, " in {call}"))?;
        self.state.map_or(Ok(()), |state| write!(f, ", socket in {state}"))
    }
}

/// Findings of one [`Signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<T> {
    /// The signature of all of them.
    pub signature: Signature,
    /// The finding with the fewest events; of several such, the first.
    pub finding: Finding,
    /// The sources of all findings of the group, in the order in which they were given.
    pub sources: Vec<T>,
}

impl<T> Group<T> {
    /// Groups findings by their signature. Each finding is given with its source. The groups are in the order of their kinds, the worst
    /// first.
    pub fn all(findings: impl IntoIterator<Item = (T, Finding)>) -> Vec<Group<T>> {
        let mut groups: Vec<Group<T>> = Vec::new();
        for (source, finding) in findings {
            let signature = Signature::of(&finding);
            match groups.iter_mut().find(|group| group.signature == signature) {
                Some(group) => {
                    group.sources.push(source);
                    if finding.scenario.events().len() < group.finding.scenario.events().len() {
                        group.finding = finding;
                    }
                }
                None => groups.push(Group { signature, finding, sources: vec![source] }),
            }
        }
        groups.sort_by_key(|group| group.signature);
        groups
    }

    /// Minimises the finding of the group, by playing it in the `kernel` world. A [`Kind::Nondeterminism`] is not minimised: that needs a
    /// failure that always reproduces.
    ///
    /// # Errors
    ///
    /// The error of the kernel world.
    pub fn reduced<W: World<Setup = Setup>>(self, kernel: &mut W) -> Result<Group<T>, W::Error> {
        match self.signature.kind {
            Kind::Nondeterminism => Ok(self),
            _ => Ok(Group { finding: reduce(kernel, self.finding)?, ..self }),
        }
    }
}

#[cfg(test)]
mod tests;
