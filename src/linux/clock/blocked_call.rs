//! Decodes the call that a task is blocked in, and what ends it: a client, another task of the server, a deadline, or something that the
//! harness does not control.
//!
//! For a call at the gate the notification holds the number and arguments. For a task that is blocked elsewhere, both are read from
//! `/proc/PID/task/TID/syscall` (`proc_pid_syscall(5)`) and decoded into a [`Wait`], with one rule per call, after its manual page.

use super::server_clock::{ServerClock, jumps};
use crate::linux::gate::seccomp::calls::{self, Buffers, Class, LimitForm, Waits};
use crate::linux::sys::fd_table;
use crate::linux::sys::process::{self as sys, socket_timeout};
use crate::linux::sys::{pidfd_getfd, pidfd_open};
use crate::world::quiescence::{Outside, Wakes};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The time limit of a blocked call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    /// Relative to the time of the call.
    Within(Duration),
    /// Absolute, on this clock, which is not one of processor time.
    At(libc::clockid_t, Duration),
}

/// What ends a call that a task is blocked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) wakes: Wakes,
    pub(crate) limit: Limit,
}

impl Wait {
    const fn controlled(limit: Limit) -> Wait {
        Wait { wakes: Wakes::Controlled, limit }
    }

    const fn outside(what: Outside, limit: Limit) -> Wait {
        Wait { wakes: Wakes::Uncontrolled(what), limit }
    }

    /// The deadline, on the server's clock, of a call that was made at `since` or earlier. `None` if the call has no limit, or if an
    /// `Instant` cannot hold the deadline.
    pub(crate) fn deadline(&self, since: Instant, now: ServerClock) -> Option<Instant> {
        match self.limit {
            Limit::None => None,
            Limit::Within(time) => since.checked_add(time),
            Limit::At(clock, time) => now.instant_of(clock, time),
        }
    }
}

/// What decoding a call needs to know about its process.
pub(crate) trait Process {
    /// Two words of the process's memory, as in a timespec or a timeval.
    fn pair(&self, address: u64) -> Option<[i64; 2]>;
    /// The target of a descriptor's link in `/proc/PID/fd`.
    fn descriptor(&self, fd: i32) -> Option<String>;
    /// Whether a socket of the process has a time limit for sending (SO_SNDTIMEO), or may have one.
    fn limits_sending(&self, fd: i32) -> bool;
}

/// A real process, by its pid.
pub(crate) struct Pid(pub(crate) i32);

impl Process for Pid {
    fn pair(&self, address: u64) -> Option<[i64; 2]> {
        let mut pair = [0; 2];
        sys::read_memory(self.0, address, &mut pair).ok().map(|()| pair)
    }

    fn descriptor(&self, fd: i32) -> Option<String> {
        let link = std::fs::read_link(format!("/proc/{}/fd/{fd}", self.0)).ok()?;
        Some(link.to_string_lossy().into_owned())
    }

    fn limits_sending(&self, fd: i32) -> bool {
        let socket = pidfd_open(self.0).and_then(|pidfd| pidfd_getfd(pidfd.as_fd(), fd)).and_then(fd_table::beyond);
        socket.map_or(true, |socket| socket_timeout(socket.as_fd(), libc::SO_SNDTIMEO).is_some())
    }
}

/// The number of a call and its arguments.
pub(crate) type Call = (libc::c_long, [u64; 6]);

/// The call that a task is blocked in; `None` if the task runs or is gone.
pub(crate) fn call_of(pid: i32, tid: i32) -> Option<Call> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?)
}

/// Parses `/proc/PID/task/TID/syscall`.
pub(crate) fn parse(text: &str) -> Option<Call> {
    // For a task that runs, the file contains only the word `running`.
    let mut words = text.split_whitespace();
    let call = words.next()?.parse().ok()?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
    }
    Some((call, arguments))
}

/// The class of a call, if the gate receives such calls.
fn class_of(call: libc::c_long) -> Option<Class> {
    calls::call(i32::try_from(call).ok()?).map(|(_, class)| class)
}

/// Whether a call fails with EINTR when its process is stopped by a signal and continued, even without a signal handler (`signal(7)`,
/// "Interruption of system calls and library functions by stop signals").
pub(crate) fn is_cut_by_stop((call, arguments): Call, process: BorrowedFd<'_>) -> bool {
    let class = class_of(call);
    if let Some(option) = class.and_then(Class::timeout_option) {
        // Only if the socket has a timeout (`sock_intr_errno`). A socket that cannot be duplicated may have one.
        let has_timeout = |at: usize, option| {
            let socket = pidfd_getfd(process, arguments[at] as i32).and_then(fd_table::beyond);
            socket.map_or(true, |socket| socket_timeout(socket.as_fd(), option).is_some())
        };
        let at = class.and_then(Class::moves).map_or(0, |moves| moves.socket);
        let either = class.and_then(Class::buffers) == Some(Buffers::EitherEnd);
        return has_timeout(at, option) || (either && has_timeout(0, libc::SO_RCVTIMEO));
    }
    matches!(class, Some(Class::Epoll(_)))
        || [libc::SYS_semop, libc::SYS_semtimedop, libc::SYS_rt_sigtimedwait].contains(&call)
}

