//! Diagrams, compared with the expected text.

use super::super::tests::{setup, trace};
use super::*;
use crate::scenario::{Call, Wait};
use crate::trace::{Called, Data, Detail};
use crate::{Policy, Setup};
use std::time::Duration;

fn ladder(scenario: &str, setup: &Setup) -> String {
    let (scenario, trace) = trace(scenario, setup);
    Ladder::new(&scenario, &trace).to_string()
}

fn width(ladder: &str) -> usize {
    ladder.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn the_gate_the_teardown_and_what_did_nothing_have_their_signs() {
    let setup = setup("double-greeter", Policy::Default);
    let scenario = "hold; hold; a connect; a send 5; a rst; fault accept EMFILE; step; a recv; d recv";
    let expected = "
   a               d                  server                 a's socket
────────────────────────────────────────────────────────────────────────
0                                     [hold]
1                                     [hold: already held]
2  connect                                                   ESTABLISHED
3  send 5                                                    │
4  rst                                                       CLOSE
5                                     [fault accept EMFILE]
6                                     [step]
                                      accept EMFILE
7  (recv: closed)
8                  (recv:
                    not connected)
── teardown ────────────────────────────────────────────────────────────
                                      [go]
                                      accept a
                                      send a ECONNRESET
                                    ✗ send a EPIPE SIGPIPE
                                    ✗ killed by SIGPIPE
";
    assert_eq!(format!("\n{}", ladder(scenario, &setup)), expected);
}

#[test]
fn three_clients_with_the_longest_cells_fit() {
    let setup = setup("accept; send 26; send 16384; close", Policy::Default);
    let scenario = "hold; a connect; a send \"GET / HTTP/1.0\\r\\n\"; b connect; b send 16384; c connect; c fin; c send 1; \
                    b connect; c rst; go; a recv; b recv; c recv";
    let text = ladder(scenario, &setup);
    assert!(width(&text) <= WIDTH, "{text}");
    for part in ["send \"GET / HTTP…", "send 16384", "= EPIPE", "(connect:", "c CLOSE_WAIT"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn many_clients_share_a_column() {
    let expected = "
   clients        server     sockets
──────────────────────────────────────────
0  a connect      accept a
                  send a 26  a ESTABLISHED
1  b connect                 b ESTABLISHED
2  c connect                 c ESTABLISHED
3  d connect                 d ESTABLISHED
4  e connect                 e ESTABLISHED
5  f connect                 f ESTABLISHED
6  b rst                     b CLOSE
7  a recv = 26
8  a vanish
── teardown ──────────────────────────────
   c close                   c CLOSE_WAIT
   d close                   d CLOSE_WAIT
   e close                   e CLOSE_WAIT
   f close                   f CLOSE_WAIT
──────────────────────────────────────────
                  survived waiting on a
";
    let scenario = "a connect; b connect; c connect; d connect; e connect; f connect; b rst; a recv; a vanish";
    assert_eq!(format!("\n{}", ladder(scenario, &Setup::default())), expected);
}

#[test]
fn every_end_is_marked() {
    let (scenario, survived) = trace("a connect", &Setup::default());
    let at = At::Event(0);
    for (outcome, mark) in [
        (Outcome::Exited { code: 3, at }, "✗ send a 26"),
        (Outcome::Exited { code: 3, at }, "✗ exited with 3"),
        (Outcome::Stuck { at }, "✗ stuck"),
    ] {
        let mut ended = Trace::default();
        for step in survived.steps().take(1) {
            step.calls.iter().for_each(|called| ended.push_call(*called, None));
            let sockets = |out: &mut Vec<_>| {
                out.extend_from_slice(step.sockets);
                fmt::Result::Ok(())
            };
            ended.push_step(step.at, step.reply, sockets).unwrap();
        }
        ended.finish(outcome);
        assert!(Ladder::new(&scenario, &ended).to_string().contains(mark), "{mark}");
    }
}

#[test]
fn nothing_at_all_is_drawn_too() {
    assert!(ladder("", &Setup::default()).ends_with("survived\n"));
    let (_, trace) = trace("a connect; b connect", &Setup::default());
    // A trace of another scenario must not cause a panic.
    assert!(Ladder::new(&Scenario::default(), &trace).to_string().contains("accept a"));
}

#[test]
fn rounds_that_went_the_same_are_drawn_once_and_so_are_calls() {
    let expected = "
        a        b                  server             a's socket   b's socket
───────────────────────────────────────────────────────────────────────────────
     0  connect                     accept a
        │                           send a 26          ESTABLISHED
── repeat 100: rounds 0 to 62 ×63 ─────────────────────────────────────────────
 1.0.0  │        connect                               │            ESTABLISHED
 1.0.1  │        fin                                   │            CLOSE_WAIT
── repeat 100: rounds 63 to 99 ×37 ────────────────────────────────────────────
1.63.0  │        (connect:                             │            │
        │         full)                                │            │
1.63.1  │        (fin:                                 │            │
        │         not connected)                       │            │
───────────────────────────────────────────────────────────────────────────────
     2  close    │                  recv a ECONNRESET  │            │
                 │                  close a            │            │
                 │                  accept b           │            │
                 │                  send b 26          │            │
                 │                  recv b 0           │            │
                 │                  close b            │            │
                 │                  … ×63              CLOSE        │
── teardown ───────────────────────────────────────────────────────────────────
                 close                                              │
───────────────────────────────────────────────────────────────────────────────
                                    survived
";
    let text = ladder("a connect; repeat 100 { b connect; b fin }; a close", &Setup::default());
    assert_eq!(format!("\n{text}"), expected);
}

#[test]
fn the_round_that_killed_stands_by_itself() {
    let text = ladder("hold; repeat 9 { a connect; a fin; a rst; go }", &Setup::default());
    assert!(text.contains("── repeat 9: round 0 ─"), "{text}");
    assert!(text.contains("✗ killed by SIGPIPE") && !text.contains('×'), "{text}");
}

#[test]
fn where_time_has_passed_the_calls_have_theirs() {
    let at = |times: &[u64]| {
        let mut trace = Trace::default();
        for time in times {
            let call = Called { call: Call::Recv, client: Some(Client::nth(0)), result: Some(Ok(1)), sigpipe: false };
            trace.push_call(call, Some(Detail::new(0, Duration::from_millis(*time), Data::default())));
        }
        trace.push_step(At::Event(0), Reply::Ok(0), |_| Ok::<(), std::convert::Infallible>(())).unwrap();
        let step = trace.steps().next().unwrap();
        ServerColumn::of(&trace).cells(Some(&Event::Wait(Wait::millis(60_000).unwrap())), &step, None)
    };
    let call = "  recv a 1";
    assert_eq!(at(&[0, 99]), ["  [wait 60s]", call, call]);
    assert_eq!(at(&[1, 60_000, 60_001]), ["  [wait 60s]", call, "  (at 60.0 s)", call, call]);
    // Of many times, the first and the last.
    let many = at(&[1000, 2000, 3000, 4000, 5000, 5001]);
    assert_eq!(many, ["  [wait 60s]", "  (at 1.0 s)", call, "  … ×4", "  (at 5.0 s)", call, call]);
}
