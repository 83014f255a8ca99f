//! The events of a scenario.

use super::table::{self, Row};
use super::{Client, Fault, HarmlessSignal, Limit, Payload, Repeat, Wait};
use std::fmt;

/// What a client does. Searches prefer the earlier variants.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// `socket(2)` and `connect(2)`. A client has one connection: a second connect does nothing.
    Connect,
    /// `send(2)` with `MSG_NOSIGNAL`.
    Send(Payload),
    /// `recv(2)` until it would block, returns end of file or fails.
    Recv,
    /// `shutdown(2)` with `SHUT_WR`: the half-close.
    Fin,
    /// `close(2)`: a FIN, or an RST if something was unread.
    Close,
    /// `close(2)` with `SO_LINGER` {1, 0}: the abortive close.
    Rst,
    /// From here on the client sends and acknowledges nothing, as with an unplugged cable.
    Vanish,
    /// `send(2)` of one byte with `MSG_OOB` and `MSG_NOSIGNAL`.
    Urgent,
    /// The client stops reading: from here on its `recv` does nothing. Where a server's own send buffer matters, the client has a
    /// small receive buffer from its connect on ([`World::foresee`](crate::World::foresee)).
    Stall,
}

impl Action {
    /// The word in the text form.
    pub fn word(&self) -> &'static str {
        table::EVENTS[usize::from(self.row())].word
    }

    /// The index of the action's row in the table of events.
    const fn row(&self) -> u8 {
        match self {
            Action::Connect => 0,
            Action::Send(_) => 1,
            Action::Recv => 2,
            Action::Fin => 3,
            Action::Close => 4,
            Action::Rst => 5,
            Action::Vanish => 6,
            Action::Urgent => 11,
            Action::Stall => 12,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Action::Send(payload) => write!(f, " {payload}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One event of a scenario. Every sequence of events is legal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A client acts.
    Client(Client, Action),
    /// From here on the server makes no call.
    Hold,
    /// A held server makes one call, if that call can finish now.
    Step,
    /// A held server may make calls again.
    Go,
    /// The server's next call of this kind fails with this error.
    Fault(Fault),
    /// Real time passes.
    Wait(Wait),
    /// A block of events is played several times.
    Repeat(Repeat),
    /// The server's resources are limited, or the limit is lifted.
    Limit(Limit),
    /// Each process of the server that has a handler for this signal gets it.
    Signal(HarmlessSignal),
}

impl Event {
    /// The client that acts, if one does. `None` for a block, whose events are in [`Event::parts`].
    pub const fn client(&self) -> Option<Client> {
        match self {
            Event::Client(client, _) => Some(*client),
            _ => None,
        }
    }

    /// The events of a block. For any other event, the event itself.
    pub fn parts(&self) -> &[Event] {
        match self {
            Event::Repeat(repeat) => repeat.events(),
            event => std::slice::from_ref(event),
        }
    }

    /// How many events are played: those of a block once for each round.
    pub(super) fn played(&self) -> usize {
        match self {
            Event::Repeat(repeat) => repeat.times() * repeat.events().len(),
            _ => 1,
        }
    }

    /// The index of the event's row in the table of events. Searches order their results by it.
    pub(crate) const fn row(&self) -> u8 {
        match self {
            Event::Client(_, action) => action.row(),
            Event::Hold => 7,
            Event::Step => 8,
            Event::Go => 9,
            Event::Fault(_) => 10,
            Event::Wait(_) => 13,
            Event::Repeat(_) => 14,
            Event::Limit(_) => 15,
            Event::Signal(_) => 16,
        }
    }

    /// The event's row in the table of events.
    pub(crate) fn kind(&self) -> &'static Row {
        &table::EVENTS[usize::from(self.row())]
    }
}

/// Ordered by the row of the table, then by client, then by argument.
impl Ord for Event {
    fn cmp(&self, other: &Event) -> std::cmp::Ordering {
        self.row().cmp(&other.row()).then_with(|| match (self, other) {
            (Event::Client(a, x), Event::Client(b, y)) => a.cmp(b).then_with(|| x.cmp(y)),
            (Event::Fault(a), Event::Fault(b)) => a.cmp(b),
            (Event::Wait(a), Event::Wait(b)) => a.cmp(b),
            (Event::Repeat(a), Event::Repeat(b)) => a.cmp(b),
            (Event::Limit(a), Event::Limit(b)) => a.cmp(b),
            (Event::Signal(a), Event::Signal(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        })
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Event) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Client(client, action) => write!(f, "{client} {action}"),
            Event::Hold | Event::Step | Event::Go => f.write_str(self.kind().word),
            Event::Fault(fault) => fault.fmt(f),
            Event::Wait(wait) => write!(f, "{} {wait}", self.kind().word),
            Event::Repeat(repeat) => repeat.fmt(f),
            Event::Limit(limit) => limit.fmt(f),
            Event::Signal(signal) => signal.fmt(f),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
