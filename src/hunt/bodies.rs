//! Large bodies, and servers that read a few bytes at a time, for which each takes hundreds of thousands of calls.

use crate::scenario::{Action, Event, Scenario};

/// More calls in one scenario than a server makes that fills a buffer, and as few bytes for each call.
const MANY_CALLS: usize = 8_000;
const LITTLE: usize = 512;
/// Scenarios in which clients send more bytes are not played on a server that makes so many calls.
const LARGE: usize = 100_000;

/// Why scenarios with large bodies are not played.
pub(super) const SKIPPED: &str = "no scenario with a large body was played any more: the server reads a few bytes at a time, which takes too many calls";

/// Whether clients send a large body in this scenario.
pub(super) fn is_large(scenario: &Scenario) -> bool {
    sent(scenario) > LARGE
}

/// Whether a server that makes so many calls in this scenario reads a few bytes at a time.
pub(super) fn reads_little(scenario: &Scenario, calls: usize) -> bool {
    calls > MANY_CALLS && sent(scenario) / calls < LITTLE
}

/// How many bytes clients send.
pub(super) fn sent(scenario: &Scenario) -> usize {
    let size = |event: &Event| match event {
        Event::Client(_, Action::Send(payload)) => payload.len(),
        _ => 0,
    };
    let times = |event: &Event| if let Event::Repeat(repeat) = event { repeat.times() } else { 1 };
    scenario.events().iter().map(|event| event.parts().iter().map(size).sum::<usize>() * times(event)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_in_blocks_counts_each_time() {
        let large = |text: &str| is_large(&text.parse().unwrap());
        assert!(large("a connect; repeat 16 { a send 16000 }"));
        assert!(!large("a connect; repeat 6 { a send 16000 }") && !large("a connect; a send 16384"));
    }

    #[test]
    fn many_calls_for_many_bytes_are_none_too_many() {
        let scenario: Scenario = "a connect; repeat 1000 { a send 16000 }".parse().unwrap();
        assert!(!reads_little(&scenario, 8_000) && !reads_little(&scenario, 16_000) && reads_little(&scenario, 40_000));
        assert!(reads_little(&"a connect".parse().unwrap(), 8_001));
    }
}
