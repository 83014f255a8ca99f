//! The search with the model for a kernel; the kernel's own word is in `tests/`.

use super::*;
use crate::play::{certain, play};
use crate::{Event, Model, Policy, Program, Scenario, Setup, Trace};
use std::collections::BTreeMap;
use std::convert::Infallible;

fn setup(program: &str) -> Setup {
    Setup::new(program.parse().unwrap(), Policy::Default)
}

fn trace(setup: &Setup, scenario: &Scenario) -> Trace {
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), setup, scenario, &mut trace));
    trace
}

fn death(setup: &Setup, scenario: &Scenario) -> Option<Death> {
    Death::of(&trace(setup, scenario))
}

fn minimal(setup: &Setup, scenario: &Scenario) -> Option<Scenario> {
    let mut model = Model::default();
    certain(minimise_death(scenario, setup, |s, t| play(&mut model, setup, s, t)))
}

/// The same, where the model's foresight is of no use.
fn minimal_by_asking(setup: &Setup, scenario: &Scenario) -> Scenario {
    let wanted = death(setup, scenario);
    certain(minimise(scenario, |s| Ok::<_, Infallible>(death(setup, s) == wanted)))
}

fn without(scenario: &Scenario, i: usize) -> Scenario {
    let mut events = scenario.events().to_vec();
    events.remove(i);
    Scenario::new(events).unwrap()
}

#[test]
fn whatever_kills_a_program_comes_down_to_one_scenario_for_each_death() {
    for (name, text) in crate::PRESETS {
        let setup = setup(text);
        let mut results: BTreeMap<String, (Scenario, u32)> = BTreeMap::new();
        let long = Shape { clients: 4, min_events: 2, max_events: 24, ..Shape::default() };
        for scenario in Random::new(7, long).take(3_000) {
            let Some(death) = death(&setup, &scenario) else { continue };
            let small = minimal(&setup, &scenario).unwrap();
            let (first, count) = results.entry(death.to_string()).or_insert((small.clone(), 0));
            assert_eq!(*first, small, "{name}: {scenario}");
            *count += 1;
        }
        for (death, (small, count)) in &results {
            println!("{name}: {death}: {small} ({count} times)");
            let end = trace(&setup, small);
            assert_eq!(end.outcome().at(), Some(crate::At::Event(small.events().len() - 1)), "{name}: {small}");
            for i in 0..small.events().len() {
                let fewer = trace(&setup, &without(small, i));
                assert!(!matches!(fewer.outcome().at(), Some(crate::At::Event(_))), "{name}: {small} without {i}");
            }
        }
        assert!(!results.is_empty(), "{name} never died");
    }
}
