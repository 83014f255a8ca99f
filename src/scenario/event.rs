//! What can happen in a scenario.

use super::{Client, Fault, HarmlessSignal, Limit, Repeat, text};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes one `send` may carry, a client's or the server's: one call always takes them whole.
pub const MAX_SEND: usize = 16_384;

/// Longest [`Wait`], in milliseconds.
pub const MAX_WAIT: u16 = 60_000;

/// What a client does. Searches prefer the earlier variants.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// `socket(2)` and `connect(2)`. A client has one connection: a second connect does nothing.
    Connect,
    /// `send(2)` with `MSG_NOSIGNAL`.
    Send(Payload),
    /// `recv(2)` until it would block, or to the end of file or an error.
    Recv,
    /// `shutdown(2)` with `SHUT_WR`: the half-close.
    Fin,
    /// `close(2)`: a FIN, or an RST if something was unread.
    Close,
    /// `close(2)` with `SO_LINGER` {1, 0}: the abortive close.
    Rst,
    /// The unplugged cable: from here on the client sends and acknowledges nothing.
    Vanish,
    /// `send(2)` of one byte with `MSG_OOB` and `MSG_NOSIGNAL`.
    Urgent,
    /// It reads no more: from here on its `recv` does nothing. Where a server's own send buffer counts, the client has had a small
    /// receive buffer since its connect ([`World::foresee`](crate::World::foresee)).
    Stall,
}

impl Action {
    /// The word for it in the text form.
    pub const fn word(&self) -> &'static str {
        match self {
            Action::Connect => "connect",
            Action::Send(_) => "send",
            Action::Recv => "recv",
            Action::Fin => "fin",
            Action::Close => "close",
            Action::Rst => "rst",
            Action::Vanish => "vanish",
            Action::Urgent => "urgent",
            Action::Stall => "stall",
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

/// What a client sends: so many bytes of filling, or the very bytes given. At most [`MAX_SEND`] of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payload(pub(super) Content);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Content {
    Filling(u16),
    Bytes(Arc<[u8]>),
}

impl Payload {
    /// `len` bytes of filling, or `None` above [`MAX_SEND`].
    pub const fn filling(len: usize) -> Option<Payload> {
        if len <= MAX_SEND { Some(Payload(Content::Filling(len as u16))) } else { None }
    }

    /// These bytes, or `None` if there are more than [`MAX_SEND`].
    pub fn bytes(bytes: &[u8]) -> Option<Payload> {
        (bytes.len() <= MAX_SEND).then(|| Payload(Content::Bytes(bytes.into())))
    }

    /// How many bytes it has.
    #[allow(clippy::len_without_is_empty)] // An empty payload is a legal one, not a special case that anyone asks for.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Filling(len) => usize::from(*len),
            Content::Bytes(bytes) => bytes.len(),
        }
    }

    /// The bytes, where they were given; `None` for filling.
    pub fn given(&self) -> Option<&[u8]> {
        match &self.0 {
            Content::Filling(_) => None,
            Content::Bytes(bytes) => Some(bytes),
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Filling(len) => write!(f, "{len}"),
            Content::Bytes(bytes) => text::write_quoted(f, bytes),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A time that passes: whole milliseconds, 1 to [`MAX_WAIT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wait(u16);

impl Wait {
    /// So many milliseconds, or `None` for none or more than [`MAX_WAIT`].
    pub const fn millis(millis: u16) -> Option<Wait> {
        if millis >= 1 && millis <= MAX_WAIT { Some(Wait(millis)) } else { None }
    }

    /// How many milliseconds.
    pub const fn as_millis(self) -> u16 {
        self.0
    }

    /// The same as the standard library has it.
    pub const fn time(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One event of a scenario. Every sequence of events is legal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A client does something.
    Client(Client, Action),
    /// The server is no longer let step.
    Hold,
    /// A held server makes one call, if its call can finish now.
    Step,
    /// The server may step again.
    Go,
    /// The server's next such call is answered by the harness.
    Fault(Fault),
    /// Real time passes.
    Wait(Wait),
    /// A block of events is played again and again.
    Repeat(Repeat),
    /// The server's resources are limited, or no longer.
    Limit(Limit),
    /// Each process of the server that has a handler for this signal is sent it.
    Signal(HarmlessSignal),
}

impl Event {
    /// The client that acts, if one does; none for a block, whatever is in it ([`Event::parts`]).
    pub const fn client(&self) -> Option<Client> {
        match self {
            Event::Client(client, _) => Some(*client),
            _ => None,
        }
    }

    /// The events that this one is made of: those of a block, else itself.
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

    /// The row of the event table, from 0, by which searches order their results.
    pub(crate) const fn row(&self) -> u8 {
        match self {
            Event::Client(_, Action::Connect) => 0,
            Event::Client(_, Action::Send(_)) => 1,
            Event::Client(_, Action::Recv) => 2,
            Event::Client(_, Action::Fin) => 3,
            Event::Client(_, Action::Close) => 4,
            Event::Client(_, Action::Rst) => 5,
            Event::Client(_, Action::Vanish) => 6,
            Event::Hold => 7,
            Event::Step => 8,
            Event::Go => 9,
            Event::Fault(_) => 10,
            Event::Client(_, Action::Urgent) => 11,
            Event::Client(_, Action::Stall) => 12,
            Event::Wait(_) => 13,
            Event::Repeat(_) => 14,
            Event::Limit(_) => 15,
            Event::Signal(_) => 16,
        }
    }
}

/// By the row of the table, then by client, then by argument.
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
            Event::Hold => f.write_str("hold"),
            Event::Step => f.write_str("step"),
            Event::Go => f.write_str("go"),
            Event::Fault(fault) => fault.fmt(f),
            Event::Wait(wait) => write!(f, "wait {wait}"),
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
