//! Signals of other tasks, as `/proc` shows them: which are pending, blocked and caught, and which are read by a signalfd.

use super::check;
use crate::scenario::Errno;

/// The signal that a POSIX timer sends (`timer_create(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerSignal {
    pub(crate) number: i32,
    /// The value that comes with it.
    pub(crate) value: u64,
    /// The thread that it goes to; `None` if it goes to the process.
    pub(crate) thread: Option<i32>,
}

/// Sends the signal of timer `id` of process `pid`, as if the timer had expired.
pub(crate) fn timer_signal(pid: i32, id: i32, signal: TimerSignal) -> Result<(), Errno> {
    /// `siginfo_t` of a timer (`sigaction(2)`).
    #[repr(C)]
    struct Info {
        number: i32,
        errno: i32,
        code: i32,
        padding: i32,
        timer: i32,
        overrun: i32,
        value: u64,
        rest: [u64; 12],
    }
    const { assert!(size_of::<Info>() == size_of::<libc::siginfo_t>()) };
    let (number, value) = (signal.number, signal.value);
    let info = Info { number, errno: 0, code: libc::SI_TIMER, padding: 0, timer: id, overrun: 0, value, rest: [0; 12] };
    let sent = match signal.thread {
        // SAFETY: the kernel reads the struct, which has the size of a `siginfo_t`.
        Some(tid) => unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, number, &raw const info) },
        // SAFETY: as above.
        None => unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, number, &raw const info) },
    };
    check(sent).map(drop)
}

/// The signal masks in `/proc/PID/task/TID/status`: one bit per signal, the lowest for signal 1 (`proc_pid_status(5)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    /// Pending for the thread.
    own: u64,
    /// Pending for the process.
    shared: u64,
    blocked: u64,
}

impl Masks {
    pub(crate) fn of(pid: i32, tid: i32) -> Masks {
        let path = format!("/proc/{pid}/task/{tid}/status");
        Masks::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    fn parse(text: &str) -> Masks {
        let mut masks = Masks::default();
        for line in text.lines() {
            let Some((field, value)) = line.split_once(':') else { continue };
            let to = match field {
                "SigPnd" => &mut masks.own,
                "ShdPnd" => &mut masks.shared,
                "SigBlk" => &mut masks.blocked,
                _ => continue,
            };
            *to = u64::from_str_radix(value.trim(), 16).unwrap_or(0);
        }
        masks
    }

    /// Whether any signal is pending.
    pub(crate) const fn any(self) -> bool {
        self.own | self.shared != 0
    }

    /// The pending signals that can be delivered in a call that sets the mask `during`; `None`: that keeps the thread's own mask.
    pub(crate) const fn deliverable(self, during: Option<u64>) -> u64 {
        let blocked = match during {
            Some(mask) => mask,
            None => self.blocked,
        };
        (self.own | self.shared) & !blocked
    }

    /// The pending signals that are in `set`.
    pub(crate) const fn waiting(self, set: u64) -> u64 {
        (self.own | self.shared) & set
    }
}

/// Whether a process has a handler for a signal.
pub(crate) fn handles(pid: i32, signal: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    caught(&text) >> (signal - 1) & 1 == 1
}

/// The signals that a process has handlers for, from its `status`.
fn caught(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// The signals that the signalfds of a process accept (`signalfd(2)`), from `/proc/PID/fdinfo`.
pub(crate) fn told_by_descriptors(pid: i32) -> u64 {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let signalfds = entries
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:[signalfd]"));
    let masks = signalfds.filter_map(|entry| {
        let path = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?);
        let text = std::fs::read_to_string(path).ok()?;
        u64::from_str_radix(text.lines().find_map(|line| line.strip_prefix("sigmask:"))?.trim(), 16).ok()
    });
    masks.fold(0, |all, mask| all | mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bit(signal: i32) -> u64 {
        1 << (signal - 1)
    }

    #[test]
    fn a_signal_is_delivered_unless_it_is_blocked_in_the_call() {
        let text = "Name:\tserver\nSigQ:\t1/95000\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000010000\n\
                    SigBlk:\t0000000000010000\nSigIgn:\t0000000000001000\n";
        let masks = Masks::parse(text);
        assert!(masks.any());
        assert_eq!(masks.deliverable(None), 0);
        assert_eq!(masks.deliverable(Some(0)), bit(libc::SIGCHLD));
        assert_eq!(masks.waiting(bit(libc::SIGCHLD) | bit(libc::SIGTERM)), bit(libc::SIGCHLD));
        assert_eq!(Masks::parse("State:\tS (sleeping)\n"), Masks::default());
    }

    #[test]
    fn what_a_process_has_handlers_for_is_in_its_status() {
        assert_eq!(caught("SigIgn:\t0000000000001000\nSigCgt:\t0000000000010000\n"), bit(libc::SIGCHLD));
        assert_eq!(caught("State:\tS (sleeping)\n"), 0);
    }
}
