//! The code that the fuzz targets share: the module [`mutate`] changes inputs event by event, [`feedback`] reports the server's states to
//! libFuzzer, and [`counters`] removes coverage that would outweigh these states.
//!
//! This library does not depend on libFuzzer, which is linked to the targets only. So the library can be tested without libFuzzer, and
//! the small programs in `examples/` can use it.

pub mod counters;
pub mod feedback;
pub mod mutate;

use brokenpipe::{Event, Scenario};

/// The maximum number of events of an input. Longer inputs are not worth their time: any effect of a scenario needs few clients, and 32
/// events contain many short orders.
pub const MAX_EVENTS: usize = 32;

/// The maximum number of events that an input plays: the events of a block count once for each round.
pub const MAX_PLAYED: usize = 256;

/// Whether a scenario is short: it is within the limits above and contains no `wait`.
pub fn is_short(scenario: &Scenario) -> bool {
    let waits = |event: &Event| matches!(event, Event::Wait(_));
    scenario.events().len() <= MAX_EVENTS
        && scenario.played() <= MAX_PLAYED
        && !scenario.events().iter().flat_map(Event::parts).any(waits)
}

/// A hash of the bytes (FNV-1a). Checks that are too slow for every input choose inputs by it: the choice must be the same in every run,
/// or an artifact would not fail again.
pub fn lot(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}
