//! The hunt: plays scenarios in two worlds until one fails.

use crate::model::Model;
use crate::scenario::Scenario;
use crate::subject::Setup;
use crate::trace::Trace;
use crate::world::{World, certain, play};
use std::ops::ControlFlow;

/// The result of a hunt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunted<F> {
    /// How many scenarios were played, the one that failed included.
    pub played: u64,
    /// The scenario that failed, if one did.
    pub found: Option<Found<F>>,
}

/// A scenario that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<F> {
    /// The scenario's number, by which its source gives it again.
    pub number: u64,
    /// The scenario.
    pub scenario: Scenario,
    /// The finding of `judge`.
    pub finding: F,
}

/// Plays numbered scenarios in the `kernel` world and in the model until `judge` returns a finding. `judge` is given the
/// scenario, the trace of the `kernel` world and the trace of the model.
///
/// Before each scenario `watch` is given the number of scenarios played so far, to show progress. It may end the hunt, for
/// example because time is up or another job has found something.
///
/// ```
/// use brokenpipe::{Death, Model, Random, Setup, Shape, Shard, hunt};
/// use std::ops::ControlFlow;
///
/// let random = Random::new(1, Shape::default());
/// let scenarios = Shard::WHOLE.numbers().take(10_000).map(|k| (k, random.scenario(k)));
/// let judge = |_: &_, kernel: &_, _: &_| Death::of(kernel);
/// let hunted = hunt(&mut Model::default(), &Setup::default(), scenarios, judge, |_| ControlFlow::Continue(()))?;
/// assert_eq!(hunted.found.map(|f| f.finding.to_string()).as_deref(), Some("killed by SIGPIPE in send"));
/// # Ok::<(), std::convert::Infallible>(())
/// ```
///
/// # Errors
///
/// Those of the `kernel` world.
pub fn hunt<W: World<Setup = Setup>, F>(
    kernel: &mut W,
    setup: &Setup,
    scenarios: impl IntoIterator<Item = (u64, Scenario)>,
    mut judge: impl FnMut(&Scenario, &Trace, &Trace) -> Option<F>,
    mut watch: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Hunted<F>, W::Error> {
    let mut model = Model::default();
    let (mut real, mut expected) = (Trace::default(), Trace::default());
    let mut played = 0;
    for (number, scenario) in scenarios {
        if watch(played).is_break() {
            break;
        }
        play(kernel, setup, &scenario, &mut real)?;
        certain(play(&mut model, setup, &scenario, &mut expected));
        played += 1;
        if let Some(finding) = judge(&scenario, &real, &expected) {
            return Ok(Hunted { played, found: Some(Found { number, scenario, finding }) });
        }
    }
    Ok(Hunted { played, found: None })
}
