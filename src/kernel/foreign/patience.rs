//! For how long something is waited for, on a machine that may have other things to do.
//!
//! A bound on the clock says nothing about a server that is not given a processor. So time in which a task of the server's, or the harness
//! itself, could run and did not (`run_delay`, the second number of `/proc/PID/task/TID/schedstat`) does not count against the bound. A
//! server that computes for as long as the bound has had its time, however much longer it would have to wait for more.

use super::gate::Server;
use super::world::LOOK_UP;
use std::time::{Duration, Instant};

/// What a server has been given of the processors, and what it waited for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scheduled {
    /// For how long its tasks ran.
    pub(super) ran: Duration,
    /// For how long they could have run, and did not.
    pub(super) waited: Duration,
}

impl Scheduled {
    /// From the contents of a `schedstat`.
    pub(super) fn parse(text: &str) -> Option<Scheduled> {
        let mut numbers = text.split_whitespace().map(|word| word.parse().map(Duration::from_nanos));
        Some(Scheduled { ran: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
    }

    pub(super) fn plus(self, other: Scheduled) -> Scheduled {
        Scheduled { ran: self.ran + other.ran, waited: self.waited + other.waited }
    }

    /// What was added since; tasks that have ended meanwhile took theirs with them.
    fn since(self, before: Scheduled) -> Scheduled {
        Scheduled { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

/// A wait that is bounded. Only a wait that is not over at once costs anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) start: Instant,
    /// What the server and the harness had been given when it was first asked.
    before: Option<(Scheduled, Duration)>,
}

/// So many times as long as its bound a wait may take at most, and so much longer.
const MOST_TIMES: u32 = 20;
const MOST_LONGER: Duration = Duration::from_secs(60);

impl Patience {
    /// Begins now.
    pub(crate) fn new() -> Patience {
        Patience { start: Instant::now(), before: None }
    }

    /// Whether the time is up for the server to do what takes it no longer than `bound` on an idle machine.
    pub(crate) fn is_up(&mut self, server: &Server, bound: Duration) -> bool {
        let (before, own) = *self.before.get_or_insert_with(|| (server.scheduled(), own_wait()));
        let elapsed = self.start.elapsed();
        if elapsed < bound {
            return false;
        }
        let given = server.scheduled().since(before);
        is_up(bound, elapsed, given, own_wait().saturating_sub(own))
    }

    /// Until when to wait before it is asked again.
    pub(crate) fn next(&self, bound: Duration) -> Instant {
        let soon = Instant::now() + LOOK_UP;
        self.start.checked_add(bound).filter(|end| *end > Instant::now()).map_or(soon, |end| end.min(soon))
    }
}

/// The rule of [`Patience::is_up`]: `given` is what the server was given, `own` for how long the harness could have run and did not.
fn is_up(bound: Duration, elapsed: Duration, given: Scheduled, own: Duration) -> bool {
    let most = bound.saturating_mul(MOST_TIMES).min(bound + MOST_LONGER);
    elapsed >= bound && (given.ran >= bound || elapsed >= (bound + given.waited + own).min(most))
}

/// For how long the calling thread could have run and did not.
fn own_wait() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Scheduled::parse(&text).unwrap_or_default().waited
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn given(ran: u32, waited: u32) -> Scheduled {
        Scheduled { ran: SECOND * ran, waited: SECOND * waited }
    }

    #[test]
    fn on_an_idle_machine_the_bound_is_one_of_the_clock() {
        assert!(!is_up(SECOND * 2, SECOND, given(0, 0), Duration::ZERO));
        assert!(is_up(SECOND * 2, SECOND * 2, given(0, 0), Duration::ZERO));
    }

    #[test]
    fn time_in_which_somebody_could_not_run_does_not_count() {
        assert!(!is_up(SECOND, SECOND * 4, given(0, 4), Duration::ZERO));
        assert!(!is_up(SECOND, SECOND * 4, given(0, 2), SECOND * 2));
        assert!(is_up(SECOND, SECOND * 5, given(0, 2), SECOND * 2));
    }

    #[test]
    fn a_server_that_has_run_for_as_long_as_the_bound_has_had_its_time() {
        assert!(is_up(SECOND, SECOND * 4, given(1, 4), Duration::ZERO));
        assert!(!is_up(SECOND * 2, SECOND, given(4, 0), Duration::ZERO), "on several processors");
    }

    #[test]
    fn no_wait_is_without_an_end() {
        assert!(is_up(SECOND, SECOND * 20, given(0, 1000), Duration::ZERO));
        assert!(is_up(SECOND * 10, SECOND * 70, given(0, 1000), Duration::ZERO));
        assert!(!is_up(SECOND * 10, SECOND * 69, given(0, 1000), Duration::ZERO));
    }

    #[test]
    fn the_kernels_numbers_are_nanoseconds() {
        let both = Scheduled::parse("1000000000 2000000000 17\n").unwrap();
        assert_eq!(both, given(1, 2));
        assert_eq!(Scheduled::parse(""), None);
        assert_eq!(both.plus(both).since(both), both);
    }
}