/// Whether a task is blocked in `vfork(2)` until its child calls `execve(2)` or ends. The state of the task is then D, as in a disk wait.
pub(crate) fn waits_for_vfork(pid: i32, tid: i32) -> bool {
    call_of(pid, tid).is_some_and(|call| is_vfork(call, &Pid(pid)))
}

/// Whether a call waits for the child that it creates. Other calls that create tasks can be in state D for a moment too, for example while
/// they create a namespace.
fn is_vfork((call, arguments): Call, process: &impl Process) -> bool {
    const VFORK: u64 = libc::CLONE_VFORK as u64;
    match call {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork => true,
        libc::SYS_clone => arguments[0] & VFORK != 0,
        // The flags are the first word of `struct clone_args`.
        libc::SYS_clone3 => process.pair(arguments[0]).is_some_and(|[flags, _]| flags as u64 & VFORK != 0),
        _ => false,
    }
}

/// `FUTEX_CMD_MASK`.
const FUTEX_COMMAND: i32 = !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);

/// What ends a `close` of a socket that lingers for `time`: its peer, or the time.
pub(crate) const fn lingers(time: Duration) -> Wait {
    Wait::controlled(Limit::Within(time))
}

/// Decodes what ends a call that a task is blocked in outside the gate.
pub(crate) fn decode((call, arguments): Call, process: &impl Process) -> Wait {
    let [first, second, third, fourth, ..] = arguments;
    let relative = |address: u64| match time(process, address, NANOSECOND) {
        _ if address == 0 => Limit::None,
        Some(time) => Limit::Within(time),
        // The memory cannot be read, so no deadline is known.
        None => Limit::None,
    };
    let absolute = |clock, address: u64| match time(process, address, NANOSECOND) {
        _ if address == 0 => Limit::None,
        Some(time) => Limit::At(clock, time),
        None => Limit::None,
    };
    match call {
        libc::SYS_futex => {
            let operation = second as i32;
            let clock =
                if operation & libc::FUTEX_CLOCK_REALTIME != 0 { libc::CLOCK_REALTIME } else { libc::CLOCK_MONOTONIC };
            match operation & FUTEX_COMMAND {
                libc::FUTEX_WAIT => Wait::controlled(relative(fourth)),
                libc::FUTEX_WAIT_BITSET => Wait::controlled(absolute(clock, fourth)),
                // Those with priority inheritance, whose end the harness cannot bring about.
                libc::FUTEX_WAIT_REQUEUE_PI | libc::FUTEX_LOCK_PI2 | libc::FUTEX_LOCK_PI if fourth == 0 => {
                    Wait::controlled(Limit::None)
                }
                _ => Wait::outside(Outside::Call(call), Limit::None),
            }
        }
        libc::SYS_nanosleep => Wait::controlled(relative(first)),
        libc::SYS_clock_nanosleep if !jumps(first as libc::clockid_t) => Wait::outside(Outside::Timer, Limit::None),
        libc::SYS_clock_nanosleep => match second as i32 & libc::TIMER_ABSTIME {
            0 => Wait::controlled(relative(third)),
            _ => Wait::controlled(absolute(first as libc::clockid_t, third)),
        },
        // Signals come from other tasks, child processes and timers, which are all known, or from the harness.
        libc::SYS_rt_sigtimedwait => Wait::controlled(relative(third)),
        libc::SYS_rt_sigsuspend => Wait::controlled(Limit::None),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause => Wait::controlled(Limit::None),
        libc::SYS_wait4 | libc::SYS_waitid | libc::SYS_clone | libc::SYS_clone3 => Wait::controlled(Limit::None),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork => Wait::controlled(Limit::None),
        // A send that the gate has let in, and for the rest of which there is no room: the client has to read.
        _ if class_of(call).is_some_and(|class| sends_without_limit(class, &arguments, process)) => {
            Wait::controlled(Limit::None)
        }
        libc::SYS_read | libc::SYS_readv | libc::SYS_write | libc::SYS_writev => {
            Wait { wakes: on_descriptor(process, first as i32, call), limit: Limit::None }
        }
        libc::SYS_flock => Wait::outside(Outside::SharedLock, Limit::None),
        libc::SYS_fcntl if [libc::F_SETLKW, libc::F_OFD_SETLKW].contains(&(second as i32)) => {
            Wait::outside(Outside::SharedLock, Limit::None)
        }
        libc::SYS_semop | libc::SYS_msgrcv | libc::SYS_msgsnd => Wait::outside(Outside::SharedLock, Limit::None),
        libc::SYS_semtimedop => Wait::outside(Outside::SharedLock, relative(fourth)),
        _ => match class_of(call).and_then(|class| Some((class, class.waits()?))) {
            // A wait on descriptors none of which is a socket, or a call that the gate has released.
            Some((class, waits)) => {
                let limit = time_limit(waits, &arguments, process).map_or(Limit::None, Limit::Within);
                match polled(class, &arguments, process) {
                    Some(fds) if fds.iter().all(|fd| on_descriptor(process, *fd, call) == Wakes::Controlled) => {
                        Wait::controlled(limit)
                    }
                    _ => Wait::outside(Outside::Call(call), limit),
                }
            }
            _ => Wait::outside(Outside::Call(call), Limit::None),
        },
    }
}

