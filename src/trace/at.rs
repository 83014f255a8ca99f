//! Places in a run.

use crate::scenario::{Client, Event, Scenario};
use std::fmt;

/// Where in a run something happened. Places of one run are ordered as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// At the event of this index, from 0.
    Event(usize),
    /// In a block.
    Round {
        /// The index of the [`Event::Repeat`] among the events, from 0.
        event: usize,
        /// The round, from 0.
        round: u16,
        /// The index among the events of the block, from 0.
        inner: u32,
    },
    /// In the teardown, when the gate opened for a server that was still held.
    TeardownGo,
    /// In the teardown, when all that clients of this name had open was closed.
    Teardown(Client),
}

impl At {
    /// The index of the event at which it was, or of the block; `None` for the teardown.
    pub const fn event(self) -> Option<usize> {
        match self {
            At::Event(event) | At::Round { event, .. } => Some(event),
            At::TeardownGo | At::Teardown(_) => None,
        }
    }

    /// The event of this scenario at which it was, one in a block too; `None` for the teardown.
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
