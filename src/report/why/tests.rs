//! Explanations, compared with the expected text.

use super::super::tests::{setup, trace};
use super::*;
use crate::scenario::Event;
use crate::trace::At;

/// The explanation of a run, without the full stop. `outcome` replaces the outcome of the run.
fn told(program: &str, policy: Policy, scenario: &str, outcome: Option<Outcome>) -> String {
    let setup = setup(program, policy);
    let (scenario, mut trace) = trace(scenario, &setup);
    trace.finish(outcome.unwrap_or(trace.outcome()));
    why(&scenario, &setup, &trace).trim_end_matches('.').to_owned()
}

/// The part of the explanation that says why the send failed that killed the server.
fn broke(program: &str, scenario: &str) -> String {
    let told = told(program, Policy::Default, scenario, None);
    told.strip_suffix(", and SIGPIPE's default action kills the server").expect(&told).to_owned()
}

#[test]
fn a_reset_in_close_wait_leaves_epipe() {
    assert_eq!(
        broke("greeter", "hold; a connect; a fin; a rst; go"),
        "a half-closed, so its connection waited in the accept queue in CLOSE_WAIT; its RST there leaves EPIPE, not \
         ECONNRESET, so the server's very first send to a is a broken pipe"
    );
    assert_eq!(
        broke("greeter-echo", "a connect; hold; a send 5; a recv; a fin; a rst"),
        "a half-closed, so its connection was in CLOSE_WAIT; its RST there leaves EPIPE, not ECONNRESET, so the server's \
         next send to a is a broken pipe"
    );
    assert_eq!(
        broke("greeter-echo", "a connect; hold; a send 5; a fin; a close; go"),
        "a half-closed, so its connection was in CLOSE_WAIT; its close with data unread sends an RST, which there leaves \
         EPIPE, not ECONNRESET, so the server's next send to a is a broken pipe"
    );
}

#[test]
fn an_error_is_reported_once_and_the_next_send_breaks() {
    assert_eq!(
        broke("double-greeter", "hold; a connect; a rst; go"),
        "a's RST left ECONNRESET, which the server's send reported; an error is reported only once, so the server's next \
         send to a is a broken pipe"
    );
    assert_eq!(
        broke("farewell", "a connect; a rst"),
        "a's RST left ECONNRESET, which the server's recv reported; an error is reported only once, so the server's next \
         send to a is a broken pipe"
    );
    assert_eq!(
        broke("accept; send 26; recv-all; send 1; close", "a connect; a close"),
        "a closed with data unread, which sends an RST and leaves ECONNRESET, which the server's recv reported; an error \
         is reported only once, so the server's next send to a is a broken pipe"
    );
}

#[test]
fn an_injected_error_was_never_on_the_socket() {
    assert_eq!(
        broke("double-greeter", "hold; a connect; a fin; a rst; fault send ECONNRESET; go"),
        "a half-closed, so its connection waited in the accept queue in CLOSE_WAIT; its RST there leaves EPIPE, not \
         ECONNRESET, so the server's next send to a is a broken pipe"
    );
}

#[test]
fn the_first_send_to_a_peer_that_closed_draws_the_reset() {
    assert_eq!(
        broke("double-greeter", "hold; a connect; a close; go"),
        "a had closed: the server's first send to it was still taken but drew an RST, so the server's next send to a is a \
         broken pipe"
    );
    assert!(broke("double-greeter", "hold; a connect; a fin; a close; go").starts_with("a had closed: "));
}

#[test]
fn a_server_that_shut_down_its_side_breaks_its_own_pipe() {
    assert_eq!(
        broke("accept; shutdown; send 1; close", "a connect"),
        "the server had shut down its own sending side of a's connection, so its very first send to a is a broken pipe, \
         whatever a does"
    );
    assert_eq!(
        broke("accept; send 1; shutdown; recv-all; send 1; close", "a connect; a fin"),
        "the server had shut down its own sending side of a's connection, and a had sent its FIN too: with both FINs done \
         the state is CLOSE, so the server's next send to a is a broken pipe"
    );
}

#[test]
fn a_survivor_is_told_what_saved_it() {
    const DEATH: &str = "a connect; b connect; b fin; b rst; a close";
    for (policy, saved) in [
        (Policy::Ignore, "SIGPIPE is ignored, so it only fails with EPIPE; it is back at accept, with nothing left"),
        (Policy::Handler, "SIGPIPE has a handler that returns"),
        (Policy::NoSignal, "MSG_NOSIGNAL keeps SIGPIPE away"),
        (Policy::Blocked, "the signal stays pending; it is back at accept, a SIGPIPE pending"),
    ] {
        let told = told("greeter", policy, DEATH, None);
        assert!(told.starts_with("survived: b half-closed") && told.contains(saved), "{told}");
    }
    assert_eq!(
        told("greeter", Policy::Default, "hold; a connect; a rst; go", None),
        "survived: a's RST left ECONNRESET, which the server's send took without a signal, and no send followed; it is \
         back at accept, with nothing left behind"
    );
    assert_eq!(
        told("greeter", Policy::Default, "a connect; a recv; a close", None),
        "survived: no send met a connection that was gone; it is back at accept, with nothing left behind"
    );
}

