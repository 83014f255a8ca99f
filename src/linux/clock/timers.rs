//! The timers of a server's processes, and when they expire.
//!
//! - *Interval timers* (`setitimer(2)` with ITIMER_REAL, `alarm(2)`) are kept by the harness. There are two reasons: `/proc` does not show
//!   them, and a signal that arrives while a call waits at the gate and its notification has not been received would make the call return
//!   EINTR without having run, even `close(2)`. So the harness answers these calls itself, and sends SIGALRM when the timer has expired and
//!   every task is blocked. A `fork(2)` does not inherit them; an `execve(2)` keeps them.
//! - *POSIX timers* (`timer_settime(2)`) are kept by the harness too if the server's clock may jump. Else they run in the kernel, and the
//!   harness records their expiry when `timer_settime` passes the gate, because `/proc/PID/timers` does not contain it. Timers on a clock of
//!   processor time always run in the kernel.
//! - The expiry of *timer descriptors* (`timerfd_create(2)`) is read from `/proc/PID/fdinfo`.

use super::descriptors;
use super::server_clock::{ServerClock, jumps};
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::sys::process as sys;
use crate::linux::sys::signals::{TimerSignal, timer_signal};
use crate::linux::sys::timerfd::Setting;
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
    /// Whether the harness keeps POSIX timers.
    keeps_posix: bool,
    /// Whether any process has created a timer descriptor.
    pub(crate) descriptors: bool,
}

impl Timers {
    /// No timers. Whether those of POSIX are to be kept by the harness.
    pub(crate) fn new(keeps_posix: bool) -> Timers {
        Timers { keeps_posix, ..Timers::default() }
    }

    /// Handles a call that arms, disarms or reads a timer, and returns the answer to the call.
    pub(crate) fn called(&mut self, pid: i32, name: &str, arguments: &[u64; 6], clock: ServerClock) -> Answer {
        let now = clock.now();
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
            "timer_settime" if self.keeps(pid, arguments) => {
                let old = self.told_posix(pid, arguments[0], arguments[3], now);
                if old == Answer::Value(0) { self.note(pid, arguments, clock) } else { old }
            }
            "timer_settime" => {
                self.note(pid, arguments, clock);
                Answer::Continue
            }
            "timer_gettime" if arguments[1] != 0 && self.keeps(pid, arguments) => {
                self.told_posix(pid, arguments[0], arguments[1], now)
            }
            // Expiries that were missed are not counted.
            "timer_getoverrun" if self.keeps(pid, arguments) => Answer::Value(0),
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
        left(self.interval.get(&pid), now)
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

    /// Whether the harness keeps the POSIX timer with the number in the first argument of a call.
    fn keeps(&self, pid: i32, arguments: &[u64; 6]) -> bool {
        self.keeps_posix && clock_of(pid, arguments[0] as i32).is_some_and(jumps)
    }

    /// Writes the remaining time and the interval of a POSIX timer into the memory of the process, unless the address is null.
    fn told_posix(&self, pid: i32, id: u64, address: u64, now: Instant) -> Answer {
        let (left, interval) = left(self.posix.get(&(pid, id as i32)), now);
        match address == 0 || sys::write_memory(pid, address, &Setting { left, interval }.words()).is_ok() {
            true => Answer::Value(0),
            false => Answer::Error(Errno::EFAULT),
        }
    }

    /// Records a `timer_settime(2)`. Returns the answer if the harness keeps the timer.
    fn note(&mut self, pid: i32, arguments: &[u64; 6], clock: ServerClock) -> Answer {
        let id = arguments[0] as i32;
        let mut new = [0i64; 4];
        if sys::read_memory(pid, arguments[2], &mut new).is_err() {
            return Answer::Error(Errno::EFAULT);
        }
        let Some(Setting { left: value, interval }) = Setting::from_words(new) else {
            return Answer::Error(Errno::EINVAL);
        };
        if value.is_zero() {
            self.posix.remove(&(pid, id));
            return Answer::Value(0);
        }
        let shown = clock_of(pid, id);
        if shown.is_some_and(is_of_processor_time) {
            // It does not expire while the server is idle.
            self.posix.remove(&(pid, id));
            return Answer::Value(0);
        }
        let deadline = match shown.filter(|shown| jumps(*shown)) {
            None => None,
            Some(_) if arguments[1] as i32 & libc::TIMER_ABSTIME == 0 => clock.after(value),
            Some(shown) => clock.instant_of(shown, value),
        };
        self.posix.insert((pid, id), Armed { deadline, interval });
        Answer::Value(0)
    }

    /// The processes whose interval timers have expired by `now`, each of which must be sent SIGALRM. Periodic timers are armed again.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<i32> {
        let due = |armed: &Armed| armed.deadline.is_some_and(|deadline| deadline <= now);
        let pids: Vec<i32> = self.interval.iter().filter(|(_, armed)| due(armed)).map(|(pid, _)| *pid).collect();
        self.interval = go_on(std::mem::take(&mut self.interval), now);
        pids
    }

