//! The duration of a `wait` event.

use std::fmt;
use std::time::Duration;

/// Longest [`Wait`]: a day.
pub const MAX_WAIT: Duration = Duration::from_millis(24 * HOUR as u64);

/// Milliseconds.
const SECOND: u32 = 1000;
const MINUTE: u32 = 60 * SECOND;
const HOUR: u32 = 60 * MINUTE;
/// The longest wait that need not be one of whole seconds.
const EXACT: u32 = 2 * HOUR;
/// The units that a wait can be given in, and the milliseconds of each.
const UNITS: [(&str, u32); 4] = [("ms", 1), ("s", SECOND), ("m", MINUTE), ("h", HOUR)];
/// In a wait as a number: the rest is a number of seconds.
const SECONDS: u32 = 1 << 23;

/// The duration of a `wait` event: whole milliseconds up to two hours, and whole seconds up to [`MAX_WAIT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wait(u32);

impl Wait {
    /// A wait of this many milliseconds. `None` if that is 0, more than [`MAX_WAIT`], or more than two hours and not whole seconds.
    pub const fn millis(millis: u32) -> Option<Wait> {
        let held = millis >= 1 && millis <= 24 * HOUR && (millis <= EXACT || millis.is_multiple_of(SECOND));
        if held { Some(Wait(millis)) } else { None }
    }

    /// The number of milliseconds.
    pub const fn as_millis(self) -> u32 {
        self.0
    }

    /// The wait as a [`Duration`].
    pub const fn time(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }

    /// The shortest wait that is at least this long; the longest one if there is none.
    pub(crate) fn at_least(time: Duration) -> Wait {
        let millis = time.as_nanos().div_ceil(1_000_000).clamp(1, (24 * HOUR).into()) as u32;
        Wait(if millis <= EXACT { millis } else { millis.next_multiple_of(SECOND) })
    }

    /// The wait as a number of 24 bits.
    pub(crate) const fn number(self) -> u32 {
        if self.0 <= EXACT { self.0 } else { SECONDS | (self.0 / SECOND) }
    }

    /// The wait with this number. Any number is valid.
    pub(crate) const fn from_number(number: u32) -> Wait {
        let millis = if number & SECONDS == 0 { number } else { (number & !SECONDS).saturating_mul(SECOND) };
        match Wait::millis(millis) {
            Some(wait) => wait,
            // Numbers that are none stand for short ones.
            None => Wait(number % 16 + 1),
        }
    }

    /// The wait with this text: a number and its unit.
    pub(super) fn from_text(text: &str) -> Option<Wait> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &text[digits.len()..])?;
        Wait::millis(digits.parse::<u32>().ok()?.checked_mul(*unit)?)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Minutes are read and never shown: `5m` is easily taken for 5 ms.
        let mut units = UNITS.iter().rev().filter(|(name, _)| *name != "m");
        let (name, unit) = units.find(|(_, unit)| self.0.is_multiple_of(*unit)).unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_any_unit_and_shown_in_the_largest_of_whole_numbers() {
        let shown = |text| Wait::from_text(text).map(|wait| wait.to_string());
        for (text, expected) in [
            ("300ms", "300ms"),
            ("1000ms", "1s"),
            ("75s", "75s"),
            ("74999ms", "74999ms"),
            ("2m", "120s"),
            ("60m", "1h"),
            ("86400s", "24h"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected));
            assert_eq!(shown(expected).as_deref(), Some(expected));
        }
        for text in ["", "0ms", "5", "ms", "1.5s", "25h", "7200001ms", "99999999h", "5d", "5 s"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn every_wait_has_a_number_and_every_number_is_a_wait() {
        for millis in [1, 999, 60_000, EXACT - 1, EXACT, EXACT + SECOND, 24 * HOUR] {
            let wait = Wait::millis(millis).unwrap();
            assert!(wait.number() < 1 << 24);
            assert_eq!(Wait::from_number(wait.number()), wait);
        }
        assert_eq!(Wait::from_number(0), Wait(1));
        assert_eq!(Wait::from_number(u32::MAX >> 8), Wait(16));
    }

    #[test]
    fn a_time_is_waited_for_in_full() {
        let at_least = |time| Wait::at_least(time).to_string();
        assert_eq!(at_least(Duration::from_micros(1)), "1ms");
        assert_eq!(at_least(Duration::from_micros(75_000_001)), "75001ms");
        assert_eq!(at_least(Duration::from_millis(7_200_001)), "7201s");
        assert_eq!(at_least(Duration::MAX), "24h");
    }
}
