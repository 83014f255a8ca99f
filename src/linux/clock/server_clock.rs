//! The clock of a server: the machine's clocks, put forward by as much as the harness has let them jump.

use std::time::{Duration, Instant};

/// The clock of one server. It runs at the pace of the machine's, and never falls behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerClock {
    /// By how much it is ahead of the machine's: a multiple of a microsecond, so that all clocks of a process, those in microseconds too,
    /// agree.
    ahead: Duration,
}

impl ServerClock {
    /// A clock that is ahead of the machine's by this whole number of microseconds.
    #[cfg(test)]
    pub(crate) const fn at(ahead: Duration) -> ServerClock {
        ServerClock { ahead }
    }

    /// The present on this clock.
    pub(crate) fn now(self) -> Instant {
        Instant::now() + self.ahead
    }

    /// By how much the clock is ahead of the machine's.
    pub(crate) const fn ahead(self) -> Duration {
        self.ahead
    }

    /// The time after `time` from now; `None` if an `Instant` cannot hold it.
    pub(crate) fn after(self, time: Duration) -> Option<Instant> {
        self.now().checked_add(time)
    }

    /// What one of the clocks that jump ([`jumps`]) shows to the server; `None` for another clock, and for one that this process cannot
    /// read.
    pub(crate) fn reading(self, clock: libc::clockid_t) -> Option<Duration> {
        let shown = jumps(clock).then(|| nix::time::clock_gettime(nix::time::ClockId::from_raw(clock)).ok())?;
        shown.map(|shown| Duration::from(shown) + self.ahead)
    }

    /// The instant at which one of the clocks that jump will show `time`; the present if it has shown that already.
    pub(crate) fn instant_of(self, clock: libc::clockid_t, time: Duration) -> Option<Instant> {
        self.after(time.saturating_sub(self.reading(clock)?))
    }

    /// Puts the clock forward by `time`, rounded up to a microsecond. False if it cannot be put that far.
    pub(crate) fn put_forward(&mut self, time: Duration) -> bool {
        let micros = u64::try_from(time.as_nanos().div_ceil(1000)).ok();
        let ahead = micros.and_then(|micros| self.ahead.checked_add(Duration::from_micros(micros)));
        let held = ahead.filter(|ahead| Instant::now().checked_add(*ahead).is_some());
        held.map(|ahead| self.ahead = ahead).is_some()
    }
}

/// Whether a clock shows the time, and not how much processor time something has used (`clock_gettime(2)`, `linux/time.h`). The code in the
/// vDSO and the filter have the same rule.
pub(crate) const fn jumps(clock: libc::clockid_t) -> bool {
    matches!(clock, 0 | 1 | 4..=9 | 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn all_clocks_are_put_forward_by_whole_microseconds() {
        let mut clock = ServerClock::default();
        assert!(clock.put_forward(Duration::from_nanos(1001)));
        assert_eq!(clock.ahead(), Duration::from_micros(2));
        assert!(clock.put_forward(3600 * SECOND));
        let (before, shown) = (nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).unwrap(), clock.now());
        assert!(shown > Instant::now() + 3599 * SECOND);
        let realtime = clock.reading(libc::CLOCK_REALTIME).unwrap();
        assert!(realtime >= Duration::from(before) + 3600 * SECOND);
        assert!(!clock.put_forward(Duration::MAX));
        assert_eq!(clock.ahead(), 3600 * SECOND + Duration::from_micros(2));
    }

    #[test]
    fn processor_time_does_not_jump() {
        let clock = ServerClock::default();
        for id in [libc::CLOCK_PROCESS_CPUTIME_ID, libc::CLOCK_THREAD_CPUTIME_ID, -6, 10, 12] {
            assert_eq!(clock.reading(id), None, "{id}");
            assert_eq!(clock.instant_of(id, SECOND), None, "{id}");
        }
    }

    #[test]
    fn a_point_in_time_that_has_passed_is_the_present() {
        let clock = ServerClock::default();
        let now = Instant::now();
        let passed = clock.instant_of(libc::CLOCK_MONOTONIC, Duration::ZERO).unwrap();
        assert!(passed >= now && passed <= Instant::now());
    }
}
