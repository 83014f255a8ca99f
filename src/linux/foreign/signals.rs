//! Signals of a server's tasks: which wait to be handled, and which the server has sent itself.

use super::pending_call::Parked;
use super::sys;
use super::tasks::Death;
use std::collections::BTreeSet;

/// The signals by which a process is told of an error of its own (`signal(7)`). One that raises such a signal in itself, as `abort(3)` does,
/// says that it has crashed. Any other signal ends a process only if somebody sends it on purpose, or a timer does that the process has set.
const OF_ERRORS: [i32; 10] = [
    libc::SIGABRT,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPIPE,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// What `/proc/PID/task/TID/status` says of a task's signals, one bit each, signal 1 the lowest (`proc_pid_status(5)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// Directed at the thread.
    own: u64,
    /// Directed at the process.
    shared: u64,
    blocked: u64,
}

impl Masks {
    pub(super) fn of(pid: i32, tid: i32) -> Masks {
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

    /// Whether any signal waits.
    pub(super) const fn any(self) -> bool {
        self.own | self.shared != 0
    }

    /// The signals that wait and are delivered as soon as the thread is in a call with this mask, or with its own.
    pub(super) const fn deliverable(self, during: Option<u64>) -> u64 {
        let blocked = match during {
            Some(mask) => mask,
            None => self.blocked,
        };
        (self.own | self.shared) & !blocked
    }

    /// The signals that wait and are in this set.
    pub(super) const fn waiting(self, set: u64) -> u64 {
        (self.own | self.shared) & set
    }
}

/// Whether a process has a handler for a signal.
pub(super) fn handles(pid: i32, signal: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    caught(&text) >> (signal - 1) & 1 == 1
}

/// The signals that a process has handlers for, of its status.
fn caught(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// The signals that descriptors of a process tell of (`signalfd(2)`), as `/proc/PID/fdinfo` has them.
pub(super) fn told_by_descriptors(pid: i32) -> u64 {
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

/// A signal that a process of the server has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    signal: i32,
    /// The sender, by its number outside its namespace; `None` where it is not known which process it is.
    from: Option<i32>,
    /// The process that it was for, by its number outside; `None` if it was for several, or cannot be told.
    to: Option<i32>,
}

/// The signals that a server's processes have sent, those that can end a process.
#[derive(Debug, Default)]
pub(super) struct Ledger(Vec<Sent>);

impl Ledger {
    /// That of a server of which it is known beforehand that its processes send each other these signals.
    pub(super) fn of(signals: &BTreeSet<i32>) -> Ledger {
        Ledger(signals.iter().map(|signal| Sent { signal: *signal, from: None, to: None }).collect())
    }

    /// The signals that one process has sent to another.
    pub(super) fn to_others(&self) -> impl Iterator<Item = i32> {
        let is_to_another = |sent: &&Sent| sent.to.is_some() && sent.to != sent.from;
        self.0.iter().filter(is_to_another).map(|sent| sent.signal)
    }

    /// Takes note of a call that sends a signal and is about to be made. `outside` gives the number outside of a process by that within.
    pub(super) fn note(&mut self, call: &Parked, outside: impl Fn(i32) -> Option<i32>) {
        let [first, second, third, ..] = *call.arguments();
        let (to, signal) = match call.name {
            "tgkill" | "rt_tgsigqueueinfo" => (outside(first as i32), third as i32),
            "pidfd_send_signal" => (told_of(call.pid, first as i32).and_then(outside), second as i32),
            // 0 and negative numbers stand for groups, or for everybody.
            _ if first as i32 > 0 => (outside(first as i32), second as i32),
            _ => (None, second as i32),
        };
        let sent = Sent { signal, from: Some(call.pid), to };
        // The signal 0 only asks whether the process is there.
        if signal != 0 && !self.0.contains(&sent) {
            self.0.push(sent);
        }
    }

    /// Whether a process was killed by a signal that the server sent on purpose, as far as is known: another of its processes, a timer that it
    /// has set, or itself, unless that says that it has crashed.
    pub(super) fn explains(&self, death: &Death) -> bool {
        let Some(signal) = death.signal() else { return false };
        !OF_ERRORS.contains(&signal)
            || self.0.iter().any(|sent| {
                sent.signal == signal && sent.to.is_none_or(|to| to == death.pid) && sent.from != Some(death.pid)
            })
    }
}

/// The process that a pidfd of a process is for, by its number in the namespace of the process.
fn told_of(pid: i32, fd: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    // The last of the numbers is that of the innermost namespace.
    text.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?.parse().ok()
}

/// The signals that a call waits with in place of its thread's mask, if it does (`ppoll(2)`).
pub(super) fn mask_during(pid: i32, name: &str, arguments: &[u64; 6]) -> Option<u64> {
    let address = match name {
        "ppoll" => arguments[3],
        "epoll_pwait" | "epoll_pwait2" => arguments[4],
        "pselect6" if arguments[5] != 0 => {
            // The argument is the address of a pair: the mask's address, and its size.
            let mut pair = [0u64; 2];
            sys::read_memory(pid, arguments[5], &mut pair).ok()?;
            pair[0]
        }
        _ => 0,
    };
    let mut mask = [0u64];
    (address != 0 && sys::read_memory(pid, address, &mut mask).is_ok()).then_some(mask[0])
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

    #[test]
    fn a_signal_from_the_server_itself_explains_an_end_unless_it_says_that_the_sender_has_crashed() {
        let sent = |signal, from, to| Ledger(vec![Sent { signal, from: Some(from), to }]);
        let death = |pid, status| Death { pid, inner: pid, status: Some(status), sent: false };
        let abort = libc::SIGABRT;
        assert!(sent(abort, 1, Some(2)).explains(&death(2, abort)));
        assert!(sent(abort, 1, None).explains(&death(2, abort)));
        assert!(!sent(abort, 2, Some(2)).explains(&death(2, abort)));
        assert!(!sent(abort, 1, Some(3)).explains(&death(2, abort)));
        assert!(!sent(abort, 1, Some(2)).explains(&death(2, libc::SIGSEGV)));
        assert!(!sent(abort, 1, Some(2)).explains(&death(2, 0)));
        // Seen without the gate, which keeps no ledger.
        assert!(Ledger::default().explains(&death(2, libc::SIGTERM)));
        assert!(!Ledger::default().explains(&death(2, libc::SIGPIPE)));
        assert!(Ledger::default().explains(&death(2, libc::SIGALRM)));
    }

    #[test]
    fn what_a_server_sends_with_the_gate_it_sends_without_too() {
        let sent = |signal, to| Sent { signal, from: Some(1), to };
        let crashes = [sent(libc::SIGSEGV, Some(1)), sent(libc::SIGBUS, None)];
        let ledger = Ledger([&[sent(libc::SIGABRT, Some(2))][..], &crashes].concat());
        let known = ledger.to_others().collect();
        assert_eq!(known, BTreeSet::from([libc::SIGABRT]));
        let death = |status| Death { pid: 7, inner: 7, status: Some(status), sent: false };
        assert!(Ledger::of(&known).explains(&death(libc::SIGABRT)));
        assert!(!Ledger::of(&known).explains(&death(libc::SIGSEGV)));
    }
}
