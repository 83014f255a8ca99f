use super::*;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::mpsc;

const BOUND: Duration = Duration::from_secs(30);
/// Interval between checks whether a thread is blocked, which no event reports.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A fake process with the given memory and descriptors.
#[derive(Default)]
struct Made {
    memory: BTreeMap<u64, [i64; 2]>,
    descriptors: BTreeMap<i32, &'static str>,
}

impl Process for Made {
    fn pair(&self, address: u64) -> Option<[i64; 2]> {
        self.memory.get(&address).copied()
    }

    fn descriptor(&self, fd: i32) -> Option<String> {
        self.descriptors.get(&fd).map(|link| (*link).to_owned())
    }

    fn limits_sending(&self, fd: i32) -> bool {
        fd == 11
    }
}

#[test]
fn every_call_is_decoded_into_what_ends_it_and_its_limit() {
    let made = Made {
        memory: BTreeMap::from([(0x10, [2, 500]), (0x20, [1, 0]), (0x30, [7, 0])]),
        descriptors: BTreeMap::from([
            (5, "pipe:[4711]"),
            (6, "anon_inode:inotify"),
            (7, "socket:[1]"),
            (11, "socket:[2]"),
            (8, "anon_inode:[timerfd]"),
        ]),
    };
    let (two, one) = (Limit::Within(Duration::new(2, 500)), Duration::from_secs(1));
    let private = u64::from(libc::FUTEX_PRIVATE_FLAG as u32);
    let bitset = libc::FUTEX_WAIT_BITSET as u64 | private;
    let real = bitset | libc::FUTEX_CLOCK_REALTIME as u64;
    let lock = Outside::SharedLock;
    let table = [
        ((libc::SYS_futex, [9, private, 1, 0, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_futex, [9, private, 1, 0x10, 0, 0]), Wait::controlled(two)),
        ((libc::SYS_futex, [9, bitset, 1, 0x20, 0, 0]), Wait::controlled(Limit::At(libc::CLOCK_MONOTONIC, one))),
        ((libc::SYS_futex, [9, real, 1, 0x20, 0, 0]), Wait::controlled(Limit::At(libc::CLOCK_REALTIME, one))),
        ((libc::SYS_nanosleep, [0x10, 0, 0, 0, 0, 0]), Wait::controlled(two)),
        ((libc::SYS_clock_nanosleep, [1, 0, 0x10, 0, 0, 0]), Wait::controlled(two)),
        ((libc::SYS_clock_nanosleep, [1, 1, 0x20, 0, 0, 0]), Wait::controlled(Limit::At(libc::CLOCK_MONOTONIC, one))),
        ((libc::SYS_rt_sigtimedwait, [1, 0, 0, 8, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_rt_sigtimedwait, [1, 0, 0x10, 8, 0, 0]), Wait::controlled(two)),
        ((libc::SYS_rt_sigsuspend, [1, 8, 0, 0, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_wait4, [u64::MAX, 0, 0, 0, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_read, [5, 0, 1, 0, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_read, [6, 0, 1, 0, 0, 0]), Wait::outside(Outside::FileWatch, Limit::None)),
        ((libc::SYS_read, [8, 0, 8, 0, 0, 0]), Wait::controlled(Limit::None)),
        // A call on a socket that is blocked in the kernel: another call of the server may have been released before it.
        ((libc::SYS_read, [7, 0, 1, 0, 0, 0]), Wait::outside(Outside::Call(libc::SYS_read), Limit::None)),
        // A client has to make room; on descriptor 11 it has to do so in time.
        ((libc::SYS_sendto, [7, 0, 1, 0, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_write, [7, 0, 1, 0, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_write, [11, 0, 1, 0, 0, 0]), Wait::outside(Outside::Call(libc::SYS_write), Limit::None)),
        ((libc::SYS_sendfile, [7, 3, 0, 1, 0, 0]), Wait::controlled(Limit::None)),
        ((libc::SYS_flock, [3, 2, 0, 0, 0, 0]), Wait::outside(lock, Limit::None)),
        ((libc::SYS_fcntl, [3, libc::F_SETLKW as u64, 0, 0, 0, 0]), Wait::outside(lock, Limit::None)),
        ((libc::SYS_fcntl, [3, 1, 0, 0, 0, 0]), Wait::outside(Outside::Call(libc::SYS_fcntl), Limit::None)),
        ((libc::SYS_ppoll, [0, 0, 0x10, 0, 0, 0]), Wait::controlled(two)),
        ((libc::SYS_restart_syscall, [0; 6]), Wait::outside(Outside::Call(libc::SYS_restart_syscall), Limit::None)),
    ];
    for (call, expected) in table {
        assert_eq!(decode(call, &made), expected, "{call:?}");
    }
    // A pollfd for descriptor 5, then one for the socket.
    let made = Made { memory: BTreeMap::from([(0x40, [5, 7]), (0x48, [7, 0])]), ..made };
    let poll = |count| (libc::SYS_ppoll, [0x40, count, 0, 0, 0, 0]);
    assert_eq!(decode(poll(1), &made), Wait::controlled(Limit::None));
    assert_eq!(decode(poll(2), &made), Wait::outside(Outside::Call(libc::SYS_ppoll), Limit::None));
}

#[test]
fn of_calls_that_make_tasks_only_vfork_waits() {
    const NETWORK: i32 = libc::CLONE_NEWNET | libc::SIGCHLD;
    const VFORK: i32 = libc::CLONE_VFORK | libc::CLONE_VM;
    let memory = BTreeMap::from([(0x10, [i64::from(NETWORK), 0]), (0x20, [i64::from(VFORK), 0])]);
    let made = Made { memory, ..Made::default() };
    let is_vfork = |call, first| is_vfork((call, [first, 0, 0, 0, 0, 0]), &made);
    assert!(is_vfork(libc::SYS_clone, VFORK as u64) && is_vfork(libc::SYS_clone3, 0x20));
    #[cfg(target_arch = "x86_64")]
    assert!(is_vfork(libc::SYS_vfork, 0));
    // vsftpd clones with these flags, and is not idle meanwhile.
    assert!(!is_vfork(libc::SYS_clone, NETWORK as u64) && !is_vfork(libc::SYS_clone3, 0x10));
    assert!(!is_vfork(libc::SYS_read, VFORK as u64));
}

#[test]
fn a_deadline_that_is_later_than_any_clock_is_none() {
    let now = Instant::now();
    assert_eq!(Wait::controlled(Limit::Within(Duration::MAX)).deadline(now, ServerClock::default()), None);
    assert_eq!(Wait::controlled(Limit::None).deadline(now, ServerClock::default()), None);
    assert_eq!(Wait::controlled(Limit::Within(HOUR)).deadline(now, ServerClock::default()), Some(now + HOUR));
    let past = Wait::controlled(Limit::At(libc::CLOCK_MONOTONIC, Duration::ZERO)).deadline(now, ServerClock::default());
    assert!(past.is_some_and(|deadline| deadline <= Instant::now()));
}

/// Waits until a thread of this process is blocked in one of these calls, and returns the call.
pub(crate) fn wait_for_sleep(tid: i32, calls: &[libc::c_long]) -> Call {
    let (pid, start) = (nix::unistd::getpid().as_raw(), Instant::now());
    // The file names the call once the thread is blocked in it.
    loop {
        match call_of(pid, tid) {
            Some(call) if calls.contains(&call.0) => return call,
            call => assert!(start.elapsed() < BOUND, "the thread is in {call:?} after {BOUND:?}, in none of {calls:?}"),
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Runs `sleep` in a thread of this process, waits until the thread is blocked in one of `calls`, and passes that call to `ask`.
fn asked_while_it_sleeps<T>(
    sleep: impl FnOnce() + Send + 'static,
    calls: &[libc::c_long],
    ask: impl FnOnce(Call) -> T,
    wake: impl FnOnce(),
) -> T {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(nix::unistd::gettid().as_raw()).unwrap();
        sleep();
    });
    let call = wait_for_sleep(told.recv().unwrap(), calls);
    let answer = ask(call);
    wake();
    thread.join().unwrap();
    answer
}

fn own_limit(call: Call) -> Limit {
    decode(call, &Pid(nix::unistd::getpid().as_raw())).limit
}

#[test]
fn a_wait_for_another_thread_has_the_limit_that_it_was_given() {
    let limit = |limit: Option<Duration>| {
        let (wake, woken) = mpsc::channel();
        let sleep = move || match limit {
            None => woken.recv().unwrap(),
            Some(limit) => woken.recv_timeout(limit).unwrap(),
        };
        asked_while_it_sleeps(sleep, &[libc::SYS_futex], own_limit, || wake.send(()).unwrap())
    };
    assert_eq!(limit(None), Limit::None);
    assert!(matches!(limit(Some(HOUR)), Limit::At(libc::CLOCK_MONOTONIC, _) | Limit::Within(_)));
}

#[test]
fn a_wait_for_events_has_told_the_kernel_for_how_long() {
    let limit = |sleep: fn(&mut [PollFd<'_>]) -> nix::Result<i32>| {
        let (read, write) = std::io::pipe().unwrap();
        let sleep = move || assert_eq!(sleep(&mut [PollFd::new(read.as_fd(), PollFlags::POLLIN)]), Ok(1));
        let wake = || (&write).write_all(b"x").unwrap();
        asked_while_it_sleeps(sleep, &[libc::SYS_poll, libc::SYS_ppoll], own_limit, wake)
    };
    assert_eq!(limit(|fds| poll(fds, PollTimeout::NONE)), Limit::None);
    assert_eq!(limit(|fds| poll(fds, PollTimeout::try_from(HOUR).unwrap())), Limit::Within(HOUR));
    assert_eq!(limit(|fds| ppoll(fds, Some(TimeSpec::from_duration(HOUR)), None)), Limit::Within(HOUR));
}