/// Whether a call sends on a socket, for as long as it takes. Sockets that lead elsewhere than to clients are accounted for apart.
fn sends_without_limit(class: Class, arguments: &[u64; 6], process: &impl Process) -> bool {
    let Class::Out(moves) = class else { return false };
    let fd = arguments[moves.socket] as i32;
    process.descriptor(fd).is_some_and(|link| link.starts_with("socket:")) && !process.limits_sending(fd)
}

/// Whether the harness controls what makes a descriptor readable or writable.
fn on_descriptor(process: &impl Process, fd: i32, call: libc::c_long) -> Wakes {
    let link = process.descriptor(fd).unwrap_or_default();
    // An anonymous pipe was made within the server. The deadlines of timer descriptors are counted with those of all timers.
    let within = link.starts_with("pipe:")
        || ["[eventfd]", "[signalfd]", "[timerfd]", "[pidfd]"].iter().any(|kind| link.ends_with(kind));
    if within {
        Wakes::Controlled
    } else if link.ends_with("inotify") || link.ends_with("[fanotify]") {
        Wakes::Uncontrolled(Outside::FileWatch)
    } else {
        Wakes::Uncontrolled(Outside::Call(call))
    }
}

/// The descriptors in the list of a `poll` or in the sets of a `select`; `None` for other calls, for many descriptors, and for lists that
/// cannot be read.
fn polled(class: Class, arguments: &[u64; 6], process: &impl Process) -> Option<Vec<i32>> {
    const MOST: usize = 16;
    /// The most descriptors that the C library's sets can have.
    const MOST_IN_SETS: u64 = 1024;
    const WORD: u64 = 64;
    let word = |address: u64, i: u64| process.pair(address + 8 * i).map(|[word, _]| word);
    match class {
        // A pollfd is one word of eight bytes with the descriptor in its lower half.
        Class::Poll(_) if arguments[1] <= MOST as u64 => {
            (0..arguments[1]).map(|i| word(arguments[0], i).map(|word| word as i32)).collect()
        }
        Class::Select(_) if arguments[0] <= MOST_IN_SETS => {
            let mut all = Vec::new();
            for set in arguments[1..4].iter().filter(|set| **set != 0) {
                for i in 0..arguments[0].div_ceil(WORD) {
                    let bits = word(*set, i)?;
                    let fds = (0..WORD).filter(|bit| bits >> bit & 1 == 1).map(|bit| i * WORD + bit);
                    all.extend(fds.filter(|fd| *fd < arguments[0]).map(|fd| fd as i32));
                }
            }
            (all.len() <= MOST).then_some(all)
        }
        _ => None,
    }
}

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000;

/// Reads a time from the memory of a process: a word of seconds, and a word of units of `unit` nanoseconds.
fn time(process: &impl Process, address: u64, unit: u64) -> Option<Duration> {
    if address == 0 {
        return None;
    }
    let [seconds, rest] = process.pair(address)?;
    let (seconds, rest) = (u64::try_from(seconds).ok()?, u64::try_from(rest).ok()?);
    Duration::from_secs(seconds).checked_add(Duration::from_nanos(rest.saturating_mul(unit)))
}

/// The time limit of a call that waits for events, if it has one; zero if the call does not wait.
pub(crate) fn time_limit(waits: Waits, arguments: &[u64; 6], process: &impl Process) -> Option<Duration> {
    let limit = arguments[waits.limit];
    match waits.form {
        LimitForm::Milliseconds => u64::try_from(limit as i32).ok().map(Duration::from_millis),
        LimitForm::Timeval => time(process, limit, MICROSECOND),
        LimitForm::Timespec => time(process, limit, NANOSECOND),
    }
}

#[cfg(test)]
pub(crate) mod tests;
