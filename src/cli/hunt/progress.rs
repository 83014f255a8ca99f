//! The progress of a hunt, as a line on standard error every ten seconds, where that is not a terminal.

use std::fmt;
use std::time::{Duration, Instant};

/// The interval between two lines.
const EVERY: Duration = Duration::from_secs(10);

/// When the next line is due, and what is needed to compute the rate in it.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    next: Duration,
    /// The number of scenarios at the last line, and the time of that line.
    last: (u64, Duration),
}

/// The state of a hunt.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoFar<A> {
    pub(super) played: u64,
    pub(super) findings: usize,
    /// What the hunt is doing.
    pub(super) now: A,
}

impl Progress {
    pub(super) fn new(start: Instant) -> Progress {
        Progress { start, next: EVERY, last: (0, Duration::ZERO) }
    }

    /// The time until the next line is due.
    pub(super) fn due_in(&self) -> Duration {
        self.next.saturating_sub(self.start.elapsed())
    }

    /// The next line, if it is due.
    pub(super) fn line(&mut self, so_far: SoFar<impl fmt::Display>) -> Option<String> {
        self.line_at(self.start.elapsed(), so_far)
    }

    fn line_at(&mut self, elapsed: Duration, so_far: SoFar<impl fmt::Display>) -> Option<String> {
        if elapsed < self.next {
            return None;
        }
        let SoFar { played, findings, now } = so_far;
        let (before, then) = std::mem::replace(&mut self.last, (played, elapsed));
        let rate = played.saturating_sub(before) as f64 / (elapsed - then).as_secs_f64();
        // A line that was missed is not made up for.
        self.next = EVERY * (elapsed.div_duration_f64(EVERY) as u32 + 1);
        let [scenarios, found] = [(played, "scenario"), (findings as u64, "finding")]
            .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
        Some(format!("{} s: {scenarios}, {rate:.0}/s, {found}; {now}", elapsed.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_what_it_is_doing_and_comes_each_ten_seconds() {
        let mut progress = Progress::new(Instant::now());
        let mut line = |seconds: f64, played, findings| {
            let so_far = SoFar { played, findings, now: "playing scenarios" };
            progress.line_at(Duration::from_secs_f64(seconds), so_far)
        };
        assert_eq!(line(9.9, 50, 0), None);
        assert_eq!(line(10.0, 100, 0).as_deref(), Some("10 s: 100 scenarios, 10/s, 0 findings; playing scenarios"));
        assert_eq!(line(10.1, 101, 0), None);
        assert_eq!(line(35.0, 101, 1).as_deref(), Some("35 s: 101 scenarios, 0/s, 1 finding; playing scenarios"));
        assert_eq!(line(39.0, 101, 1), None);
        assert_eq!(line(40.0, 601, 1).as_deref(), Some("40 s: 601 scenarios, 100/s, 1 finding; playing scenarios"));
    }
}