    /// Whether a POSIX timer has expired by `now`. Periodic timers are armed again, others are removed. The signals of those that the
    /// harness keeps are sent.
    pub(crate) fn posix_expired(&mut self, now: Instant) -> bool {
        let expired = self.posix.iter().filter(|(_, armed)| armed.deadline.is_some_and(|deadline| deadline <= now));
        let expired: Vec<(i32, i32)> = expired.map(|(timer, _)| *timer).collect();
        if !expired.is_empty() {
            self.posix = go_on(std::mem::take(&mut self.posix), now);
        }
        for (pid, id) in expired.iter().filter(|_| self.keeps_posix) {
            if let Some(signal) =
                std::fs::read_to_string(format!("/proc/{pid}/timers")).ok().and_then(|t| signal_in(&t, *id))
            {
                // Errors mean that the process or the thread has ended.
                let _ = timer_signal(*pid, *id, signal);
            }
        }
        !expired.is_empty()
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

    /// The earliest deadline of the POSIX timers that the harness keeps.
    pub(crate) fn next_posix(&self) -> Option<Instant> {
        let kept = self.posix.values().filter(|_| self.keeps_posix);
        kept.filter_map(|armed| armed.deadline).min()
    }

    /// The next deadline of each timer, including the timer descriptors of these processes.
    pub(crate) fn deadlines(&self, processes: impl Iterator<Item = i32>, clock: ServerClock) -> Vec<Instant> {
        let kept = self.interval.values().chain(self.posix.values()).filter_map(|armed| armed.deadline);
        let mut all: Vec<Instant> = kept.collect();
        if self.descriptors {
            let left = processes.flat_map(descriptors::left_of_all);
            all.extend(left.filter_map(|left| clock.after(left)));
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

/// The time until a timer expires, and its interval. Both are zero if it is disarmed.
fn left(timer: Option<&Armed>, now: Instant) -> (Duration, Duration) {
    match timer {
        Some(Armed { deadline: Some(deadline), interval }) => {
            // The timer may have expired without its signal having been sent. It is not disarmed then, so the time is not zero.
            (deadline.saturating_duration_since(now).max(Duration::from_micros(1)), *interval)
        }
        Some(Armed { deadline: None, interval }) => (Duration::MAX, *interval),
        None => (Duration::ZERO, Duration::ZERO),
    }
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

/// Whether a clock shows how much processor time a process or a thread has used. Other negative clocks are those of devices
/// (`linux/posix-timers.h`).
const fn is_of_processor_time(clock: libc::clockid_t) -> bool {
    /// The lowest three bits of the clock of a device.
    const DEVICE: libc::clockid_t = 3;
    matches!(clock, libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID)
        || (clock < 0 && clock & 7 != DEVICE)
}

/// The signal that a POSIX timer sends, from `/proc/PID/timers`; `None` if it sends none.
fn signal_in(text: &str, id: i32) -> Option<TimerSignal> {
    let mut lines = text.lines().skip_while(|line| line.strip_prefix("ID:").map(str::trim) != Some(&id.to_string()));
    let (number, value) = lines.find_map(|line| line.strip_prefix("signal:"))?.trim().split_once('/')?;
    let (how, whom) = lines.find_map(|line| line.strip_prefix("notify:"))?.trim().split_once('/')?;
    let thread = whom.strip_prefix("tid.").and_then(|tid| tid.parse().ok());
    let value = u64::from_str_radix(value, 16).ok()?;
    (how != "none").then_some(TimerSignal { number: number.parse().ok()?, value, thread })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// A clock that has not jumped.
    const REAL: ServerClock = ServerClock::at(Duration::ZERO);

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
        assert_eq!(timers.called(7, "alarm", &[20, 0, 0, 0, 0, 0], REAL), Answer::Value(0));
        assert_eq!(timers.called(7, "alarm", &[0; 6], REAL), Answer::Value(20));
        assert_eq!(timers.called(7, "alarm", &[0; 6], REAL), Answer::Value(0));
    }

    #[test]
    fn an_interval_timer_is_read_from_memory_and_told_in_it() {
        let pid = nix::unistd::getpid().as_raw();
        let mut timers = Timers::default();
        let (new, old) = ([3i64, 0, 100, 0], [-1i64; 4]);
        let set = |timers: &mut Timers, new: &[i64; 4]| {
            timers.called(pid, "setitimer", &[0, new.as_ptr() as u64, old.as_ptr() as u64, 0, 0, 0], REAL)
        };
        assert_eq!(set(&mut timers, &new), Answer::Value(0));
        assert_eq!(set(&mut timers, &new), Answer::Value(0));
        // `old` was written by a system call that the compiler does not know to write there.
        let old = std::hint::black_box(&old);
        assert_eq!(old[0], 3);
        assert!((99..=100).contains(&old[2]), "{old:?}");
        assert_eq!(set(&mut timers, &[0, 1_000_000, 1, 0]), Answer::Error(Errno::from_raw(libc::EINVAL)));
        // Timers on processor time stay with the kernel.
        assert_eq!(timers.called(pid, "setitimer", &[1, 0, 0, 0, 0, 0], REAL), Answer::Continue);
    }

    #[test]
    fn the_clocks_of_processor_time_are_known_by_their_numbers() {
        // Those of another thread and of another process (`pthread_getcpuclockid(3)`, `clock_getcpuclockid(3)`).
        let [thread, process] = [6, 2].map(|kind| !1234 << 3 | kind);
        assert!([2, 3, thread, process].into_iter().all(is_of_processor_time));
        let device = !5 << 3 | 3;
        assert!(![0, 1, 7, 11, device].into_iter().any(is_of_processor_time));
    }

    #[test]
    fn timers_are_found_in_the_words_of_proc() {
        let text = "ID: 1\nsignal: 14/0000000000000000\nnotify: signal/pid.7\nClockID: 1\n\
                    ID: 0\nsignal: 10/0000000000000000\nnotify: signal/pid.7\nClockID: 0\n";
        assert_eq!((clock_in(text, 1), clock_in(text, 0), clock_in(text, 2)), (Some(1), Some(0), None));
        let signal = |number, value, thread| Some(TimerSignal { number, value, thread });
        assert_eq!(signal_in(text, 0), signal(10, 0, None));
        let text = "ID: 3\nsignal: 32/00007f0000000010\nnotify: signal/tid.91\nClockID: 1\n\
                    ID: 4\nsignal: 0/0000000000000000\nnotify: none/pid.7\nClockID: 1\n";
        assert_eq!(signal_in(text, 3), signal(32, 0x7f00_0000_0010, Some(91)));
        assert_eq!((signal_in(text, 4), signal_in(text, 5)), (None, None));
    }
}
