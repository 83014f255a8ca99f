//! The model alone, at full speed: whatever the input, it does not panic, and what brokenpipe says of scenarios in general holds.
//!
//! Checks that cost much more than a run are made of one input in many, chosen by the input's own bytes.
#![no_main]

use brokenpipe::{At, Death, Enumerate, Event, Input, Model, Outcome, Policy, Scenario, Setup, Signal, Trace};
use brokenpipe::{compare_policies, enumerate, judge, minimise_death, play};
use brokenpipe_fuzz::{is_short, lot, mutate};
use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::cell::RefCell;

/// One input in so many is played under every policy.
const POLICIES: u64 = 16;
/// One input in so many is printed and parsed, encoded and decoded.
const TEXT: u64 = 16;
/// One in so many, if the server dies of it, is minimised.
const MINIMISE: u64 = 1024;
/// One in so many of those that are minimised is looked for among all shorter ones, if it has few enough events for that.
const ENUMERATE: u64 = 4;
const FEW_EVENTS: usize = 4;

#[derive(Default)]
struct Worlds {
    /// One for each policy: what a model knows of its setup it need not find out again as long as the program stays.
    models: [Model; Policy::ALL.len()],
    traces: [Trace; Policy::ALL.len()],
}

thread_local! {
    static WORLDS: RefCell<Worlds> = RefCell::default();
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let input = Input::decode(data);
    if !is_short(&input.scenario) {
        return Corpus::Reject;
    }
    let lot = lot(data);
    if lot.is_multiple_of(TEXT) {
        bytes(&input);
        text(&input);
    }
    WORLDS.with_borrow_mut(|worlds| worlds.check(&input, lot));
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed, fuzzer_mutate)
});

fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| {
    mutate::cross_over(data1, data2, out, seed)
});

/// An input's own bytes give it back, but for the names of its clients, which are then the first ones.
fn bytes(input: &Input) {
    let bytes = input.encode();
    let again = Input::decode(&bytes);
    assert_eq!(again.setup, input.setup);
    assert_eq!(again.scenario.events().len(), input.scenario.events().len(), "{input:?}");
    assert_eq!(again.encode(), bytes, "{input:?}");
}

/// What is printed is read back.
fn text(input: &Input) {
    let Input { setup, scenario } = input;
    assert_eq!(scenario.to_string().parse().as_ref(), Ok(scenario));
    assert_eq!(setup.program.to_string().parse().as_ref(), Ok(&setup.program));
    assert_eq!(setup.policy.name().parse().as_ref(), Ok(&setup.policy));
}

impl Worlds {
    fn check(&mut self, input: &Input, lot: u64) {
        let Input { setup, scenario } = input;
        let events = scenario.events().len();
        // Two of the five always, the input's own among them.
        let wanted = |policy| lot.is_multiple_of(POLICIES) || policy == Policy::Default || policy == setup.policy;
        let worlds = self.models.iter_mut().zip(&mut self.traces);
        for (policy, (model, trace)) in Policy::ALL.into_iter().zip(worlds).filter(|(policy, _)| wanted(*policy)) {
            let setup = Setup::new(setup.program.clone(), policy);
            let Ok(()) = play(model, &setup, scenario, trace);
            let steps = trace.steps().len();
            assert!(steps <= scenario.played() + scenario.clients().len() + 1, "{steps} steps\n{setup}\n{scenario}");
            assert!(steps >= events || trace.outcome().at().is_some(), "it ended early\n{setup}\n{scenario}");
            // A death is no finding here, and a finding takes a copy of all that there is to it.
            let dies =
                policy == Policy::Default && matches!(trace.outcome(), Outcome::Killed { signal: Signal::SIGPIPE, .. });
            let finding = if dies { None } else { judge(scenario, &setup, trace, trace) };
            assert!(finding.is_none(), "{finding:?}\n{setup}\n{scenario}");
        }
        let [default, rest @ ..] = &self.traces;
        for (policy, trace) in Policy::HANDLED.into_iter().zip(rest).filter(|(policy, _)| wanted(*policy)) {
            let difference = compare_policies(&[(Policy::Default, default), (policy, trace)]);
            assert_eq!(difference, None, "`{}`\n{scenario}", setup.program);
        }
        if let (Some(death), true) = (Death::of(default), lot.is_multiple_of(MINIMISE)) {
            let setup = Setup::new(setup.program.clone(), Policy::Default);
            let small = minimal(&setup, scenario, death);
            if small.played() == small.events().len()
                && small.events().len() <= FEW_EVENTS
                && (lot / MINIMISE).is_multiple_of(ENUMERATE)
            {
                shortest(&setup, &small, death);
            }
        }
    }
}

fn trace(setup: &Setup, scenario: &Scenario) -> Trace {
    let mut trace = Trace::default();
    let Ok(()) = play(&mut Model::default(), setup, scenario, &mut trace);
    trace
}

/// What the minimiser makes of it dies of the same death, by its last event, and not with any one event removed. A name may be that of
/// several clients whom the teardown closes, which no event can: such a death may have no smaller form.
fn minimal(setup: &Setup, scenario: &Scenario, death: Death) -> Scenario {
    let mut model = Model::default();
    let small = minimise_death(scenario, setup, |s, trace| play(&mut model, setup, s, trace));
    let Some(small) = small.ok().flatten() else {
        let blocks = scenario.events().iter().any(|event| matches!(event, Event::Repeat(_)));
        assert!(blocks, "{setup}: no longer dies: {scenario}");
        return scenario.clone();
    };
    assert!(dies(setup, &small, death), "{setup}: `{scenario}` became `{small}`");
    let last = trace(setup, &small).outcome().at().and_then(At::event);
    assert_eq!(last, small.events().len().checked_sub(1), "{setup}: more than needed: {small}");
    for i in 0..small.events().len() {
        let mut events = small.events().to_vec();
        events.remove(i);
        let fewer = Scenario::new(events).unwrap_or_default();
        assert!(!dies(setup, &fewer, death), "{setup}: `{small}` dies without event {i} too");
    }
    small
}

/// Whether it dies of this before its teardown.
fn dies(setup: &Setup, scenario: &Scenario, death: Death) -> bool {
    let trace = trace(setup, scenario);
    trace.outcome().at().is_some_and(|at| at.event().is_some()) && Death::of(&trace) == Some(death)
}

/// No plain scenario of fewer events dies of it.
fn shortest(setup: &Setup, small: &Scenario, death: Death) {
    let fewer = enumerate(small.events().len() - 1, 3, Enumerate::plain_actions(), vec![]);
    for scenario in fewer {
        assert!(!dies(setup, &scenario, death), "{setup}: `{small}` is longer than `{scenario}`");
    }
}
