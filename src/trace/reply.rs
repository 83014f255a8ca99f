//! The results of events, and of the server's calls.

use crate::scenario::{Call, Client, Errno};
use std::fmt;

/// The result of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The call succeeded with this value: the number of bytes for a send, else 0. For an event that is not a client's the value
    /// is 0; the calls that it let the server make are in the step.
    Ok(u32),
    /// What a client's `recv` read, and how it ended.
    Received {
        /// Number of bytes read.
        bytes: u32,
        /// What came after them.
        end: End,
    },
    /// The call failed.
    Error(Errno),
    /// The event did nothing, for this reason.
    Nothing(Reason),
}

/// What followed the last byte that a client's `recv` read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Nothing yet: the next `recv` would block.
    Open,
    /// End of file.
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
    /// The client has stalled: it no longer reads.
    Stalled,
    /// No room. For a send: it would exceed the [`WINDOW`](crate::WINDOW), because the server has not read enough. For a connect:
    /// [`MAX_CLIENTS`](crate::MAX_CLIENTS) connections are still open at either end, or the accept queue is full.
    Full,
    /// The server is already held.
    AlreadyHeld,
    /// The server is not held.
    NotHeld,
    /// The server is held, and its pending call cannot finish now.
    Blocked,
    /// The event applies only to a command or a function; this server is a [`Program`](crate::Program).
    Program,
    /// The server's resources are limited already.
    AlreadyLimited,
    /// The server's resources are not limited.
    NotLimited,
    /// No process of the server has a handler for the signal.
    NoHandler,
    /// The kernel does not permit this process to do that to the server.
    NotAllowed,
}

impl Reason {
    /// The reason's text in the JSON.
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
    /// The call.
    pub call: Call,
    /// The client of the connection that the call was made on or accepted; `None` for an accept that failed, or a call on no
    /// client's connection.
    pub client: Option<Client>,
    /// The number of bytes for `send` and `recv`, 0 for the others; or the error. `None` if the result is not known, which only happens with a
    /// server that is a command or a function.
    pub result: Option<Result<u32, Errno>>,
    /// Whether the call raised SIGPIPE, whatever the policy does about the signal.
    pub sigpipe: bool,
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)?;
        if let Some(client) = self.client {
            write!(f, " {client}")?;
        }
        match (self.call, self.result) {
            (_, Some(Err(errno))) => write!(f, " {errno}")?,
            (call, Some(Ok(n))) if call.moves() || n > 0 => write!(f, " {n}")?,
            (_, Some(Ok(_)) | None) => {}
        }
        f.write_str(if self.sigpipe { " SIGPIPE" } else { "" })
    }
}
