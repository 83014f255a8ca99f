//! Runs whose traces come from the model, with another outcome where a kernel that deviates is to be played.

use super::*;
use crate::oracle::tests::{DEATH, setup, trace};
use crate::trace::{Hygiene, Survivor, TcpState};

/// The kind that [`judge`] gives to a run in which both worlds produced the same trace. If `outcome` is given, it replaces the outcome of
/// that trace.
fn kind(text: &str, setup: &Setup, outcome: Option<Outcome>) -> Option<Kind> {
    let (scenario, mut trace) = trace(text, setup);
    trace.finish(outcome.unwrap_or(trace.outcome()));
    judge(&scenario, setup, &trace, &trace).map(|f| f.kind())
}

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
        (finding.kind(), finding.compared.unwrap().difference.is_some())
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
    assert_eq!(finding.kind(), Kind::Disagreement);
    let difference = finding.compared.unwrap().difference.unwrap();
    assert_eq!((difference.at, difference.what), (Some(At::Event(4)), What::Call(4)));
    assert_eq!(
        difference.to_string(),
        "at event 4, the server's call number 5 there: the kernel has `no call`, the model has `recv b 0`"
    );
}
