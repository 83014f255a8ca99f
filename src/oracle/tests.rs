use super::*;
use crate::world::{certain, play};

fn setup(program: &str, policy: Policy) -> Setup {
    Setup::new(program.parse().unwrap(), policy)
}

fn trace(scenario: &str, setup: &Setup) -> (Scenario, Trace) {
    let scenario: Scenario = scenario.parse().unwrap();
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), setup, &scenario, &mut trace));
    (scenario, trace)
}

/// The kind that [`judge`] gives to a run in which both worlds produced the same trace. If `outcome` is given, it replaces the outcome of
/// that trace.
fn kind(text: &str, setup: &Setup, outcome: Option<Outcome>) -> Option<Kind> {
    let (scenario, mut trace) = trace(text, setup);
    trace.finish(outcome.unwrap_or(trace.outcome()));
    judge(&scenario, setup, &trace, &trace).map(|f| f.kind)
}

const DEATH: &str = "a connect; b connect; b fin; b rst; a close";

#[test]
fn a_predicted_death_is_a_death_and_a_handled_one_is_worse() {
    assert_eq!(kind(DEATH, &Setup::default(), None), Some(Kind::Death));
    let outcome = Outcome::Killed { signal: Signal::SIGPIPE, at: At::Event(4) };
    assert_eq!(kind(DEATH, &setup("greeter", Policy::Ignore), Some(outcome)), Some(Kind::HandledDeath));
    assert!(Kind::HandledDeath < Kind::Death);
}

#[test]
fn any_other_end_is_a_wrong_end() {
    let at = At::Event(0);
    let ends = [
        Outcome::Exited { code: 0, at },
        Outcome::Stuck { at },
        Outcome::Killed { signal: Signal::from_raw(libc::SIGSEGV), at },
    ];
    for end in ends {
        assert_eq!(kind("a connect", &Setup::default(), Some(end)), Some(Kind::WrongEnd), "{end}");
    }
}

#[test]
fn a_wrong_end_is_one_although_the_model_goes_on_but_not_if_something_was_wrong_before() {
    let greeter = Setup::default();
    let (scenario, model) = trace("a connect; a fin; b connect", &greeter);
    let at = At::Event(0);
    // Judges a trace cut to its first step and `calls` calls, as if the server had ended there with `outcome`.
    let judged = |trace: &Trace, calls: usize, outcome| {
        let first = trace.steps().next().unwrap();
        let mut cut = Trace::default();
        first.calls[..calls].iter().for_each(|called| cut.push_call(*called, None));
        let closed = |out: &mut Vec<_>| {
            out.push((Client::nth(0), TcpState::Close));
            Ok::<(), ()>(())
        };
        cut.push_step(at, first.reply, closed).unwrap();
        cut.finish(outcome);
        let finding = judge(&scenario, &greeter, &cut, &model).unwrap();
        (finding.kind, finding.difference.is_some())
    };
    let exited = Outcome::Exited { code: 3, at };
    for calls in 0..=2 {
        assert_eq!(judged(&model, calls, exited), (Kind::WrongEnd, false), "{calls}");
    }
    let sigpipe = Outcome::Killed { signal: Signal::SIGPIPE, at };
    assert_eq!(judged(&model, 2, sigpipe), (Kind::Disagreement, true));
    // The third call of this trace is a call that the greeter does not make there.
    let (_, other) = trace("a connect", &setup("accept; send 26; shutdown; close", Policy::Default));
    assert_eq!(judged(&other, 3, exited), (Kind::Disagreement, true));
}

#[test]
fn a_clean_survivor_is_no_finding() {
    for policy in Policy::ALL {
        assert_eq!(kind("a connect; b connect; a rst", &setup("greeter", policy), None), None);
    }
}

#[test]
fn a_survivor_may_wait_only_on_a_client_that_vanished() {
    let greeter = Setup::default();
    assert_eq!(kind("a connect; a vanish", &greeter, None), None);
    let waits = Outcome::Survived(Survivor { waits_on: Some(Client::nth(0)), ..Survivor::default() });
    assert_eq!(kind("a connect; a vanish", &greeter, Some(waits)), None);
    assert_eq!(kind("a connect", &greeter, Some(waits)), Some(Kind::Hygiene));
    // A client cannot vanish after its close: that event did nothing.
    assert_eq!(kind("a connect; a close; a vanish", &greeter, Some(waits)), Some(Kind::Hygiene));
}

#[test]
fn each_thing_left_behind_is_a_matter_of_hygiene() {
    let survived = |hygiene| Some(Outcome::Survived(Survivor::at_accept(false, hygiene)));
    for hygiene in [
        Hygiene { descriptors: 1, ..Hygiene::CLEAN },
        Hygiene { close_wait: 1, ..Hygiene::CLEAN },
        Hygiene { served: false, ..Hygiene::CLEAN },
    ] {
        assert_eq!(kind("a connect", &Setup::default(), survived(hygiene)), Some(Kind::Hygiene), "{hygiene:?}");
    }
    let pending = Some(Outcome::Survived(Survivor::at_accept(true, Hygiene::CLEAN)));
    assert_eq!(kind("a connect", &setup("greeter", Policy::Blocked), pending), None);
    assert_eq!(kind("a connect", &setup("greeter", Policy::Ignore), pending), Some(Kind::Hygiene));
}

