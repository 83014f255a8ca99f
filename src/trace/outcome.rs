//! How a run ended.

use super::{At, Signal};
use crate::scenario::Client;
use std::fmt;

/// How a run ended for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was alive when everybody had gone.
    Survived(Survivor),
    /// A signal killed it.
    Killed {
        /// Which.
        signal: Signal,
        /// When.
        at: At,
    },
    /// It ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// When.
        at: At,
    },
    /// It ended, and it is not known how.
    Ended {
        /// When.
        at: At,
    },
    /// It went on with something that did not finish within its bound.
    Stuck {
        /// When.
        at: At,
    },
}

impl Outcome {
    /// The word for it, as the JSON and the cases have it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Outcome::Survived(_) => "survived",
            Outcome::Killed { .. } => "killed",
            Outcome::Exited { .. } => "exited",
            Outcome::Ended { .. } => "ended",
            Outcome::Stuck { .. } => "stuck",
        }
    }

    /// When the server ended, if it did.
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

/// What a surviving server was like when everybody had gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Survivor {
    /// The client whose connection it still waits on; `None` if it is back at `accept`.
    pub waits_on: Option<Client>,
    /// Whether a SIGPIPE is pending on its thread, and would kill it if it were unblocked.
    pub pending: bool,
    /// What was left behind; `None` for a server that still waits on a client.
    pub hygiene: Option<Hygiene>,
}

/// What a server that is back at `accept` has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hygiene {
    /// Open descriptors beside the listener.
    pub descriptors: u32,
    /// Sockets of its own in CLOSE_WAIT.
    pub close_wait: u32,
    /// Whether a fresh client that connects, half-closes, reads and closes was accepted and served to its end.
    pub served: bool,
}

impl Hygiene {
    /// Nothing left behind.
    pub const CLEAN: Hygiene = Hygiene { descriptors: 0, close_wait: 0, served: true };
}
