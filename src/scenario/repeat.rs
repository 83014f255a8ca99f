//! A block of events that is played several times.

use super::{Action, Client, Event};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The number of rounds that a [`Repeat`] may have.
pub const ROUNDS: RangeInclusive<usize> = 2..=10_000;

/// A block of events, and how many times it is played.
///
/// A client that connects in the block is a new client in each round, the first round included, even if its name was used before.
/// The connection of the earlier client of that name stays as it is until the teardown. A client that does not connect in the
/// block is the one from outside the block. After the block, a name means the client of the last round.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repeat(Arc<Block>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Block {
    events: Box<[Event]>,
    times: u16,
    newcomers: Box<[Client]>,
}

impl Repeat {
    /// The block with this number of rounds. `None` if that is not in [`ROUNDS`], or if the block has no event or contains
    /// another block.
    pub fn new(times: usize, events: &[Event]) -> Option<Repeat> {
        let block = |event: &Event| matches!(event, Event::Repeat(_));
        if !ROUNDS.contains(&times) || events.is_empty() || events.iter().any(block) {
            return None;
        }
        let connects = events.iter().filter(|e| matches!(e, Event::Client(_, Action::Connect)));
        let mut newcomers: Vec<Client> = connects.filter_map(Event::client).collect();
        newcomers.sort_unstable();
        newcomers.dedup();
        // The number was checked to be in range.
        Some(Repeat(Arc::new(Block { times: times as u16, events: events.into(), newcomers: newcomers.into() })))
    }

    /// The number of rounds.
    pub fn times(&self) -> usize {
        usize::from(self.0.times)
    }

    /// The events of the block, at least one.
    pub fn events(&self) -> &[Event] {
        &self.0.events
    }

    /// The clients that are new in each round, sorted by name: those that connect in the block.
    pub fn newcomers(&self) -> &[Client] {
        &self.0.newcomers
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repeat {} {{ ", self.times())?;
        for (i, event) in self.events().iter().enumerate() {
            write!(f, "{}{event}", if i == 0 { "" } else { "; " })?;
        }
        f.write_str(" }")
    }
}

impl fmt::Debug for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        text.parse::<crate::Scenario>().unwrap().events().to_vec()
    }

    #[test]
    fn newcomers_are_those_who_connect_in_the_block() {
        let repeat = Repeat::new(2, &events("b connect; a connect; b rst; c send 5; b connect")).unwrap();
        assert_eq!(repeat.newcomers(), [Client::nth(0), Client::nth(1)]);
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let one = events("a rst");
        let block = Event::Repeat(Repeat::new(10_000, &one).unwrap());
        assert_eq!(Repeat::new(1, &one), None);
        assert_eq!(Repeat::new(10_001, &one), None);
        assert_eq!(Repeat::new(2, &[]), None);
        assert_eq!(Repeat::new(2, &[block]), None);
    }
}