#[test]
fn a_program_that_serves_nobody_need_not_serve_the_probe() {
    assert_eq!(kind("hold", &setup("accept; shutdown; send 1; close", Policy::Default), None), None);
}

#[test]
fn traces_that_differ_disagree_whatever_else_is_wrong() {
    let (scenario, kernel) = trace(DEATH, &Setup::default());
    let (_, model) = trace(DEATH, &setup("greeter", Policy::Ignore));
    let finding = judge(&scenario, &Setup::default(), &kernel, &model).unwrap();
    assert_eq!(finding.kind, Kind::Disagreement);
    let difference = finding.difference.unwrap();
    assert_eq!((difference.at, difference.what), (Some(At::Event(4)), What::Call(4)));
    assert_eq!(
        difference.to_string(),
        "at event 4, the server's call number 5 there: the kernel has `no call`, the model has `recv b 0`"
    );
}

#[test]
fn the_first_difference_is_told_for_each_part_of_a_step() {
    let first = |one: &str, other: &str| {
        let (one, other) = (trace(one, &Setup::default()).1, trace(other, &Setup::default()).1);
        assert_eq!(compare(&one, &one), None);
        compare_runs(&one, &other).unwrap().to_string()
    };
    assert_eq!(
        first("a connect; a fin", "a connect; a connect"),
        "at event 1, the event's own result: the first run has `0`, the second run has `nothing: already connected`"
    );
    assert_eq!(
        first("hold; a connect", "hold; b connect"),
        "at event 1, the TCP states afterwards: the first run has `a ESTABLISHED`, the second run has `b ESTABLISHED`"
    );
    assert_eq!(
        first("hold", "hold; hold"),
        "at teardown go, the step itself: the first run has `teardown go`, the second run has `event 1`"
    );
    assert_eq!(
        first("", "hold"),
        "at event 0, the step itself: the first run has `nothing more`, the second run has `event 0`"
    );
}

#[test]
fn survivors_differ_in_words() {
    let (_, one) = trace("a connect", &Setup::default());
    let mut other = one.clone();
    other
        .finish(Outcome::Survived(Survivor::at_accept(true, Hygiene { descriptors: 1, close_wait: 2, served: false })));
    assert_eq!(
        compare(&one, &other).unwrap().to_string(),
        "at the end, the outcome: the kernel has `survived`, the model has `survived, a SIGPIPE pending, \
         descriptors left open: 1, sockets left in CLOSE_WAIT: 2, a fresh client not served`"
    );
    other.finish(Outcome::Exited { code: 3, at: At::Event(0) });
    assert!(compare(&one, &other).unwrap().to_string().ends_with("the model has `exited with 3 at 0`"));
}

#[test]
fn policies_are_compared_up_to_the_first_broken_send() {
    for program in ["greeter", "double-greeter", "accept; shutdown; send 1; close"] {
        for scenario in [DEATH, "a connect; a rst", "hold; a connect; a rst; go", "hold"] {
            let traces = Policy::ALL.map(|policy| (policy, trace(scenario, &setup(program, policy)).1));
            let borrowed: Vec<(Policy, &Trace)> = traces.iter().map(|(policy, trace)| (*policy, trace)).collect();
            assert_eq!(compare_policies(&borrowed), None, "{program}: {scenario}");
        }
    }
    let (one, other) = (trace("a connect", &Setup::default()).1, trace("b connect", &Setup::default()).1);
    let difference = compare_policies(&[(Policy::Default, &one), (Policy::Ignore, &other)]).unwrap();
    assert!(difference.to_string().contains("default has `accept a`, ignore has `accept b`"), "{difference}");
    assert_eq!(compare_policies(&[]), None);
}

#[test]
fn every_kind_has_a_name_of_its_own_and_the_worst_comes_first() {
    assert!(Kind::ALL.is_sorted());
    let mut names = Kind::ALL.map(Kind::name);
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b));
}

#[test]
fn the_first_difference_is_told_with_its_round() {
    let greeter = Setup::default();
    let (one, other) = (trace("repeat 9 { a connect }", &greeter).1, trace("repeat 7 { a connect }", &greeter).1);
    assert_eq!(
        compare_runs(&one, &other).unwrap().to_string(),
        "at event 0.7.0, the step itself: the first run has `event 0.7.0`, the second run has `teardown a`"
    );
}

#[test]
fn policies_are_compared_up_to_the_first_broken_send_in_a_block_too() {
    for scenario in
        ["repeat 9 { a connect; a fin; hold; b connect; b fin; b rst; go }", "hold; repeat 5 { a connect; a close }"]
    {
        let setups = Policy::ALL.map(|policy| (policy, setup("double-greeter", policy)));
        let traces = setups.map(|(policy, setup)| (policy, trace(scenario, &setup).1));
        let borrowed: Vec<(Policy, &Trace)> = traces.iter().map(|(policy, trace)| (*policy, trace)).collect();
        assert!(traces[0].1.outcome().at().is_some(), "{scenario}");
        assert_eq!(compare_policies(&borrowed), None, "{scenario}");
    }
}
