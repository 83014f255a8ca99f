use super::*;
use crate::world::{certain, play};

pub(crate) fn setup(program: &str, policy: Policy) -> Setup {
    Setup::new(program.parse().unwrap(), policy)
}

pub(crate) fn trace(scenario: &str, setup: &Setup) -> (Scenario, Trace) {
    let scenario: Scenario = scenario.parse().unwrap();
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), setup, &scenario, &mut trace));
    (scenario, trace)
}

pub(crate) const DEATH: &str = "a connect; b connect; b fin; b rst; a close";

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
