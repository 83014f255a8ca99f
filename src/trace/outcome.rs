//! How a run ended.

use super::{At, Signal};
use crate::scenario::Client;
use std::fmt;

/// How a run ended for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The server was alive after all clients had gone.
    Survived(Survivor),
    /// A signal killed the server.
    Killed {
        /// The signal.
        signal: Signal,
        /// The step in which this happened.
        at: At,
    },
    /// The server ended by itself.
    Exited {
        /// The exit code.
        code: i32,
        /// The step in which this happened.
        at: At,
    },
    /// The server ended, and it is not known how.
    Ended {
        /// The step in which this happened.
        at: At,
    },
    /// The server did not come to its next call within the time bound.
    Stuck {
        /// The step in which this happened.
        at: At,
    },
}

impl Outcome {
    /// The outcome's name in the JSON and in cases.
    pub const fn kind(&self) -> &'static str {
        match self {
            Outcome::Survived(_) => "survived",
            Outcome::Killed { .. } => "killed",
            Outcome::Exited { .. } => "exited",
            Outcome::Ended { .. } => "ended",
            Outcome::Stuck { .. } => "stuck",
        }
    }

    /// The step in which the server ended or got stuck; `None` if it survived.
    pub const fn at(&self) -> Option<At> {
        match self {
            Outcome::Survived(_) => None,
            Outcome::Killed { at, .. } | Outcome::Exited { at, .. } | Outcome::Ended { at } | Outcome::Stuck { at } => {
                Some(*at)
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Outcome::Survived(Survivor { waits_on: None, .. }) => return Ok(()),
            Outcome::Survived(Survivor { waits_on: Some(client), .. }) => return write!(f, " waiting on {client}"),
            Outcome::Killed { signal, .. } => write!(f, " by {signal}")?,
            Outcome::Exited { code, .. } => write!(f, " with {code}")?,
            Outcome::Ended { .. } | Outcome::Stuck { .. } => {}
        }
        self.at().map_or(Ok(()), |at| write!(f, " at {at}"))
    }
}

/// The state of a surviving server after all clients had gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Survivor {
    /// The client on whose connection the server is blocked; `None` if the server is back at `accept`.
    pub waits_on: Option<Client>,
    /// Whether a SIGPIPE is pending on the server's thread. It would kill the server if it were unblocked.
    pub pending: bool,
    /// What was left behind; `None` if that was not examined, as for a server that is blocked on a client.
    pub hygiene: Option<Hygiene>,
}

/// What a server that is back at `accept` has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hygiene {
    /// Number of open descriptors other than the listener.
    pub descriptors: u32,
    /// Number of server-side sockets in CLOSE_WAIT.
    pub close_wait: u32,
    /// Whether a fresh client that connects, half-closes, reads and closes was accepted and served to its end.
    pub served: bool,
}

impl Hygiene {
    /// Nothing left behind, and the fresh client was served.
    pub const CLEAN: Hygiene = Hygiene { descriptors: 0, close_wait: 0, served: true };
}
