//! What can happen in a scenario.

use super::{Client, Fault, text};
use std::fmt;
use std::sync::Arc;

/// Most bytes one `send` may carry, a client's or the server's: one call always takes them whole.
pub const MAX_SEND: usize = 16_384;

/// What a client does. The order of the variants is that of the design's table; searches prefer the earlier ones.
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
}

impl Event {
    /// The client that acts, if one does.
    pub const fn client(&self) -> Option<Client> {
        match self {
            Event::Client(client, _) => Some(*client),
            _ => None,
        }
    }

    /// The row of the design's table, from 0, by which searches order their results.
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
        }
    }
}

/// By the row of the table, then by client, then by argument.
impl Ord for Event {
    fn cmp(&self, other: &Event) -> std::cmp::Ordering {
        self.row().cmp(&other.row()).then_with(|| match (self, other) {
            (Event::Client(a, x), Event::Client(b, y)) => a.cmp(b).then_with(|| x.cmp(y)),
            (Event::Fault(a), Event::Fault(b)) => a.cmp(b),
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
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
