//! What an event gave, and what a call of the server's gave.

use crate::scenario::{Call, Client, Errno};
use std::fmt;

/// What an event gave whoever did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The call succeeded with this value: bytes for a send, else 0. For an event of no client, the calls that it let the
    /// server make at once are in the step, and the value is 0.
    Ok(u32),
    /// All that a client's `recv` took, and how it ended.
    Received {
        /// Bytes taken.
        bytes: u32,
        /// What came after them.
        end: End,
    },
    /// The call failed.
    Error(Errno),
    /// The event did nothing, and why.
    Nothing(Reason),
}

/// What a client's `recv` met after the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Nothing yet: it would block.
    Open,
    /// The end of file.
    Eof,
    /// An error.
    Error(Errno),
}

/// Why an event did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client has not connected.
    NotConnected,
    /// The client has connected before.
    AlreadyConnected,
    /// The client has closed its socket.
    Closed,
    /// The client has vanished.
    Vanished,
    /// The client has stalled: it reads no more.
    Stalled,
    /// There is no room: the server has not read what is already under way, so that the send would not be taken whole
    /// ([`WINDOW`]); or as many connections as one scenario may have clients are there, and neither closed nor served to their ends.
    Full,
    /// The server is already held.
    AlreadyHeld,
    /// The server is not held.
    NotHeld,
    /// The server is held, and its call could not finish now.
    Blocked,
    /// It is for a server that is a process of its own, and this one is a program that is described.
    Program,
    /// The server's resources are limited already.
    AlreadyLimited,
    /// The server's resources are not limited.
    NotLimited,
    /// No process of the server has a handler for the signal.
    NoHandler,
    /// This process may not do that to the server.
    NotAllowed,
}

impl Reason {
    /// The words for it, as the JSON has them.
    pub const fn words(self) -> &'static str {
        match self {
            Reason::NotConnected => "not connected",
            Reason::AlreadyConnected => "already connected",
            Reason::Closed => "closed",
            Reason::Vanished => "vanished",
            Reason::Stalled => "stalled",
            Reason::Full => "full",
            Reason::AlreadyHeld => "already held",
            Reason::NotHeld => "not held",
            Reason::Blocked => "blocked",
            Reason::Program => "for no described program",
            Reason::AlreadyLimited => "already limited",
            Reason::NotLimited => "not limited",
            Reason::NoHandler => "no handler",
            Reason::NotAllowed => "not allowed",
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Ok(n) => write!(f, "{n}"),
            Reply::Received { bytes, end: End::Open } => write!(f, "{bytes}"),
            Reply::Received { bytes, end: End::Eof } => write!(f, "{bytes}, EOF"),
            Reply::Received { bytes, end: End::Error(e) } => write!(f, "{bytes}, {e}"),
            Reply::Error(e) => e.fmt(f),
            Reply::Nothing(reason) => write!(f, "nothing: {}", reason.words()),
        }
    }
}

/// A call that the server made, and its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Called {
    /// Which call.
    pub call: Call,
    /// The client of the connection that it was made on, or that was accepted; `None` for an accept that failed.
    pub client: Option<Client>,
    /// Bytes for `send` and `recv`, 0 for the others; or the error.
    pub result: Result<u32, Errno>,
    /// Whether it raised SIGPIPE, whatever the policy made of it.
    pub sigpipe: bool,
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)?;
        if let Some(client) = self.client {
            write!(f, " {client}")?;
        }
        match (self.call, self.result) {
            (_, Err(Errno::UNSEEN)) => {}
            (_, Err(errno)) => write!(f, " {errno}")?,
            (Call::Other(_), Ok(n)) if n > 0 => write!(f, " {n}")?,
            (Call::Send | Call::Recv, Ok(n)) => write!(f, " {n}")?,
            (_, Ok(_)) => {}
        }
        f.write_str(if self.sigpipe { " SIGPIPE" } else { "" })
    }
}
