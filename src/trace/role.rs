//! Which process of a server something is about.

use std::fmt;

/// What a process is to the server that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The process that counts as the server itself: the one that was started, or, if that went into the background, the one that
    /// listens.
    Main,
    /// A child that serves more than one connection, or may: it accepts, it was there before the run, or it has talked to several clients.
    Worker,
    /// A child that was made in the run and serves one connection: it has never accepted, and has talked to one client at most.
    Connection,
}

impl Role {
    /// Its name in the JSON and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Main => "main",
            Role::Worker => "worker",
            Role::Connection => "connection",
        }
    }

    /// Whether it is the server itself.
    pub const fn is_main(self) -> bool {
        matches!(self, Role::Main)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
