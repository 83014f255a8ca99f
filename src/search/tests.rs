//! Tests of the search with the model in place of the kernel. The tests in `tests/` use the kernel.

use super::*;
use crate::world::{certain, play};
use crate::{Action, Client, Enumerate, Event, Model, PRESETS, Payload, Policy, Scenario, Setup, Trace, enumerate};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

const PLAIN: Shape = Shape {
    clients: 3,
    min_events: 4,
    max_events: 8,
    vanish: false,
    hold: false,
    faults: false,
    urgent: false,
    stall: false,
    waits: false,
    repeats: false,
};
const LONG: Shape = Shape {
    clients: 4,
    max_events: 24,
    min_events: 2,
    vanish: true,
    hold: true,
    faults: true,
    urgent: true,
    stall: true,
    ..PLAIN
};

fn setup(program: &str) -> Setup {
    Setup::new(program.parse().unwrap(), Policy::Default)
}

fn scenario(text: &str) -> Scenario {
    text.parse().unwrap()
}

fn trace(setup: &Setup, scenario: &Scenario) -> Trace {
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), setup, scenario, &mut trace));
    trace
}

/// The minimised scenario. Scenarios are played against a server of `kernel`; the minimiser searches the model of a server of
/// `setup`.
fn minimal(scenario: &Scenario, setup: &Setup, kernel: &Setup) -> Option<Scenario> {
    let mut model = Model::default();
    certain(minimise_death(scenario, setup, |s, t| play(&mut model, kernel, s, t)))
}

fn without(scenario: &Scenario, i: usize) -> Scenario {
    let mut events = scenario.events().to_vec();
    events.remove(i);
    Scenario::new(events).unwrap()
}

fn assert_minimal(setup: &Setup, small: &Scenario, death: Death) {
    let end = trace(setup, small);
    assert!(death.comes_early(&end), "{small}: {}", end.outcome());
    assert_eq!(end.outcome().at(), Some(crate::At::Event(small.events().len() - 1)), "{small}");
    for i in 0..small.events().len() {
        assert!(!death.comes_early(&trace(setup, &without(small, i))), "{small} without its event {i}");
    }
}

#[test]
fn whatever_kills_a_program_comes_down_to_one_minimal_scenario_for_each_death() {
    let expected = BTreeMap::from([
        ("greeter", "a connect; b connect; b fin; b rst; a fin"),
        ("echo", "a connect; b connect; b send 1; b fin; b rst; a fin"),
        ("double-greeter", "a connect; b connect; b close; a fin"),
        ("late-greeter", "a connect; b connect; b send 1; b close; a send 1"),
        ("careless", "a connect; a close"),
        ("farewell", "a connect; a rst"),
        ("greeter-echo", "a connect; b connect; b send 1; b close; a fin"),
    ]);
    for (name, text) in PRESETS {
        let setup = setup(text);
        let mut deaths = 0;
        for scenario in Random::new(7, LONG).take(2_000).chain(Random::new(8, PLAIN).take(4_000)) {
            let Some(death) = Death::of(&trace(&setup, &scenario)) else { continue };
            let small = minimal(&scenario, &setup, &setup).unwrap();
            assert_eq!(small.to_string(), expected[name], "{name}: {scenario}");
            if deaths == 0 {
                assert_minimal(&setup, &small, death);
            }
            deaths += 1;
        }
        assert!(deaths >= 20, "{name} died {deaths} times");
    }
}

#[test]
fn the_minimal_scenario_is_the_first_of_an_enumeration_that_kills() {
    let actions = || -> Vec<Action> {
        let send = Payload::filling(1).map(Action::Send).unwrap();
        let smaller = |a| if matches!(a, Action::Send(_)) { send.clone() } else { a };
        Enumerate::plain_actions().into_iter().map(smaller).collect()
    };
    for (name, text) in PRESETS {
        let setup = setup(text);
        let dies = |s: &Scenario| matches!(trace(&setup, s).outcome().at(), Some(crate::At::Event(_)));
        // The echo needs six events, and with three clients there are too many scenarios of that length to enumerate.
        let first = enumerate(5, 3, actions(), vec![]).chain(enumerate(6, 2, actions(), vec![])).find(dies).unwrap();
        assert_eq!(minimal(&first, &setup, &setup), Some(first), "{name}");
    }
}

#[test]
fn what_the_teardown_did_is_written_out() {
    let greeter = Setup::default();
    for text in [
        "hold; a connect; a fin; a rst",
        "web connect; db connect; db fin; db rst",
        "a connect; b connect; b fin; b rst",
    ] {
        let small = minimal(&scenario(text), &greeter, &greeter).unwrap();
        assert_eq!(small.to_string(), "a connect; b connect; b fin; b rst; a fin", "{text}");
    }
    // If the model has no such death, the events of the teardown stay.
    let farewell = setup("farewell");
    let small = minimal(&scenario("hold; a connect; a fin; a rst"), &farewell, &greeter).unwrap();
    assert_eq!(small.to_string(), "hold; a connect; a fin; a rst; go");
}

