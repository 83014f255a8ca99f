//! The signals that a server's processes have sent.

use crate::linux::gate::seccomp::pending_call::Parked;
use crate::linux::process::tasks::Death;
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
pub(crate) struct Ledger(Vec<Sent>);

impl Ledger {
    /// That of a server of which it is known beforehand that its processes send each other these signals.
    pub(crate) fn of(signals: &BTreeSet<i32>) -> Ledger {
        Ledger(signals.iter().map(|signal| Sent { signal: *signal, from: None, to: None }).collect())
    }

    /// The signals that one process has sent to another.
    pub(crate) fn to_others(&self) -> impl Iterator<Item = i32> {
        let is_to_another = |sent: &&Sent| sent.to.is_some() && sent.to != sent.from;
        self.0.iter().filter(is_to_another).map(|sent| sent.signal)
    }

    /// Takes note of a call that sends a signal and is about to be made. `outside` gives the number outside of a process by that within.
    pub(crate) fn note(&mut self, call: &Parked, outside: impl Fn(i32) -> Option<i32>) {
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
    pub(crate) fn explains(&self, death: &Death) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
