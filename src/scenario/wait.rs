//! A time that passes.

use std::fmt;
use std::time::Duration;

/// Longest [`Wait`], in milliseconds.
pub const MAX_WAIT: u16 = 60_000;

/// A time that passes: whole milliseconds, 1 to [`MAX_WAIT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wait(u16);

impl Wait {
    /// So many milliseconds, or `None` for none or more than [`MAX_WAIT`].
    pub const fn millis(millis: u16) -> Option<Wait> {
        if millis >= 1 && millis <= MAX_WAIT { Some(Wait(millis)) } else { None }
    }

    /// How many milliseconds.
    pub const fn as_millis(self) -> u16 {
        self.0
    }

    /// The same as the standard library has it.
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
