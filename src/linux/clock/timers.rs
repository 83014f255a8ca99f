//! The timers of a server's processes, and when they expire.
//!
//! - *Interval timers* (`setitimer(2)` with ITIMER_REAL, `alarm(2)`) are kept by the harness. There are two reasons: `/proc` does not show
//!   them, and a signal that arrives while a call waits at the gate and its notification has not been received would make the call return
//!   EINTR without having run, even `close(2)`. So the harness answers these calls itself, and sends SIGALRM when the timer has expired and
//!   every task is blocked. A `fork(2)` does not inherit them; an `execve(2)` keeps them.
//! - *POSIX timers* (`timer_settime(2)`) run in the kernel. The harness records their expiry when `timer_settime` passes the gate, because
//!   `/proc/PID/timers` does not contain it.
//! - The expiry of *timer descriptors* (`timerfd_create(2)`) is read from `/proc/PID/fdinfo`.

use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::sys::process as sys;
use crate::scenario::Errno;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An armed timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Armed {
    /// `None` if the timer's clock cannot be read.
    deadline: Option<Instant>,
    /// Zero if the timer expires once.
    interval: Duration,
}

impl Armed {
    /// The timer after it has expired, armed for its next expiry after `now`; `None` if there is no next expiry.
    fn after(self, now: Instant) -> Option<Armed> {
        let deadline = self.deadline?;
        if self.interval.is_zero() {
            return None;
        }
        let missed = now.saturating_duration_since(deadline).as_nanos() / self.interval.as_nanos().max(1);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        Some(Armed { deadline: deadline.checked_add(self.interval.saturating_mul(missed)), ..self })
    }
}

/// The timers of a server's processes.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// By pid.
    interval: BTreeMap<i32, Armed>,
    /// By pid, and the timer's number in that process.
    posix: BTreeMap<(i32, i32), Armed>,
    /// Whether any process has created a timer descriptor.
    pub(crate) descriptors: bool,
}

impl Timers {
    /// Handles a call that arms, disarms or reads a timer, and returns the answer to the call.
    pub(crate) fn called(&mut self, pid: i32, name: &str, arguments: &[u64; 6]) -> Answer {
        let now = Instant::now();
        match name {
            "alarm" => {
                let left = self.left(pid, now).0;
                let seconds = Duration::from_secs(u64::from(arguments[0] as u32));
                self.arm(pid, now, seconds, Duration::ZERO);
                // Rounded to the nearest second, but never to 0 for an armed timer (`alarm_setitimer`).
                let rest = left.as_secs() + u64::from(left.subsec_millis() >= 500 || left < Duration::from_secs(1));
                Answer::Value(if left.is_zero() { 0 } else { rest as i64 })
            }
            "getitimer" if arguments[0] as i32 == libc::ITIMER_REAL => self.tell(pid, arguments[1], now),
            "setitimer" if arguments[0] as i32 == libc::ITIMER_REAL => {
                let mut new = [0i64; 4];
                if arguments[1] != 0 && sys::read_memory(pid, arguments[1], &mut new).is_err() {
                    return Answer::Error(Errno::EFAULT);
                }
                let (Some(interval), Some(value)) = (timeval(new[0], new[1]), timeval(new[2], new[3])) else {
                    return Answer::Error(Errno::from_raw(libc::EINVAL));
                };
                let told = if arguments[2] == 0 { Answer::Value(0) } else { self.tell(pid, arguments[2], now) };
                if told == Answer::Value(0) {
                    self.arm(pid, now, value, interval);
                }
                told
            }
            "timer_settime" => {
                self.note(pid, arguments, now);
                Answer::Continue
            }
            // ITIMER_VIRTUAL and ITIMER_PROF: timers on clocks of processor time stay with the kernel.
            _ => Answer::Continue,
        }
    }

    fn arm(&mut self, pid: i32, now: Instant, value: Duration, interval: Duration) {
        match value.is_zero() {
            true => drop(self.interval.remove(&pid)),
            false => drop(self.interval.insert(pid, Armed { deadline: now.checked_add(value), interval })),
        }
    }

    /// The time until the interval timer of a process expires, and its interval. Both are zero if the timer is disarmed.
    fn left(&self, pid: i32, now: Instant) -> (Duration, Duration) {
        match self.interval.get(&pid) {
            Some(Armed { deadline: Some(deadline), interval }) => {
                // The timer may have expired without SIGALRM having been sent. It is not disarmed then, so the time is not zero.
                (deadline.saturating_duration_since(now).max(Duration::from_micros(1)), *interval)
            }
            Some(Armed { deadline: None, interval }) => (Duration::MAX, *interval),
            None => (Duration::ZERO, Duration::ZERO),
        }
    }

