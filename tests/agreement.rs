//! Property 1: for every scenario, program and policy the kernel's trace equals the model's.

mod common;

use brokenpipe::{Enumerate, Policy, Program, Scenario, Setup, enumerate};
use common::{Played, play_all};

fn agree(p: Played<'_>) {
    assert_eq!(p.kernel, p.model, "\n{}\n{}", p.setup, p.scenario);
}

fn every(events: usize, policies: &[Policy]) -> impl Iterator<Item = (Setup, Scenario)> + Send {
    let setups: Vec<Setup> =
        policies.iter().flat_map(|policy| Program::presets().map(|program| Setup::new(program, *policy))).collect();
    setups.into_iter().flat_map(move |setup| {
        enumerate(events, 3, Enumerate::plain_actions(), vec![]).map(move |scenario| (setup.clone(), scenario))
    })
}

#[test]
fn every_scenario_of_up_to_five_events_under_default() {
    let played = play_all(every(5, &[Policy::Default]), agree);
    println!("{played} scenarios");
}
#[test]
fn every_scenario_of_up_to_four_events_under_each_handled_policy() {
    let played = play_all(every(4, &Policy::HANDLED), agree);
    println!("{played} scenarios");
}
