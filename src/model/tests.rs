//! The model against the rows of the kernel notes, by its own word alone; the kernel's word is in `tests/`.

use super::*;
use crate::play::play;
use crate::trace::Trace;

fn trace(program: &str, policy: Policy, scenario: &str) -> Trace {
    let scenario: crate::Scenario = scenario.parse().unwrap();
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), &Setup::new(program.parse().unwrap(), policy), &scenario, &mut trace));
    trace
}

fn calls(trace: &Trace) -> String {
    trace.calls().iter().map(Called::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_client_reset_in_close_wait_while_queued_kills_the_greeter() {
    let t = trace("greeter", Policy::Default, "a connect; b connect; b fin; b rst; a close");
    assert_eq!(t.outcome().to_string(), "killed by SIGPIPE at 4");
    assert_eq!(calls(&t), "accept a; send a 26; recv a ECONNRESET; close a; accept b; send b EPIPE SIGPIPE");
}

#[test]
fn a_client_reset_before_its_fin_does_not() {
    let t = trace("greeter", Policy::Default, "a connect; b connect; b rst; a close");
    assert_eq!(t.outcome().kind(), "survived");
    assert!(calls(&t).contains("send b ECONNRESET"), "{}", calls(&t));
}

#[test]
fn the_error_is_reported_once_and_the_next_send_is_broken() {
    let t = trace("double-greeter", Policy::Ignore, "hold; a connect; a rst; go");
    assert_eq!(calls(&t), "accept a; send a ECONNRESET; send a EPIPE SIGPIPE; recv a 0; close a");
}

#[test]
fn a_server_that_waits_on_a_vanished_client_says_on_whom() {
    let t = trace("greeter", Policy::Default, "a connect; b connect; a vanish");
    assert!(matches!(t.outcome(), crate::Outcome::Survived(s) if s.waits_on == Some(Client::nth(0))));
}

#[test]
fn a_program_that_sends_after_its_own_shutdown_serves_nobody_under_default() {
    let t = trace("accept; shutdown; send 1; close", Policy::Default, "hold");
    assert!(matches!(t.outcome(), crate::Outcome::Survived(s) if s.hygiene.is_some_and(|h| !h.served)));
}

#[test]
fn a_server_waits_when_the_window_is_full_and_a_client_does_nothing() {
    let program = "accept; send 16384; send 16384; send 1; close";
    let t = trace(program, Policy::Ignore, "a connect; a recv; b connect; b send 16384; b send 16384; b send 1");
    assert_eq!(t.steps().next().map(|s| s.calls.len()), Some(3));
    let sent = trace("farewell", Policy::Ignore, "hold; a connect; a send 16384; a send 16384; a send 1");
    assert_eq!(sent.steps().nth(4).map(|s| s.reply), Some(Reply::Nothing(Reason::Full)));
}
