//! Bounds on how long the harness waits for a server, on a machine that may be busy with other programs.
//!
//! The bounds are of time on the server's clock. Wall-clock time says nothing about a server that gets no processor. So time in which a task of the server or the harness itself was
//! runnable and did not run (`run_delay`, the second number of `/proc/PID/task/TID/schedstat`) does not count against the bound. But once
//! the server has used as much processor time as the bound, the wait is over, however long the server has waited for a processor.

use super::server::{LOOK_UP, Server};
use crate::linux::sys::proc::Scheduled;
use std::time::{Duration, Instant};

/// A bounded wait. If the awaited condition is true at once, the wait reads nothing from `/proc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// On the server's clock.
    pub(crate) start: Instant,
    /// The same moment in real time.
    began: Instant,
    /// How often the server's clock had been put forward at the start.
    jumps: u64,
    /// The processor time that the server had used when the bound was first checked, and the time that the server and the harness had
    /// waited for a processor.
    before: Option<Scheduled>,
}

/// A wait takes at most this many times its bound, and at most [`MOST_LONGER`] longer than its bound.
const MOST_TIMES: u32 = 20;
const MOST_LONGER: Duration = Duration::from_secs(60);
/// How much real time a wait takes whose bound is longer.
const MOST_REAL: Duration = Duration::from_secs(90);
/// A start, whose bound is long, takes at most this many times its bound.
const MOST_TIMES_OF_A_START: u32 = 3;

impl Patience {
    /// A wait that begins now.
    pub(crate) fn new(server: &Server) -> Patience {
        Patience { start: server.now(), began: Instant::now(), jumps: server.jumps(), before: None }
    }

    /// How often the server's clock has been put forward since the start; `None` if it does not jump.
    pub(crate) fn jumps(&self, server: &Server) -> Option<u64> {
        server.real_time().is_none().then(|| server.jumps() - self.jumps)
    }

    /// Whether the time is up for something that takes the server no longer than `bound` on an idle machine.
    pub(crate) fn is_up(&mut self, server: &Server, bound: Duration) -> bool {
        // A bound of hours is one of virtual time. If none passes, because the server waits for something outside, it is not waited for.
        let bound = if self.began.elapsed() < MOST_REAL { bound } else { bound.min(MOST_REAL) };
        self.asks(server, bound, is_up)
    }

    /// Whether more real time has passed than any wait but that for a start takes.
    pub(crate) fn is_long(&self) -> bool {
        self.began.elapsed() >= MOST_REAL
    }

    /// The same for a start, which may use any amount of processor time, on several processors at once.
    pub(crate) fn is_over(&mut self, server: &Server, bound: Duration) -> bool {
        self.asks(server, bound, is_over)
    }

    fn asks(
        &mut self,
        server: &Server,
        bound: Duration,
        rule: impl FnOnce(Duration, Duration, Scheduled) -> bool,
    ) -> bool {
        let now = || {
            let Scheduled { ran, waited } = server.scheduled();
            Scheduled { ran, waited: waited + own_wait() }
        };
        let before = *self.before.get_or_insert_with(now);
        let elapsed = server.now().saturating_duration_since(self.start);
        elapsed >= bound && rule(bound, elapsed, now().since(before))
    }

    /// The time until which to wait before the bound is checked again, on the server's clock.
    pub(crate) fn next(&self, server: &Server, bound: Duration) -> Instant {
        let now = server.now();
        self.start.checked_add(bound).filter(|end| *end > now).unwrap_or(now + LOOK_UP)
    }
}

/// The rule of [`Patience::is_up`]. `given` is the processor time that the server has used meanwhile, and the time that the server and the
/// harness have waited for a processor.
fn is_up(bound: Duration, elapsed: Duration, given: Scheduled) -> bool {
    let most = bound.saturating_mul(MOST_TIMES).min(bound + MOST_LONGER);
    elapsed >= bound && (given.ran >= bound || elapsed >= (bound + given.waited).min(most))
}

/// The rule of [`Patience::is_over`].
fn is_over(bound: Duration, elapsed: Duration, given: Scheduled) -> bool {
    elapsed >= (bound + given.waited).min(bound.saturating_mul(MOST_TIMES_OF_A_START))
}

/// For how long the calling thread has been runnable and did not run.
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
        assert!(!is_up(SECOND * 2, SECOND, given(0, 0)));
        assert!(is_up(SECOND * 2, SECOND * 2, given(0, 0)));
        assert!(!is_over(SECOND * 2, SECOND, given(0, 0)));
        assert!(is_over(SECOND * 2, SECOND * 2, given(2, 0)));
    }

    #[test]
    fn time_in_which_somebody_could_not_run_does_not_count() {
        assert!(!is_up(SECOND, SECOND * 4, given(0, 4)));
        assert!(is_up(SECOND, SECOND * 5, given(0, 4)));
        assert!(!is_over(SECOND * 2, SECOND * 4, given(2, 3)));
        assert!(is_over(SECOND * 2, SECOND * 5, given(2, 3)));
    }

    #[test]
    fn a_server_that_has_run_for_as_long_as_the_bound_has_had_its_time_unless_it_starts() {
        assert!(is_up(SECOND, SECOND * 4, given(1, 4)));
        assert!(!is_up(SECOND * 2, SECOND, given(4, 0)), "on several processors");
        assert!(!is_over(SECOND * 2, SECOND, given(8, 0)));
    }

    #[test]
    fn no_wait_is_without_an_end() {
        assert!(is_up(SECOND, SECOND * 20, given(0, 1000)));
        assert!(is_up(SECOND * 10, SECOND * 70, given(0, 1000)));
        assert!(!is_up(SECOND * 10, SECOND * 69, given(0, 1000)));
        assert!(is_over(SECOND * 10, SECOND * 30, given(0, 1000)));
        assert!(!is_over(SECOND * 10, SECOND * 29, given(0, 1000)));
    }

    #[test]
    fn the_kernels_numbers_are_nanoseconds() {
        let both = Scheduled::parse("1000000000 2000000000 17\n").unwrap();
        assert_eq!(both, given(1, 2));
        assert_eq!(Scheduled::parse(""), None);
        assert_eq!(both.plus(both).since(both), both);
        assert_eq!(both.since(both.plus(both)), given(0, 0), "of tasks that have ended");
    }
}
