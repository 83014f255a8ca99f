//! What the fuzz targets share: the [`mutate`] room changes inputs event by event, the [`feedback`] room tells libFuzzer what the
//! server did, and the [`counters`] room keeps from it what the harness did.
//!
//! Nothing here knows libFuzzer itself. It is linked to the targets alone, so that this library can be tested, and used by the
//! small programs in `examples/`, without it.

pub mod counters;
pub mod feedback;
pub mod mutate;

use brokenpipe::{Event, Scenario};

/// Most events of an input. Longer ones are not worth their time: what a scenario can bring about needs few clients, and an order of
/// 32 events holds many short ones.
pub const MAX_EVENTS: usize = 32;

/// Most events that an input may come to, those of a block counted once for each round.
pub const MAX_PLAYED: usize = 256;

/// Whether a scenario is worth its time: few enough events, and no time that passes while nothing happens.
pub fn is_short(scenario: &Scenario) -> bool {
    let waits = |event: &Event| matches!(event, Event::Wait(_));
    scenario.events().len() <= MAX_EVENTS
        && scenario.played() <= MAX_PLAYED
        && !scenario.events().iter().flat_map(Event::parts).any(waits)
}

/// A number that depends on the bytes alone (FNV-1a), for checks that are too slow to be made of each input: which inputs are chosen
/// must be the same in every run, or an artifact would not fail again.
pub fn lot(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}
