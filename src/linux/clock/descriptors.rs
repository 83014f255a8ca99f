//! Timer descriptors (`timerfd_create(2)`) on the server's clock.
//!
//! They run in the kernel, on the machine's clock, so each is set anew when the server's clock jumps, by way of a duplicate. While the
//! duplicate is open a `close` of the server's does not close the descriptor, and an epoll instance of the server goes on to report it. So
//! it is dropped at once, while the server is idle.

use super::server_clock::ServerClock;
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::sys::process as sys;
use crate::linux::sys::timerfd::{self, Setting};
use crate::linux::sys::{fd_table, pidfd_getfd};
use crate::scenario::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

/// The numbers of the timer descriptors of a process.
fn of(pid: i32) -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let timerfds = entries
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:[timerfd]"));
    timerfds.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The time until each timer descriptor of a process expires, of those that are armed.
pub(crate) fn left_of_all(pid: i32) -> Vec<Duration> {
    let info = |fd| std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok();
    of(pid).filter_map(|fd| left_in(&info(fd)?)).collect()
}

/// The time until a timer descriptor expires, from its `/proc/PID/fdinfo`; `None` if it is disarmed.
fn left_in(text: &str) -> Option<Duration> {
    let (seconds, nanoseconds) = field(text, "it_value:")?.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let left =
        Duration::from_secs(seconds.trim().parse().ok()?) + Duration::from_nanos(nanoseconds.trim().parse().ok()?);
    (!left.is_zero()).then_some(left)
}

/// A field of a descriptor's `/proc/PID/fdinfo`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The `fdinfo` of a descriptor of this process.
fn info(fd: BorrowedFd<'_>) -> String {
    std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap_or_default()
}

/// The answer to a `timerfd_settime(2)` of process `pid`: one that names a point in time is made by the harness, since the kernel has
/// another clock.
pub(crate) fn arm(clock: ServerClock, pid: i32, pidfd: BorrowedFd<'_>, arguments: &[u64; 6]) -> Answer {
    let [fd, flags, new, old, ..] = *arguments;
    if clock.ahead().is_zero() || flags as i32 & libc::TFD_TIMER_ABSTIME == 0 {
        return Answer::Continue;
    }
    let mut words = [0i64; 4];
    let Ok(timer) = pidfd_getfd(pidfd, fd as i32).and_then(fd_table::beyond) else { return Answer::Continue };
    let shown = field(&info(timer.as_fd()), "clockid:").and_then(|clock| clock.parse().ok());
    let Some(present) = shown.and_then(|shown| clock.reading(shown)) else { return Answer::Continue };
    if sys::read_memory(pid, new, &mut words).is_err() {
        return Answer::Continue;
    }
    // What the kernel refuses is left to it.
    let Some(mut setting) = Setting::from_words(words) else { return Answer::Continue };
    if !setting.left.is_zero() {
        // An expiry in the past is one at once.
        setting.left = setting.left.saturating_sub(present).max(Duration::from_nanos(1));
    }
    match timerfd::set_from(timer.as_fd(), present.saturating_sub(clock.ahead()), setting) {
        Err(errno) => Answer::Error(errno),
        Ok(before) if old != 0 && sys::write_memory(pid, old, &before.words()).is_err() => Answer::Error(Errno::EFAULT),
        Ok(_) => Answer::Value(0),
    }
}

/// Whether this kernel lets timer descriptors be put forward.
pub(crate) fn try_out() -> Result<(), Errno> {
    static TRIED: OnceLock<Result<(), Errno>> = OnceLock::new();
    *TRIED.get_or_init(|| {
        let timer = timerfd::new()?;
        timerfd::set_expiries(timer.as_fd(), 1)?;
        timerfd::are_one(timer.as_fd(), timer.as_fd()).map(drop)
    })
}

/// Puts all timer descriptors of these processes forward by `time`. Those whose time has come are readable on return.
pub(crate) fn put_forward<'p>(
    processes: impl Iterator<Item = (i32, BorrowedFd<'p>)>,
    time: Duration,
) -> Result<(), Errno> {
    // Two descriptors may be of one timer, after a `fork` or a `dup`.
    let mut done: Vec<OwnedFd> = Vec::new();
    for (pid, pidfd) in processes {
        for fd in of(pid) {
            let timer = match pidfd_getfd(pidfd, fd).and_then(fd_table::beyond) {
                Ok(timer) => timer,
                // The process is about to end.
                Err(Errno::EBADF | Errno::ESRCH) => continue,
                Err(errno) => return Err(errno),
            };
            let mut known = false;
            for other in &done {
                known |= timerfd::are_one(other.as_fd(), timer.as_fd())?;
            }
            if !known {
                shift(timer.as_fd(), time)?;
                done.push(timer);
            }
        }
    }
    Ok(())
}