    /// Writes the remaining time and the interval into the memory of the process, as `getitimer(2)` does.
    fn tell(&self, pid: i32, address: u64, now: Instant) -> Answer {
        let (left, interval) = self.left(pid, now);
        let words = [interval, left].map(|time| [time.as_secs() as i64, i64::from(time.subsec_micros())]);
        match sys::write_memory(pid, address, words.as_flattened()) {
            Ok(()) => Answer::Value(0),
            Err(_) => Answer::Error(Errno::EFAULT),
        }
    }

    /// Records a `timer_settime(2)`.
    fn note(&mut self, pid: i32, arguments: &[u64; 6], now: Instant) {
        let id = arguments[0] as i32;
        let mut new = [0i64; 4];
        if sys::read_memory(pid, arguments[2], &mut new).is_err() {
            return;
        }
        let time = |i: usize| {
            Duration::from_secs(new[i].max(0) as u64).saturating_add(Duration::from_nanos(new[i + 1].max(0) as u64))
        };
        let (interval, value) = (time(0), time(2));
        if value.is_zero() {
            self.posix.remove(&(pid, id));
            return;
        }
        let clock = clock_of(pid, id);
        let readable = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME];
        let deadline = match clock.filter(|clock| readable.contains(clock)) {
            None => None,
            Some(_) if arguments[1] as i32 & libc::TIMER_ABSTIME == 0 => now.checked_add(value),
            Some(clock) => {
                let shown = nix::time::clock_gettime(nix::time::ClockId::from_raw(clock)).map(Duration::from);
                shown.ok().and_then(|shown| now.checked_add(value.saturating_sub(shown)))
            }
        };
        self.posix.insert((pid, id), Armed { deadline, interval });
    }

    /// The processes whose interval timers have expired by `now`, each of which must be sent SIGALRM. Periodic timers are armed again.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<i32> {
        let due = |armed: &Armed| armed.deadline.is_some_and(|deadline| deadline <= now);
        let pids: Vec<i32> = self.interval.iter().filter(|(_, armed)| due(armed)).map(|(pid, _)| *pid).collect();
        self.interval = go_on(std::mem::take(&mut self.interval), now);
        pids
    }

    /// Whether a POSIX timer has expired by `now`. Periodic timers are armed again, others are removed.
    pub(crate) fn posix_expired(&mut self, now: Instant) -> bool {
        let before = self.posix.len();
        let due = self.posix.values().any(|armed| armed.deadline.is_some_and(|deadline| deadline <= now));
        if due {
            self.posix = go_on(std::mem::take(&mut self.posix), now);
        }
        due || self.posix.len() < before
    }

    /// Removes the timers of processes that have ended, and POSIX timers that have been deleted.
    pub(crate) fn keep(&mut self, runs: impl Fn(i32) -> bool) {
        self.interval.retain(|pid, _| runs(*pid));
        self.posix.retain(|(pid, id), _| runs(*pid) && clock_of(*pid, *id).is_some());
    }

    /// Whether the deadline of an armed POSIX timer cannot be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.posix.values().any(|armed| armed.deadline.is_none())
    }

    /// The earliest deadline of the interval timers.
    pub(crate) fn next_interval(&self) -> Option<Instant> {
        self.interval.values().filter_map(|armed| armed.deadline).min()
    }

    /// The next deadline of each timer, including the timer descriptors of these processes.
    pub(crate) fn deadlines(&self, processes: impl Iterator<Item = i32>) -> Vec<Instant> {
        let kept = self.interval.values().chain(self.posix.values()).filter_map(|armed| armed.deadline);
        let mut all: Vec<Instant> = kept.collect();
        if self.descriptors {
            all.extend(processes.flat_map(of_descriptors));
        }
        all
    }
}

fn go_on<K: Ord>(timers: BTreeMap<K, Armed>, now: Instant) -> BTreeMap<K, Armed> {
    let next = |armed: Armed| match armed.deadline {
        Some(deadline) if deadline <= now => armed.after(now),
        _ => Some(armed),
    };
    timers.into_iter().filter_map(|(key, armed)| Some((key, next(armed)?))).collect()
}

/// Converts a `struct timeval`; `None` if the kernel would refuse the value.
fn timeval(seconds: i64, microseconds: i64) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok()?;
    let microseconds = u32::try_from(microseconds).ok().filter(|rest| *rest < 1_000_000)?;
    Some(Duration::from_secs(seconds) + Duration::from_micros(microseconds.into()))
}

