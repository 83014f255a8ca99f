//! Property 1, *agreement*: for every scenario, program and policy the kernel's trace equals the model's. Exhaustively up to a
//! length, and over random scenarios of the whole alphabet.

mod common;

use brokenpipe::{Enumerate, Policy, Program, Random, Scenario, Setup, Shape, enumerate};
use common::{Played, play_all};

fn agree(p: Played<'_>) {
    assert_eq!(p.kernel, p.model, "\n{}\n{}", p.setup, p.scenario);
}

/// Every preset under every one of `policies`.
fn setups(policies: &[Policy]) -> Vec<Setup> {
    policies.iter().flat_map(|policy| Program::presets().map(|program| Setup::new(program, *policy))).collect()
}

/// Every scenario of up to `events` events and three clients over connect, send 5, recv, fin, close and rst.
fn every(events: usize, policies: &[Policy]) -> impl Iterator<Item = (Setup, Scenario)> + Send {
    setups(policies).into_iter().flat_map(move |setup| {
        enumerate(events, 3, Enumerate::plain_actions(), vec![]).map(move |scenario| (setup.clone(), scenario))
    })
}

#[test]
fn every_scenario_of_up_to_five_events_under_default() {
    assert_eq!(play_all(every(5, &[Policy::Default]), agree), every(5, &[Policy::Default]).count());
}

#[test]
fn every_scenario_of_up_to_four_events_under_each_handled_policy() {
    assert_eq!(play_all(every(4, &Policy::HANDLED), agree), every(4, &Policy::HANDLED).count());
}

#[test]
fn twenty_thousand_random_scenarios_over_the_whole_alphabet() {
    let shape = Shape { clients: 6, min_events: 6, max_events: 24, ..Shape::default() };
    let setups = setups(&Policy::ALL);
    let runs = Random::new(1, shape).take(20_000).enumerate();
    let played = play_all(runs.map(|(k, scenario)| (setups[k % setups.len()].clone(), scenario)), agree);
    assert_eq!(played, 20_000);
}
