//! In which call a task sleeps, as `/proc/PID/task/TID/syscall` tells (`proc_pid_syscall(5)`), and what could wake it.

use super::{filter, sys};
use std::time::{Duration, Instant};

/// `FUTEX_CMD_MASK`.
const FUTEX_COMMAND: i32 = !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);

/// The call that a task sleeps in, with its arguments; `None` of one that runs, or is gone.
fn call_of(pid: i32, tid: i32) -> Option<(libc::c_long, [u64; 6])> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
    // Of one that runs it says just that.
    let mut words = text.split_whitespace();
    let call = words.next()?.parse().ok()?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
    }
    Some((call, arguments))
}

/// Whether a task sleeps in a call without a time limit which only another task's doing can end: one that waits for a lock, a signal or
/// a child.
pub(super) fn sleeps_for_good(pid: i32, tid: i32) -> bool {
    let Some((call, [_, second, third, fourth, ..])) = call_of(pid, tid) else { return false };
    match call {
        libc::SYS_futex => {
            let waits = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET, libc::FUTEX_LOCK_PI]
                .contains(&(second as i32 & FUTEX_COMMAND));
            waits && fourth == 0
        }
        libc::SYS_rt_sigtimedwait => third == 0,
        libc::SYS_rt_sigsuspend | libc::SYS_wait4 | libc::SYS_waitid => true,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause => true,
        _ => false,
    }
}

/// For how long at most a task sleeps, of those calls that could be steered.
pub(super) fn sleeps_at_most(pid: i32, tid: i32) -> Option<Duration> {
    let (call, arguments) = call_of(pid, tid)?;
    let (name, _) = filter::call(i32::try_from(call).ok()?)?;
    time_limit(pid, name, &arguments)
}

/// When this much time is up; `None` if that is later than any clock goes, and so never.
pub(super) fn from_now(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

/// The time limit that a call has been given that waits for events, if it has one: zero of one that does not wait. A pointer in the
/// arguments is followed into the process.
pub(super) fn time_limit(pid: i32, name: &str, arguments: &[u64; 6]) -> Option<Duration> {
    let milliseconds = |value: u64| u64::try_from(value as i32).ok().map(Duration::from_millis);
    let pointed = |address: u64, unit: u64| {
        let mut time = [0i64; 2];
        sys::read_memory(pid, address, &mut time).ok()?;
        let (seconds, rest) = (u64::try_from(time[0]).ok()?, u64::try_from(time[1]).ok()?);
        Duration::from_secs(seconds).checked_add(Duration::from_nanos(rest.saturating_mul(unit)))
    };
    match name {
        "poll" => milliseconds(arguments[2]),
        "epoll_wait" | "epoll_pwait" => milliseconds(arguments[3]),
        "ppoll" => pointed(arguments[2], 1),
        "epoll_pwait2" => pointed(arguments[3], 1),
        "select" => pointed(arguments[4], 1000),
        "pselect6" => pointed(arguments[4], 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
    use nix::sys::time::TimeSpec;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::sync::mpsc;

    const BOUND: Duration = Duration::from_secs(10);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Has a thread of this process sleep in a call, and asks of it what is asked of a server's.
    fn asked_of_one_that<T>(
        sleep: impl FnOnce() + Send + 'static,
        calls: &[libc::c_long],
        ask: impl FnOnce(i32, i32) -> T,
        wake: impl FnOnce(),
    ) -> T {
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            sleep();
        });
        let (pid, tid) = (nix::unistd::getpid().as_raw(), told.recv().unwrap());
        let start = Instant::now();
        // It says so once the thread is asleep there.
        while call_of(pid, tid).is_none_or(|(call, _)| !calls.contains(&call)) {
            assert!(start.elapsed() < BOUND, "it does not go to sleep within {BOUND:?}");
            std::thread::yield_now();
        }
        let answer = ask(pid, tid);
        wake();
        thread.join().unwrap();
        answer
    }

    #[test]
    fn who_waits_for_another_thread_sleeps_for_good_and_who_has_a_time_limit_does_not() {
        let good = |limit: Option<Duration>| {
            let (wake, woken) = mpsc::channel();
            let sleep = move || match limit {
                None => woken.recv().unwrap(),
                Some(limit) => woken.recv_timeout(limit).unwrap(),
            };
            asked_of_one_that(sleep, &[libc::SYS_futex], sleeps_for_good, || wake.send(()).unwrap())
        };
        assert!(good(None));
        assert!(!good(Some(HOUR)));
    }

    #[test]
    fn who_waits_for_events_has_told_the_kernel_for_how_long() {
        let limit = |sleep: fn(&mut [PollFd<'_>]) -> nix::Result<i32>| {
            let (read, write) = std::io::pipe().unwrap();
            let sleep = move || assert_eq!(sleep(&mut [PollFd::new(read.as_fd(), PollFlags::POLLIN)]), Ok(1));
            let wake = || (&write).write_all(b"x").unwrap();
            asked_of_one_that(sleep, &[libc::SYS_poll, libc::SYS_ppoll], sleeps_at_most, wake)
        };
        assert_eq!(limit(|fds| poll(fds, PollTimeout::NONE)), None);
        assert_eq!(limit(|fds| poll(fds, PollTimeout::try_from(HOUR).unwrap())), Some(HOUR));
        assert_eq!(limit(|fds| ppoll(fds, Some(TimeSpec::from_duration(HOUR)), None)), Some(HOUR));
    }
}