/// The clock of a POSIX timer, from `/proc/PID/timers`; `None` if there is no such timer.
fn clock_of(pid: i32, id: i32) -> Option<libc::clockid_t> {
    clock_in(&std::fs::read_to_string(format!("/proc/{pid}/timers")).ok()?, id)
}

fn clock_in(text: &str, id: i32) -> Option<libc::clockid_t> {
    let mut here = false;
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("ID:") {
            here = number.trim().parse() == Ok(id);
        } else if let Some(clock) = line.strip_prefix("ClockID:").filter(|_| here) {
            return clock.trim().parse().ok();
        }
    }
    None
}

/// The deadlines of the timer descriptors of a process.
fn of_descriptors(pid: i32) -> Vec<Instant> {
    let now = Instant::now();
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let timerfds = entries
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:[timerfd]"));
    let left = timerfds.filter_map(|entry| {
        let path = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?);
        left_in(&std::fs::read_to_string(path).ok()?)
    });
    left.filter_map(|left| now.checked_add(left)).collect()
}

/// The time until a timer descriptor expires, from its `/proc/PID/fdinfo`; `None` if it is disarmed.
fn left_in(text: &str) -> Option<Duration> {
    let value = text.lines().find_map(|line| line.strip_prefix("it_value:"))?.trim();
    let (seconds, nanoseconds) = value.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let left =
        Duration::from_secs(seconds.trim().parse().ok()?) + Duration::from_nanos(nanoseconds.trim().parse().ok()?);
    (!left.is_zero()).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_interval_timer_expires_and_goes_on_as_it_was_set() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.arm(7, now, SECOND, 2 * SECOND);
        timers.arm(8, now, SECOND, Duration::ZERO);
        assert!(timers.expired(now).is_empty());
        assert_eq!(timers.next_interval(), Some(now + SECOND));
        assert_eq!(timers.expired(now + SECOND), [7, 8]);
        assert_eq!(timers.next_interval(), Some(now + 3 * SECOND));
        // Several missed expiries give one signal, as with the kernel's timers.
        assert_eq!(timers.expired(now + 6 * SECOND), [7]);
        assert_eq!(timers.next_interval(), Some(now + 7 * SECOND));
        timers.arm(7, now, Duration::ZERO, SECOND);
        assert_eq!(timers.next_interval(), None);
    }

    #[test]
    fn an_alarm_says_how_many_seconds_were_left() {
        let mut timers = Timers::default();
        assert_eq!(timers.called(7, "alarm", &[20, 0, 0, 0, 0, 0]), Answer::Value(0));
        assert_eq!(timers.called(7, "alarm", &[0; 6]), Answer::Value(20));
        assert_eq!(timers.called(7, "alarm", &[0; 6]), Answer::Value(0));
    }

    #[test]
    fn an_interval_timer_is_read_from_memory_and_told_in_it() {
        let pid = nix::unistd::getpid().as_raw();
        let mut timers = Timers::default();
        let (new, old) = ([3i64, 0, 100, 0], [-1i64; 4]);
        let set = |timers: &mut Timers, new: &[i64; 4]| {
            timers.called(pid, "setitimer", &[0, new.as_ptr() as u64, old.as_ptr() as u64, 0, 0, 0])
        };
        assert_eq!(set(&mut timers, &new), Answer::Value(0));
        assert_eq!(set(&mut timers, &new), Answer::Value(0));
        // `old` was written by a system call that the compiler does not know to write there.
        let old = std::hint::black_box(&old);
        assert_eq!(old[0], 3);
        assert!((99..=100).contains(&old[2]), "{old:?}");
        assert_eq!(set(&mut timers, &[0, 1_000_000, 1, 0]), Answer::Error(Errno::from_raw(libc::EINVAL)));
        // Timers on processor time stay with the kernel.
        assert_eq!(timers.called(pid, "setitimer", &[1, 0, 0, 0, 0, 0]), Answer::Continue);
    }

    #[test]
    fn timers_are_found_in_the_words_of_proc() {
        let text = "ID: 1\nsignal: 14/0000000000000000\nnotify: signal/pid.7\nClockID: 1\n\
                    ID: 0\nsignal: 10/0000000000000000\nnotify: signal/pid.7\nClockID: 0\n";
        assert_eq!((clock_in(text, 1), clock_in(text, 0), clock_in(text, 2)), (Some(1), Some(0), None));
        let text =
            "pos:\t0\nflags:\t02\nclockid: 1\nticks: 0\nsettime flags: 00\nit_value: (59, 5)\nit_interval: (0, 0)\n";
        assert_eq!(left_in(text), Some(Duration::new(59, 5)));
        assert_eq!(left_in("it_value: (0, 0)\n"), None);
    }
}
