//! proptest strategies for scenarios.
//!
//! They draw the numbers of the binary form's cells and not values of their own, so that shrinking, the corpus and the
//! fuzzer mean the same thing by "simpler": fewer events, an earlier row of the table, an earlier client, a smaller argument.

use super::codec::Cell;
use super::{Event, Scenario};
use proptest::prelude::*;
use std::ops::RangeInclusive;

/// One event of one of `clients` clients (at least 1): any row of the table, with sends of up to 64 bytes.
pub fn events(clients: usize) -> impl Strategy<Value = Event> {
    let clients = clients.clamp(1, super::MAX_CLIENTS) as u8;
    // Connects come more often than their share, or most other events would have nothing to act on; `select` shrinks towards
    // the front.
    let rows = proptest::sample::select(&[0u8, 0, 0, 0, 1, 2, 3, 3, 4, 5, 5, 6, 7, 8, 8, 9, 9, 10][..]);
    (rows, 0..clients, 0..=64u16).prop_map(|(row, client, argument)| Cell { row, client, argument }.event())
}

/// Scenarios of so many events, over so many clients, and the whole alphabet.
///
/// ```
/// use brokenpipe::strategy;
/// use proptest::prelude::*;
///
/// proptest!(|(scenario in strategy::scenarios(0..=24, 6))| {
///     prop_assert_eq!(scenario.to_string().parse(), Ok(scenario));
/// });
/// ```
pub fn scenarios(len: RangeInclusive<usize>, clients: usize) -> impl Strategy<Value = Scenario> {
    proptest::collection::vec(events(clients), len).prop_map(Scenario::from_valid)
}
