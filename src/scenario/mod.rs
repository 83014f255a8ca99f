//! Scenarios: the events, in order, their text form, and the ways to make them.

mod call;
mod client;
mod codec;
mod enumerate;
mod environment;
mod errno;
mod event;
mod payload;
mod repeat;
#[cfg(feature = "proptest")]
pub mod strategy;
pub(crate) mod table;
pub(crate) mod text;
mod wait;

pub use call::{Call, Fault};
pub use client::{BadName, Client, MAX_CLIENTS};
pub use enumerate::{Enumerate, enumerate};
pub use environment::{HarmlessSignal, Limit};
pub use errno::{Errno, UnknownErrno};
pub use event::{Action, Event};
pub use payload::{MAX_SEND, Payload};
pub use repeat::{ROUNDS, Repeat};
pub(crate) use table::OneOf;
#[doc(hidden)]
pub use table::{event_help, event_table};
pub use text::ParseError;
pub use wait::{MAX_WAIT, Wait};

use std::fmt;
use std::str::FromStr;

/// What clients do, in order, and when the server may step.
///
/// Any sequence is legal: an event that its client cannot do does nothing, and the trace records that. So a scenario from which
/// events are deleted is valid too, which minimising relies on.
///
/// `Display` and `Debug` give the text form on one line, which [`str::parse`] reads back.
///
/// ```
/// use brokenpipe::Scenario;
///
/// let scenario: Scenario = "a connect; b connect  # two clients\n b fin; b rst\n a close".parse()?;
/// assert_eq!(scenario.to_string(), "a connect; b connect; b fin; b rst; a close");
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scenario {
    events: Vec<Event>,
}

/// A scenario of more than [`MAX_CLIENTS`] clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scenario has at most {MAX_CLIENTS} clients, this one has {0}")]
pub struct TooManyClients(
    /// The number of clients that it names.
    pub usize,
);

impl Scenario {
    /// A scenario of these events.
    ///
    /// # Errors
    ///
    /// [`TooManyClients`] if they name more than [`MAX_CLIENTS`] clients.
    pub fn new(events: Vec<Event>) -> Result<Scenario, TooManyClients> {
        let scenario = Scenario { events };
        match scenario.clients().len() {
            n if n > MAX_CLIENTS => Err(TooManyClients(n)),
            _ => Ok(scenario),
        }
    }

    /// A scenario of events from a valid scenario, or from a source that names too few clients to be invalid.
    pub(crate) fn from_valid(events: Vec<Event>) -> Scenario {
        Scenario { events }
    }

    /// The events, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The clients that the scenario names, sorted by name.
    pub fn clients(&self) -> Vec<Client> {
        let mut clients = Vec::new();
        for client in self.events.iter().flat_map(Event::parts).filter_map(Event::client) {
            // There are few clients, and most events are of a client that is in the list already.
            if let Err(at) = clients.binary_search(&client) {
                clients.insert(at, client);
            }
        }
        clients
    }

    /// The scenario without the events for which `stays` is false, also in blocks. A block whose events are all removed is
    /// removed as well.
    pub(crate) fn filtered(&self, stays: impl Fn(&Event) -> bool) -> Scenario {
        let of_block = |repeat: &Repeat| {
            let inner: Vec<Event> = repeat.events().iter().filter(|event| stays(event)).cloned().collect();
            Repeat::new(repeat.times(), &inner).map(Event::Repeat)
        };
        let events = self.events.iter().filter_map(|event| match event {
            Event::Repeat(repeat) => of_block(repeat),
            event => stays(event).then(|| event.clone()),
        });
        Scenario::from_valid(events.collect())
    }

    /// How many events are played: those of a block once for each round.
    pub fn played(&self) -> usize {
        self.events.iter().map(Event::played).sum()
    }
}

impl AsRef<[Event]> for Scenario {
    fn as_ref(&self) -> &[Event] {
        &self.events
    }
}

impl FromStr for Scenario {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Scenario, ParseError> {
        text::scenario(text)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, event) in self.events.iter().enumerate() {
            write!(f, "{}{event}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
