//! The duration of a `wait` event.

use std::fmt;
use std::time::Duration;

/// Longest [`Wait`], in milliseconds.
pub const MAX_WAIT: u16 = 60_000;

/// The duration of a `wait` event: whole milliseconds, 1 to [`MAX_WAIT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wait(u16);

impl Wait {
    /// A wait of this many milliseconds. `None` if that is 0 or more than [`MAX_WAIT`].
    pub const fn millis(millis: u16) -> Option<Wait> {
        if millis >= 1 && millis <= MAX_WAIT { Some(Wait(millis)) } else { None }
    }

    /// The number of milliseconds.
    pub const fn as_millis(self) -> u16 {
        self.0
    }

    /// The wait as a [`Duration`].
    pub const fn time(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
