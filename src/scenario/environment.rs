//! What happens to a server's environment: resource limits and signals.

use std::fmt;

/// A limit of the server's resources. For a server that is a program, the event does nothing, because it has no resources of its
/// own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// From here on the server's processes can open no descriptor beyond those that they have (`RLIMIT_NOFILE`). As long as the
    /// limit lasts, `accept` fails with EMFILE.
    Descriptors,
    /// Lifts the limit. The end of the scenario lifts it in any case.
    Off,
}

impl Limit {
    /// Every limit, in order.
    pub const ALL: [Limit; 2] = [Limit::Descriptors, Limit::Off];

    /// The word in the text form.
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

/// A signal that a server may get at any time and that asks nothing of it. By default it is ignored, and it reports the end of a
/// child or an urgent byte. If a process has a handler for the signal, the signal may interrupt a wait, which then fails with
/// EINTR. With `SA_RESTART`, some calls are restarted instead (`signal(7)`). SIGWINCH is not one of these signals, because nginx
/// and Apache take it as an order to shut down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HarmlessSignal {
    /// SIGCHLD, as after the end of a child.
    Child,
    /// SIGURG, as after an urgent byte.
    Urgent,
}

impl HarmlessSignal {
    /// Every signal, in order.
    pub const ALL: [HarmlessSignal; 2] = [HarmlessSignal::Child, HarmlessSignal::Urgent];

    /// The POSIX name.
    pub const fn name(self) -> &'static str {
        match self {
            HarmlessSignal::Child => "SIGCHLD",
            HarmlessSignal::Urgent => "SIGURG",
        }
    }

    /// The number, as in `<signal.h>`.
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
