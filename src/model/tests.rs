//! Tests of the model alone, against the rows of the kernel notes. The tests in `tests/` compare the model with the kernel.

use super::*;
use crate::trace::Trace;
use crate::world::play;

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

#[test]
fn an_urgent_byte_is_passed_over_stops_a_recv_and_counts_at_close() {
    let program = "accept; recv-all; close";
    for (scenario, expected) in [
        ("a connect; a urgent", "accept a"),
        ("a connect; a urgent; a send 3", "accept a; recv a 3"),
        ("hold; a connect; a send 3; a urgent; a send 2; go", "accept a; recv a 3; recv a 2"),
        ("hold; a connect; a send 3; a urgent; a send 2; a urgent; a send 1; go", "accept a; recv a 6; recv a 1"),
        ("hold; a connect; a urgent; a send 2; a urgent; a send 1; go", "accept a; recv a 2; recv a 1"),
        ("hold; a connect; a urgent; a fin; go", "accept a; recv a 0; close a"),
        ("hold; a connect; a send 1; a urgent; a rst; go", "accept a; recv a 1; recv a ECONNRESET; close a"),
    ] {
        let shown = calls(&trace(program, Policy::Ignore, scenario));
        assert!(shown.starts_with(expected), "{scenario}: {shown}");
    }
    let reset = Some(Reply::Received { bytes: 0, end: End::Error(Errno::ECONNRESET) });
    let recv = |scenario| trace("accept; close", Policy::Ignore, scenario).steps().nth(4).map(|s| s.reply);
    assert_eq!(recv("hold; a connect; a urgent; go; a recv"), reset);
    assert_eq!(recv("hold; a connect; hold; go; a recv"), Some(Reply::Received { bytes: 0, end: End::Eof }));
}

#[test]
fn a_client_that_stalls_reads_no_more() {
    let t = trace("greeter", Policy::Ignore, "a connect; a stall; a recv; a stall; a close");
    let replies: Vec<String> = t.steps().map(|s| s.reply.to_string()).collect();
    assert_eq!(replies, ["0", "0", "nothing: stalled", "nothing: stalled", "0"]);
    assert!(calls(&t).contains("recv a ECONNRESET"), "{}", calls(&t));
}

#[test]
fn each_round_has_new_clients_and_leaves_the_old_ones_to_the_teardown() {
    let t = trace("greeter", Policy::Ignore, "b connect; repeat 3 { b send 1; b connect; a connect }; b rst");
    let steps: Vec<String> = t.steps().map(|s| format!("{} {} {}", s.at, s.times, s.reply)).collect();
    let expected = [
        "0 1 0",
        "1.0.0 3 nothing: not connected",
        "1.0.1 3 0",
        "1.0.2 3 0",
        "2 1 0",
        "teardown a 1 0",
        "teardown b 1 0",
    ];
    assert_eq!(steps, expected);
    assert_eq!(t.calls().iter().filter(|c| c.call == Call::Accept).count(), 7);
    // After the block a name means the client of the last round.
    assert!(calls(&t).contains("accept b; send b ECONNRESET"), "{}", calls(&t));
    assert_eq!(t.unfolded().count(), 1 + 9 + 1 + 2);
}

#[test]
fn there_is_room_for_so_many_connections_and_for_the_probe() {
    let t = trace("greeter", Policy::Ignore, "repeat 70 { a connect; a vanish }");
    let full = |s: &crate::Step<'_>| s.reply == Reply::Nothing(Reason::Full);
    assert_eq!(t.unfolded().filter(full).count(), 70 - MAX_CLIENTS);
    let t = trace("greeter", Policy::Ignore, "repeat 70 { a connect; a rst }");
    assert!(matches!(t.outcome(), crate::Outcome::Survived(s) if s.hygiene == Some(Hygiene::CLEAN)));
    // A connection that is over makes room for a new one.
    assert_eq!(t.unfolded().filter(full).count(), 0);
}