#[test]
fn a_survivor_that_waits_is_told_on_whom_and_whether_it_may() {
    assert!(
        told("greeter", Policy::Default, "a connect; a vanish", None)
            .ends_with("it waits on a, which vanished, so nothing will ever come")
    );
    let waits = Outcome::Survived(Survivor { waits_on: Some(Client::nth(0)), ..Survivor::default() });
    assert!(
        told("greeter", Policy::Default, "a connect", Some(waits)).ends_with("but it waits on a, which never vanished")
    );
}

#[test]
fn every_other_end_is_told_with_the_call_before_it() {
    let at = At::Event(0);
    let ended = |outcome, scenario| told("accept; send 26; recv-all; close", Policy::Default, scenario, Some(outcome));
    let exited = ended(Outcome::Exited { code: 3, at }, "a connect; a vanish");
    assert!(exited.starts_with("the server ended by itself, with code 3, after `send a 26`"), "{exited}");
    let stuck = ended(Outcome::Stuck { at }, "");
    assert!(stuck.contains("within its bound before its first call"), "{stuck}");
    let crashed = ended(Outcome::Killed { signal: Signal::from_raw(libc::SIGSEGV), at }, "a connect; a vanish");
    assert!(crashed.starts_with("SIGSEGV killed the server after `send a 26`"), "{crashed}");
    let unseen = ended(Outcome::Killed { signal: Signal::SIGPIPE, at }, "a connect; a vanish");
    assert!(unseen.contains("none of its sends was seen to break"), "{unseen}");
}

#[test]
fn a_death_under_a_handled_policy_names_the_policy() {
    let killed = Outcome::Killed { signal: Signal::SIGPIPE, at: At::Event(4) };
    let told = told("greeter", Policy::Handler, "hold; a connect; a fin; a rst; go", Some(killed));
    assert!(told.ends_with("and SIGPIPE kills the server although its policy is handler"), "{told}");
}

#[test]
fn no_death_that_the_model_knows_is_without_a_reason() {
    let actions = crate::Enumerate::plain_actions();
    for program in crate::Program::presets() {
        let setup = Setup::new(program, Policy::Default);
        for scenario in crate::enumerate(5, 2, actions.clone(), vec![Event::Hold, Event::Go]) {
            let (scenario, trace) = trace(&scenario.to_string(), &setup);
            let told = why(&scenario, &setup, &trace);
            let killed = matches!(trace.outcome(), Outcome::Killed { .. });
            assert!(!killed || told.contains(" is a broken pipe, and SIGPIPE's default action"), "{scenario}: {told}");
        }
    }
}

#[test]
fn clients_of_one_name_are_told_apart() {
    // Several connections have the name `a`: each explanation follows from what that connection did itself.
    assert_eq!(
        broke("double-greeter", "hold; repeat 3 { a connect; a close }; a rst; go"),
        "a had closed: the server's first send to it was still taken but drew an RST, so the server's next send to a is a \
         broken pipe"
    );
    assert_eq!(
        broke("greeter", "b connect; repeat 2 { a connect }; a fin; a rst; b fin; wait 1ms"),
        "a half-closed, so its connection waited in the accept queue in CLOSE_WAIT; its RST there leaves EPIPE, not \
         ECONNRESET, so the server's very first send to a is a broken pipe"
    );
}

#[test]
fn a_trace_that_the_model_does_not_predict_is_explained_by_its_own_calls() {
    let scenario = "hold; a connect; b connect; a fin; a rst; b fin; b rst; go";
    // The kernel's server is killed at the first broken send, although its policy handles SIGPIPE. The model has two of them.
    let (parsed, died) = trace(scenario, &setup("greeter", Policy::Default));
    let told = why(&parsed, &setup("greeter", Policy::Ignore), &died);
    assert!(told.starts_with("a half-closed") && told.ends_with("although its policy is ignore."), "{told}");
    // In the model nothing breaks.
    let (parsed, _) = trace("a connect", &setup("greeter", Policy::Default));
    let told = why(&parsed, &setup("greeter", Policy::Default), &died);
    assert!(told.starts_with("the server's send to a is a broken pipe, for which the model has no cause"), "{told}");
}
