//! The roles of a server's processes.

use std::fmt;

/// The role of a process in its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The server itself: the process that was started, or, if that went into the background, the process that listens.
    Main,
    /// A child that serves or can serve several connections: it has accepted, it existed before the run, or it has exchanged data
    /// on several connections.
    Worker,
    /// A child that was created in the run and serves one connection: it has never accepted, and has exchanged data on at most
    /// one connection.
    Connection,
}

impl Role {
    /// The role's name in the JSON and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Main => "main",
            Role::Worker => "worker",
            Role::Connection => "connection",
        }
    }

    /// Whether this is the server itself.
    pub const fn is_main(self) -> bool {
        matches!(self, Role::Main)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
