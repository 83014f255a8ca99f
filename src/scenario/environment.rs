//! What happens to a server's environment: limits of its resources, and signals.

use std::fmt;

/// A limit of the server's resources. A program that is described has none of its own, and nothing happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// From here on the server's processes can open no descriptor beyond those that they have (`RLIMIT_NOFILE`): `accept` fails with
    /// EMFILE for as long as the limit lasts.
    Descriptors,
    /// The limit is lifted. At the end of the scenario it is in any case.
    Off,
}

impl Limit {
    /// Every one, in order.
    pub const ALL: [Limit; 2] = [Limit::Descriptors, Limit::Off];

    /// The word for it in the text form.
    pub const fn word(self) -> &'static str {
        match self {
            Limit::Descriptors => "descriptors",
            Limit::Off => "off",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {}", self.word())
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A signal that a server may get at any time and that asks nothing of it: its default is to be ignored, and it tells of children or of
/// urgent bytes. A process that has a handler for it must expect that it interrupts a wait, which then fails with EINTR unless the handler was
/// installed with `SA_RESTART` (`signal(7)`). SIGWINCH is none of these: nginx and Apache take it as an order to end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HarmlessSignal {
    /// SIGCHLD, as after the end of a child.
    Child,
    /// SIGURG, as after an urgent byte.
    Urgent,
}

impl HarmlessSignal {
    /// Every one, in order.
    pub const ALL: [HarmlessSignal; 2] = [HarmlessSignal::Child, HarmlessSignal::Urgent];

    /// Its POSIX name.
    pub const fn name(self) -> &'static str {
        match self {
            HarmlessSignal::Child => "SIGCHLD",
            HarmlessSignal::Urgent => "SIGURG",
        }
    }

    /// Its number, as in `<signal.h>`.
    pub const fn raw(self) -> i32 {
        match self {
            HarmlessSignal::Child => libc::SIGCHLD,
            HarmlessSignal::Urgent => libc::SIGURG,
        }
    }
}

impl fmt::Display for HarmlessSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {}", self.name())
    }
}

impl fmt::Debug for HarmlessSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