/// Puts one timer forward.
fn shift(timer: BorrowedFd<'_>, time: Duration) -> Result<(), Errno> {
    let clock = field(&info(timer), "clockid:").and_then(|clock| clock.parse().ok()).unwrap_or(libc::CLOCK_MONOTONIC);
    let (now, asked) = read(timer, clock)?;
    if now.left.is_zero() {
        return Ok(());
    }
    // Setting a timer discards the expiries that have not been read. Real time goes on meanwhile: an expiry that has come since is among
    // those that are counted from `now`.
    let text = info(timer);
    let unread: u64 = field(&text, "ticks:").and_then(|ticks| ticks.parse().ok()).unwrap_or(0);
    let since = left_in(&text).is_none_or(|left| left > now.left);
    let unread = unread.saturating_sub(since.into());
    let present = shown_by(clock)?;
    let (setting, expired) = later(now, time + present.saturating_sub(asked));
    // Until a point in time: this thread may be kept from its core before the call.
    timerfd::set_from(timer, present, setting)?;
    // A timer that is set to expire at once does so in an interrupt, some time later. Until then the server would look idle. Expiries that
    // are put in wake it at once.
    if unread + expired > 0 { timerfd::set_expiries(timer, unread + expired) } else { Ok(()) }
}

/// What a clock of the machine shows.
fn shown_by(clock: libc::clockid_t) -> Result<Duration, Errno> {
    let shown = nix::time::clock_gettime(nix::time::ClockId::from_raw(clock));
    shown.map(Duration::from).map_err(|errno| Errno::from_raw(errno as i32))
}

/// How a timer stands, and what its clock showed then; or a little later, so that it never expires early. Of several readings, the one that
/// took least: the thread may be kept from its core in between.
fn read(timer: BorrowedFd<'_>, clock: libc::clockid_t) -> Result<(Setting, Duration), Errno> {
    /// How long a reading takes that nothing came between.
    const SHORT: Duration = Duration::from_micros(20);
    const MOST: u32 = 10;
    let mut best: Option<(Duration, Setting, Duration)> = None;
    for _ in 0..MOST {
        let (before, now, after) = (shown_by(clock)?, timerfd::get(timer)?, shown_by(clock)?);
        let took = after.saturating_sub(before);
        if best.is_none_or(|(least, ..)| took < least) {
            best = Some((took, now, after));
        }
        if took <= SHORT {
            break;
        }
    }
    best.map(|(_, now, at)| (now, at)).ok_or(Errno::EAGAIN)
}

/// How a timer stands `time` later, and how often it expires until then.
fn later(Setting { left, interval }: Setting, time: Duration) -> (Setting, u64) {
    if time < left {
        return (Setting { left: left - time, interval }, 0);
    }
    if interval.is_zero() {
        return (Setting { left: Duration::ZERO, interval }, 1);
    }
    let (over, each) = ((time - left).as_nanos(), interval.as_nanos());
    let rest = (each - over % each) as u64;
    (Setting { left: Duration::from_nanos(rest), interval }, 1 + (over / each) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_found_in_the_words_of_proc() {
        let text =
            "pos:\t0\nflags:\t02\nclockid: 1\nticks: 0\nsettime flags: 00\nit_value: (59, 5)\nit_interval: (0, 0)\n";
        assert_eq!(left_in(text), Some(Duration::new(59, 5)));
        assert_eq!(field(text, "clockid:"), Some("1"));
        assert_eq!(left_in("it_value: (0, 0)\n"), None);
    }

    #[test]
    fn a_timer_expires_as_often_as_its_interval_says() {
        let ms = Duration::from_millis;
        let of = |left, interval, time| {
            let (setting, expired) = later(Setting { left: ms(left), interval: ms(interval) }, ms(time));
            assert_eq!(setting.interval, ms(interval));
            (setting.left.as_millis(), expired)
        };
        assert_eq!(of(10, 0, 9), (1, 0));
        assert_eq!(of(10, 0, 10), (0, 1));
        assert_eq!(of(10, 4, 9), (1, 0));
        assert_eq!(of(10, 4, 10), (4, 1));
        assert_eq!(of(10, 4, 17), (1, 2));
        assert_eq!(of(10, 4, 18), (4, 3));
    }

    #[test]
    fn a_timer_that_is_put_forward_is_readable_at_once() {
        let timer = timerfd::new().unwrap();
        let set = |left, interval| {
            let setting = Setting { left: Duration::from_secs(left), interval: Duration::from_secs(interval) };
            timerfd::set(timer.as_fd(), setting).unwrap();
        };
        let readable = || !crate::linux::sys::poll([timer.as_fd()], Duration::ZERO).unwrap()[0].is_empty();
        set(3600, 0);
        shift(timer.as_fd(), Duration::from_secs(3599)).unwrap();
        assert!(!readable());
        shift(timer.as_fd(), Duration::from_secs(3600)).unwrap();
        assert!(readable());
        set(3600, 60);
        shift(timer.as_fd(), Duration::from_secs(3660)).unwrap();
        assert_eq!(field(&info(timer.as_fd()), "ticks:"), Some("2"));
        // What has not been read stays.
        shift(timer.as_fd(), Duration::from_secs(1)).unwrap();
        shift(timer.as_fd(), Duration::ZERO).unwrap();
        assert_eq!(field(&info(timer.as_fd()), "ticks:"), Some("2"));
        assert!(timerfd::get(timer.as_fd()).unwrap().left <= Duration::from_secs(59));
    }

    #[test]
    fn a_duplicate_is_the_same_timer_and_another_one_is_not() {
        let (one, other) = (timerfd::new().unwrap(), timerfd::new().unwrap());
        assert!(timerfd::are_one(one.as_fd(), one.try_clone().unwrap().as_fd()).unwrap());
        assert!(!timerfd::are_one(one.as_fd(), other.as_fd()).unwrap());
    }
}
