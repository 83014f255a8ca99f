//! Equal rounds are stored once, and `unfolded` still gives each of them.

use super::*;
use crate::model::Model;
use crate::world::{certain, play};
use crate::{Scenario, Setup};

fn trace(scenario: &str) -> Trace {
    let scenario: Scenario = scenario.parse().unwrap();
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), &Setup::default(), &scenario, &mut trace));
    trace
}

#[test]
fn ten_thousand_equal_rounds_are_as_long_as_one() {
    let t = trace("repeat 10000 { a connect; a recv; a close }; b connect");
    let steps: Vec<_> = t.steps().map(|s| (s.at.to_string(), s.times, s.calls.len())).collect();
    let round = |inner: u32, calls| (format!("0.0.{inner}"), 10_000, calls);
    assert_eq!(steps[..3], [round(0, 2), round(1, 0), round(2, 2)]);
    assert_eq!(steps[3..], [("1".to_owned(), 1, 2), ("teardown b".to_owned(), 1, 2)]);
}

#[test]
fn traces_are_equal_whenever_their_calls_were_made_and_keep_the_details_of_the_first_of_equal_rounds() {
    let played = |time| {
        let call = Called { call: crate::Call::Send, client: None, result: Some(Ok(1)), sigpipe: false };
        let (mut trace, mut last) = (Trace::default(), None);
        for round in 0..2 {
            let start = trace.mark();
            let detail = Detail::new(0, std::time::Duration::from_secs(time + u64::from(round)), Data::default());
            trace.push_call(call, Some(detail));
            let at = At::Round { event: 0, round, inner: 0 };
            trace.push_step(at, Reply::Ok(0), |_| Ok::<(), std::convert::Infallible>(())).unwrap();
            last = Some(trace.fold(last, start));
        }
        trace
    };
    let seconds = |trace: &Trace| -> Vec<u64> {
        trace.steps().flat_map(Step::detailed).map(|(_, detail)| detail.unwrap().time.as_secs()).collect()
    };
    let [one, other] = [1, 5].map(played);
    assert_eq!((one == other, seconds(&one), seconds(&other)), (true, vec![1], vec![5]));
}

#[test]
fn unfolded_it_has_every_step_at_its_own_place() {
    let t = trace("b connect; repeat 3 { a connect; a rst }; repeat 2 { b send 1 }; repeat 2 { b send 1 }");
    let places: Vec<String> = t.unfolded().map(|s| s.at.to_string()).collect();
    let expected = "0 1.0.0 1.0.1 1.1.0 1.1.1 1.2.0 1.2.1 2.0.0 2.1.0 3.0.0 3.1.0 teardown b";
    assert_eq!(places.join(" "), expected);
    assert!(t.unfolded().all(|s| s.times == 1));
    assert_eq!(t.steps().map(|s| s.times).collect::<Vec<_>>(), [1, 3, 3, 2, 2, 1]);
}

#[test]
fn rounds_that_differ_anywhere_are_kept_apart() {
    // The window is full from the third round on: two sends of 16384 bytes are unread.
    let t = trace("b connect; a connect; repeat 5 { a send 16384; a recv }; a rst");
    assert_eq!(t.steps().filter(|s| s.at.event() == Some(2)).map(|s| s.times).collect::<Vec<_>>(), [2, 2, 3, 3]);
}
