//! Minimises the scenario of a finding.

use super::{minimise, minimise_death};
use crate::detect::{Finding, Kind, judge};
use crate::model::Model;
use crate::scenario::Scenario;
use crate::subject::{Setup, Subject};
use crate::trace::Trace;
use crate::world::{World, certain, play};

/// Minimises the scenario of a finding of [`judge`] by playing it in the `kernel` world, and returns the finding of the small
/// scenario. A death is minimised by [`minimise_death`], anything else by [`minimise`].
///
/// If the finding does not reproduce, it is returned unchanged. A finding of [`judge`] should always reproduce. A finding about another
/// server than a program is returned unchanged too: no world of programs plays it.
///
/// # Errors
///
/// Those of the `kernel` world.
pub fn reduce<W: World<Setup = Setup>>(kernel: &mut W, finding: Finding) -> Result<Finding, W::Error> {
    let Subject::Program(setup) = &finding.subject else { return Ok(finding) };
    let (kind, scenario) = (finding.kind(), &finding.scenario);
    let (mut real, mut expected) = (Trace::default(), Trace::default());
    let mut model = Model::default();
    let mut again = |scenario: &Scenario| {
        play(kernel, setup, scenario, &mut real)?;
        certain(play(&mut model, setup, scenario, &mut expected));
        Ok(judge(scenario, setup, &real, &expected).filter(|f| f.kind() == kind))
    };
    let small = match kind {
        Kind::Death | Kind::HandledDeath => {
            let small = minimise_death(scenario, setup, |s, trace| {
                match again(s)? {
                    Some(same) => trace.clone_from(&same.trace),
                    // An empty trace is not a death.
                    None => trace.clear(),
                }
                Ok(())
            })?;
            match small {
                Some(small) => small,
                // This death needs the teardown, which closes clients of earlier rounds that no event can name.
                None => minimise(scenario, |s| again(s).map(|f| f.is_some()))?,
            }
        }
        _ => minimise(scenario, |s| again(s).map(|f| f.is_some()))?,
    };
    Ok(again(&small)?.unwrap_or(finding))
}
