//! Signals, by their POSIX names.

use std::fmt;

/// A signal by number, shown by its POSIX name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// SIGPIPE: a write to a pipe or socket that has no reader.
    pub const SIGPIPE: Signal = Signal(libc::SIGPIPE);

    /// The signal of this number, as in `<signal.h>`.
    pub const fn from_raw(number: i32) -> Signal {
        Signal(number)
    }

    /// The number, as in `<signal.h>`.
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(signal) => f.pad(signal.as_str()),
            Err(_) => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