#[test]
fn a_model_that_is_wrong_costs_the_canonical_form_and_nothing_else() {
    for (name, text) in PRESETS {
        let (kernel, model) = (setup(text), setup(if name == "careless" { "farewell" } else { "careless" }));
        for scenario in Random::new(9, LONG).take(400) {
            let Some(death) = Death::of(&trace(&kernel, &scenario)) else { continue };
            let small = minimal(&scenario, &model, &kernel).unwrap();
            assert_minimal(&kernel, &small, death);
            assert!(small.events().len() <= 8, "{name}: {small}");
        }
    }
}

#[test]
fn a_scenario_that_kills_nobody_has_no_minimal_form() {
    let greeter = Setup::default();
    assert_eq!(minimal(&scenario("a connect; b connect; b rst; a close"), &greeter, &greeter), None);
    let ignore = Setup::new(greeter.program, Policy::Ignore);
    assert_eq!(minimal(&scenario("a connect; b connect; b fin; b rst; a close"), &ignore, &ignore), None);
}

#[test]
fn any_property_is_minimised_to_the_fewest_the_earliest_and_the_smallest() {
    let big = |s: &Scenario| {
        let sends = |e: &&Event| matches!(e, Event::Client(_, Action::Send(p)) if p.len() >= 3);
        Ok::<_, Infallible>(s.events().iter().filter(sends).count() >= 2)
    };
    let long =
        scenario("web connect; hold; db send \"GET / HTTP/1.0\"; db vanish; web send 60; go; web send 1; web rst");
    assert_eq!(certain(minimise(&long, big)).to_string(), "a send 3; a send 3");
    let error = minimise(&long, |_| Err::<bool, _>("no kernel"));
    assert_eq!(error, Err("no kernel"));
}

#[test]
fn a_seed_gives_the_same_scenarios_again_and_each_by_its_number() {
    let random = Random::new(3, LONG);
    let listed: Vec<Scenario> = random.clone().take(500).collect();
    assert!(random.clone().take(500).eq(listed.iter().cloned()));
    assert!(listed.iter().enumerate().rev().all(|(k, s)| random.scenario(k as u64) == *s));
    for other in [Random::new(4, LONG), Random::new(2, LONG)] {
        assert!(other.take(500).filter(|s| listed.contains(s)).count() < 50);
    }
}

#[test]
fn random_scenarios_have_the_shape_that_was_asked_for() {
    let rows = |shape| {
        let mut rows = BTreeMap::<u8, usize>::new();
        for scenario in Random::new(5, shape).take(5_000) {
            assert!((shape.min_events..=shape.max_events).contains(&scenario.events().len()), "{scenario}");
            assert!(scenario.clients().len() <= shape.clients, "{scenario}");
            let mut connected = 0;
            let blocks = scenario.events().iter().filter(|event| matches!(event, Event::Repeat(_)));
            for event in blocks.chain(scenario.events().iter().flat_map(Event::parts)) {
                *rows.entry(event.row()).or_default() += 1;
                if let Event::Client(client, Action::Connect) = event {
                    assert!(*client <= Client::nth(connected), "{scenario}");
                    connected += usize::from(*client == Client::nth(connected));
                }
            }
        }
        rows
    };
    assert!(rows(LONG).into_keys().eq(0..13));
    assert!(rows(Shape { waits: true, repeats: true, ..LONG }).into_keys().eq(0..15));
    assert!(rows(PLAIN).into_keys().eq(0..6));
    assert!(rows(Shape { clients: 1, min_events: 1, max_events: 1, ..PLAIN }).contains_key(&0));
    assert_eq!(Random::new(0, Shape { max_events: 0, min_events: 0, ..PLAIN }).scenario(0), Scenario::default());
}

#[test]
fn a_server_that_is_held_is_mostly_let_go() {
    let is = |wanted: Event| move |s: &Scenario| s.events().iter().rposition(|e| *e == wanted);
    let held: Vec<Scenario> = Random::new(6, LONG).take(2_000).filter(|s| is(Event::Hold)(s).is_some()).collect();
    let let_go = held.iter().filter(|s| is(Event::Hold)(s) < is(Event::Go)(s)).count();
    assert!(let_go * 10 > held.len() * 9, "{let_go} of {}", held.len());
}

#[test]
fn one_in_two_hundred_random_scenarios_of_up_to_eight_events_kills_the_greeter() {
    for shape in [Shape::default(), PLAIN] {
        let kills = |s: &Scenario| trace(&Setup::default(), s).outcome().at().is_some();
        let deaths = Random::new(1, shape).take(20_000).filter(kills).count();
        assert!(deaths >= 100, "{deaths} in 20,000");
    }
}

