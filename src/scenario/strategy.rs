//! proptest strategies for scenarios.
//!
//! The strategies draw the numbers of the binary form's cells, not values of their own. So shrinking, the corpus and the fuzzer
//! mean the same by "simpler": fewer events, an earlier row of the table, an earlier client, a smaller argument.

use super::table::EVENTS;
use super::{Client, Event, Repeat, Scenario};
use proptest::prelude::*;
use std::ops::RangeInclusive;

/// One event of one of `clients` clients (at least 1). It is from any row of the table except those that take long (`wait`, and
/// blocks: [`repeats`]). Sends are of up to 64 bytes.
pub fn events(clients: usize) -> impl Strategy<Value = Event> {
    let clients = clients.clamp(1, super::MAX_CLIENTS);
    // Each row is there as often as its weight says. `select` shrinks towards the front.
    let rows: Vec<_> = EVENTS.iter().flat_map(|row| std::iter::repeat_n(row, row.weight as usize)).collect();
    (proptest::sample::select(rows), 0..clients, 0..=64u16)
        .prop_map(|(row, client, argument)| row.event(Client::nth(client), argument).unwrap_or(Event::Go))
}

/// A block of one to four [`events`], with 2 to 8 rounds.
pub fn repeats(clients: usize) -> impl Strategy<Value = Event> {
    // All of these make a block. If one did not, its first event would be used instead.
    let block = |(times, events): (usize, Vec<Event>)| {
        Repeat::new(times, &events).map_or_else(|| events[0].clone(), Event::Repeat)
    };
    (2..=8usize, proptest::collection::vec(events(clients), 1..=4)).prop_map(block)
}

/// Scenarios of [`events`] without blocks: the number of events is in `len`, and `clients` is the number of clients.
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

/// [`scenarios`] of up to 24 events over up to 6 clients.
///
/// ```
/// use brokenpipe::Scenario;
/// use proptest::prelude::*;
///
/// proptest!(|(scenario in any::<Scenario>())| {
///     prop_assert_eq!(scenario.to_string().parse(), Ok(scenario));
/// });
/// ```
impl Arbitrary for Scenario {
    type Parameters = ();
    type Strategy = BoxedStrategy<Scenario>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Scenario> {
        scenarios(0..=24, 6).boxed()
    }
}
