//! Turns a fuzzer's artifacts into findings: plays each again, groups duplicates, and minimises one of each group.

use crate::detect::{Finding, Kind, Signature, judge};
use crate::input::Input;
use crate::model::Model;
use crate::oracle::compare_runs;
use crate::search::reduce;
use crate::subject::Setup;
use crate::trace::Trace;
use crate::world::{World, certain, play};

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
/// assert_eq!(finding.kind(), Kind::Death);
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
            finding: Box::new(Finding::of_program(
                Kind::Nondeterminism,
                scenario,
                setup,
                [first, other],
                Some(difference),
            )),
        },
    })
}

/// Findings of one [`Signature`]: duplicates. One fault that is found by many scenarios is one group.
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
            match groups.iter_mut().find(|group| group.signature == finding.signature) {
                Some(group) => {
                    group.sources.push(source);
                    if finding.scenario.events().len() < group.finding.scenario.events().len() {
                        group.finding = finding;
                    }
                }
                None => groups.push(Group { signature: finding.signature, finding, sources: vec![source] }),
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
