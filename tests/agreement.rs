//! Property 1, *agreement*: for every scenario, program and policy the kernel's trace equals the model's. It is tested exhaustively for
//! short scenarios, and with random scenarios of all events.
//!
//! The exhaustive part is a test for each program, so that `cargo nextest run --partition slice:1/3` can divide it. As an indexed job (see
//! `Shard::from_env`) each test plays its share.

mod common;

use brokenpipe::{Enumerate, Policy, Program, Random, Scenario, Setup, Shape, Shard, enumerate};
use common::{Played, play_all};

fn agree(p: Played<'_>) {
    assert_eq!(p.kernel, p.model, "\n{}\n{}", p.setup, p.scenario);
}

/// Plays this job's share of the runs, and checks that each was played. `total` is the expected number of runs of all jobs.
fn all_agree(total: usize, runs: impl Iterator<Item = (Setup, Scenario)> + Clone) {
    let shard = Shard::from_env().expect("a shard");
    println!("shard {shard}");
    assert_eq!(runs.clone().count(), total, "the number of runs in all");
    assert_eq!(play_all(|| shard.part(runs.clone()), agree), shard.part(runs).count());
}

/// The number of scenarios of up to five events, and of up to four. `brokenpipe enumerate --events 5 --clients 3` lists them.
const OF_FIVE: usize = 6_003;
const OF_FOUR: usize = 567;

/// Every scenario of up to `events` events and three clients over connect, send 5, recv, fin, close and rst.
fn every(
    events: usize,
    program: &'static str,
    policies: &'static [Policy],
) -> impl Iterator<Item = (Setup, Scenario)> + Clone {
    let program: Program = program.parse().expect("a preset");
    policies.iter().flat_map(move |policy| {
        let setup = Setup::new(program.clone(), *policy);
        enumerate(events, 3, Enumerate::plain_actions(), vec![]).map(move |scenario| (setup.clone(), scenario))
    })
}

/// The exhaustive tests of one preset.
macro_rules! exhaustive {
    ($($name:ident $preset:literal)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn every_scenario_of_up_to_five_events_under_default() {
                all_agree(OF_FIVE, every(5, $preset, &[Policy::Default]));
            }

            #[test]
            fn every_scenario_of_up_to_four_events_under_each_handled_policy() {
                all_agree(OF_FOUR * Policy::HANDLED.len(), every(4, $preset, &Policy::HANDLED));
            }
        }
    )*};
}

exhaustive! {
    greeter "greeter"
    echo "echo"
    double_greeter "double-greeter"
    late_greeter "late-greeter"
    careless "careless"
    farewell "farewell"
    greeter_echo "greeter-echo"
}

/// Each program under each policy.
fn setups() -> Vec<Setup> {
    Policy::ALL.iter().flat_map(|p| Program::presets().map(|program| Setup::new(program, *p))).collect()
}

fn random(seed: u64, count: usize, shape: Shape) -> impl Iterator<Item = (Setup, Scenario)> + Clone {
    let (setups, runs) = (setups(), Random::new(seed, shape).take(count).enumerate());
    runs.map(move |(k, scenario)| (setups[k % setups.len()].clone(), scenario))
}

#[test]
fn twenty_thousand_random_scenarios_over_the_whole_alphabet() {
    let shape = Shape { clients: 6, min_events: 6, max_events: 24, ..Shape::default() };
    all_agree(20_000, random(1, 20_000, shape));
}

#[test]
fn ten_thousand_random_scenarios_with_blocks() {
    let shape = Shape { clients: 4, min_events: 2, max_events: 12, repeats: true, ..Shape::default() };
    all_agree(10_000, random(2, 10_000, shape));
}

#[test]
fn two_hundred_random_scenarios_in_which_time_passes() {
    let shape = Shape { clients: 3, min_events: 4, max_events: 12, waits: true, ..Shape::default() };
    all_agree(200, random(3, 200, shape));
}

/// Blocks of the maximum number of rounds, or of as many as take a second. Their clients are served, wait in the accept queue, keep the
/// server occupied, or vanish.
#[test]
fn ten_thousand_rounds() {
    let scenarios = [
        "repeat 10000 { a connect; a fin; a recv; a close }",
        "repeat 10000 { a connect; a fin; a rst; b connect; b close }",
        "a connect; repeat 200 { a urgent; a send 3 }; a recv",
        "a connect; repeat 10000 { b connect; b urgent; b rst; a send 1 }",
        "hold; a connect; repeat 10000 { b connect; b fin }; a fin; go; b recv",
        "repeat 10000 { a connect; a vanish; b connect; b close }",
    ];
    let programs = ["greeter", "echo", "careless", "farewell"];
    let total = scenarios.len() * programs.len();
    let runs = scenarios.into_iter().flat_map(|scenario| {
        let scenario: Scenario = scenario.parse().expect(scenario);
        programs
            .into_iter()
            .map(move |program| (Setup::new(program.parse().expect("a preset"), Policy::Ignore), scenario.clone()))
    });
    all_agree(total, runs);
}