#[test]
fn a_hunt_ends_at_its_first_finding_and_names_it_by_number() {
    let random = Random::new(0, PLAIN);
    let numbered = || Shard::new(1, 2).unwrap().numbers().map(|k| (k, random.scenario(k)));
    let judge =
        |_: &Scenario, kernel: &Trace, model: &Trace| (kernel != model).then_some(0).or(Death::of(kernel).map(|_| 1));
    let mut told = Vec::new();
    let watch = |played| {
        told.push(played);
        ControlFlow::Continue(())
    };
    let hunted = certain(hunt(&mut Model::default(), &Setup::default(), numbered(), judge, watch));
    let found = hunted.found.unwrap();
    assert_eq!((found.finding, found.number), (1, hunted.played * 2 - 1));
    assert_eq!(found.scenario, random.scenario(found.number));
    assert!(told.into_iter().eq(0..hunted.played));
}

#[test]
fn a_hunt_ends_when_its_watch_says_so_and_when_there_is_nothing_left() {
    let numbered = |n| (0..n).map(|k| (k, scenario("a connect")));
    let judge = |_: &Scenario, kernel: &Trace, _: &Trace| Death::of(kernel);
    let watch = |played| if played == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    for (there, played) in [(0, 0), (2, 2), (3, 3), (10, 3)] {
        let hunted = certain(hunt(&mut Model::default(), &Setup::default(), numbered(there), judge, watch));
        assert_eq!(hunted, Hunted { played, found: None });
    }
}

#[test]
fn blocks_are_cut_down_from_the_inside_then_dissolved_then_played_fewer_times() {
    // Fails if at least `n` clients connect, counted once for each round of a block.
    let connects = |n: usize| {
        move |s: &Scenario| {
            let count = |e: &Event| {
                let connects = e.parts().iter().filter(|e| matches!(e, Event::Client(_, Action::Connect))).count();
                if let Event::Repeat(repeat) = e { repeat.times() * connects } else { connects }
            };
            Ok::<_, Infallible>(s.events().iter().map(count).sum::<usize>() >= n)
        }
    };
    let long = scenario("hold; repeat 1000 { web connect; wait 300ms; web rst }; go; repeat 9 { db connect; db fin }");
    for (n, expected) in [
        (1, "a connect"),
        (2, "repeat 2 { a connect }"),
        (700, "repeat 700 { a connect }"),
        (1_001, "repeat 992 { a connect }; repeat 9 { a connect }"),
    ] {
        assert_eq!(certain(minimise(&long, connects(n))).to_string(), expected, "{n}");
    }
    let waits = |s: &Scenario| {
        let long = |e: &Event| matches!(e, Event::Wait(w) if w.as_millis() >= 100);
        Ok::<_, Infallible>(s.events().iter().flat_map(Event::parts).any(long))
    };
    let small = certain(minimise(&long, waits)).to_string();
    let millis: u16 = small.strip_prefix("wait ").and_then(|s| s.strip_suffix("ms")).unwrap().parse().unwrap();
    assert!((100..=114).contains(&millis), "{small}");
}

#[test]
fn a_death_in_a_block_comes_down_to_the_same_as_any_other() {
    let greeter = Setup::default();
    for text in [
        "repeat 9 { a connect; b connect; b fin; b rst; a close }",
        "repeat 50 { go; hold; a connect; a fin; a rst }",
        "a connect; repeat 3 { b connect; b fin; b rst }; a close",
    ] {
        let small = minimal(&scenario(text), &greeter, &greeter).unwrap();
        assert_eq!(small.to_string(), "a connect; b connect; b fin; b rst; a fin", "{text}");
    }
    // If the model has no such death, the block stays, with as few rounds as possible.
    let farewell = setup("farewell");
    let small = minimal(&scenario("repeat 50 { go; hold; a connect; a fin; a rst }"), &farewell, &greeter).unwrap();
    assert_eq!(small.to_string(), "repeat 2 { go; hold; a connect; a fin; a rst }");
    // A death that only the teardown can cause has no form without it.
    let double = setup("double-greeter");
    assert_eq!(minimal(&scenario("repeat 3 { a connect }"), &double, &double), None);
}

#[test]
fn a_fault_keeps_its_error_when_another_of_its_call_would_do() {
    let long: Scenario = "a connect; fault accept ECONNABORTED; b connect; a rst".parse().unwrap();
    let fails = |scenario: &Scenario| Ok::<_, std::convert::Infallible>(scenario.to_string().contains("fault accept"));
    assert_eq!(certain(minimise(&long, fails)).to_string(), "fault accept ECONNABORTED");
}
