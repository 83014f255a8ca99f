//! Places in a run.

use crate::scenario::{Client, Event, Scenario};
use std::fmt;

/// A place in a run. The places of one run are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// At the event of this index, from 0.
    Event(usize),
    /// At an event of a block.
    Round {
        /// The index of the [`Event::Repeat`] among the events, from 0.
        event: usize,
        /// The round, from 0.
        round: u16,
        /// The index among the events of the block, from 0.
        inner: u32,
    },
    /// In the teardown, at the release of a server that was still held.
    TeardownGo,
    /// In the teardown, at the close of all sockets that clients of this name had open.
    Teardown(Client),
}

impl At {
    /// The index of the event, or of the block that holds it; `None` for the teardown.
    pub const fn event(self) -> Option<usize> {
        match self {
            At::Event(event) | At::Round { event, .. } => Some(event),
            At::TeardownGo | At::Teardown(_) => None,
        }
    }

    /// The event of `scenario` at this place, inside a block too; `None` for the teardown, or if the scenario has no such event.
    pub fn of(self, scenario: &Scenario) -> Option<&Event> {
        let event = scenario.events().get(self.event()?)?;
        match self {
            At::Round { inner, .. } => event.parts().get(inner as usize),
            _ => Some(event),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Event(i) => write!(f, "{i}"),
            At::Round { event, round, inner } => write!(f, "{event}.{round}.{inner}"),
            At::TeardownGo => f.write_str("teardown go"),
            At::Teardown(client) => write!(f, "teardown {client}"),
        }
    }
}
