//! Timer descriptors (`timerfd_create(2)`), with what only checkpoints need of them.

use super::{check, failed};
use crate::scenario::Errno;
use rustix::time::{Itimerspec, TimerfdTimerFlags};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// How a timer is set, a descriptor or one of POSIX: a `struct itimerspec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The time until it expires; zero if it is disarmed.
    pub(crate) left: Duration,
    /// Zero if it expires once.
    pub(crate) interval: Duration,
}

impl Setting {
    /// From the words of a `struct itimerspec`; `None` if the kernel would refuse them.
    pub(crate) fn from_words([interval, more, left, rest]: [i64; 4]) -> Option<Setting> {
        let time = |seconds, rest| {
            let rest = u32::try_from(rest).ok().filter(|rest| *rest < 1_000_000_000)?;
            Some(Duration::new(u64::try_from(seconds).ok()?, rest))
        };
        Some(Setting { left: time(left, rest)?, interval: time(interval, more)? })
    }

    /// The words of a `struct itimerspec`.
    pub(crate) fn words(&self) -> [i64; 4] {
        let [interval, left] =
            [self.interval, self.left].map(|time| [time.as_secs() as i64, time.subsec_nanos().into()]);
        [interval[0], interval[1], left[0], left[1]]
    }
}

fn setting(spec: &Itimerspec) -> Setting {
    let time = |time: rustix::time::Timespec| Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
    Setting { left: time(spec.it_value), interval: time(spec.it_interval) }
}

/// `timerfd_gettime(2)`.
pub(crate) fn get(timer: BorrowedFd<'_>) -> Result<Setting, Errno> {
    rustix::time::timerfd_gettime(timer).map(|spec| setting(&spec)).map_err(failed)
}

/// `timerfd_settime(2)`. Returns how the timer was set before.
pub(crate) fn set(timer: BorrowedFd<'_>, new: Setting) -> Result<Setting, Errno> {
    set_with(timer, new, TimerfdTimerFlags::empty())
}

/// The same, counted from when the timer's clock shows `from`.
pub(crate) fn set_from(timer: BorrowedFd<'_>, from: Duration, new: Setting) -> Result<Setting, Errno> {
    if new.left.is_zero() {
        return set(timer, new);
    }
    set_with(timer, Setting { left: from + new.left, ..new }, TimerfdTimerFlags::ABSTIME)
}

fn set_with(timer: BorrowedFd<'_>, new: Setting, flags: TimerfdTimerFlags) -> Result<Setting, Errno> {
    let spec = Itimerspec { it_interval: super::timespec(new.interval), it_value: super::timespec(new.left) };
    let before = rustix::time::timerfd_settime(timer, flags, &spec);
    before.map(|spec| setting(&spec)).map_err(failed)
}

/// Sets the number of expiries that have not been read, at least 1, and wakes who waits for one. Needs a kernel with
/// CONFIG_CHECKPOINT_RESTORE.
pub(crate) fn set_expiries(timer: BorrowedFd<'_>, count: u64) -> Result<(), Errno> {
    /// `TFD_IOC_SET_TICKS`, which is `_IOW('T', 0, u64)`.
    const SET_TICKS: libc::c_ulong = 1 << 30 | (size_of::<u64>() as libc::c_ulong) << 16 | (b'T' as libc::c_ulong) << 8;
    // SAFETY: the kernel reads the u64.
    check(unsafe { libc::ioctl(timer.as_raw_fd(), SET_TICKS, &raw const count) }.into()).map(drop)
}

/// Whether two descriptors of this process are of one timer (`kcmp(2)`).
pub(crate) fn are_one(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Errno> {
    /// `linux/kcmp.h`.
    const KCMP_FILE: libc::c_int = 0;
    let own = nix::unistd::getpid().as_raw();
    // SAFETY: the call takes no pointer.
    let compared = unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one.as_raw_fd(), other.as_raw_fd()) };
    check(compared).map(|order| order == 0)
}

/// A timer of CLOCK_MONOTONIC that is not armed.
pub(crate) fn new() -> Result<std::os::fd::OwnedFd, Errno> {
    use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
    timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).map_err(failed)
}
