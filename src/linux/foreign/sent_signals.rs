//! Records the signals that a server's processes have sent.

use crate::linux::gate::seccomp::calls::Receiver;
use crate::linux::gate::seccomp::pending_call::PendingCall;
use crate::linux::process::tasks::Death;
use std::collections::BTreeSet;

/// The signals that report an error of the process itself (`signal(7)`). A process that raises such a signal in itself, as `abort(3)` does,
/// has crashed. Any other signal ends a process only if it is sent on purpose, or if it comes from a timer that the process has set.
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
    /// The sender's pid outside its pid namespace; `None` if the sender is not known.
    from: Option<i32>,
    /// The receiver's pid outside its pid namespace; `None` if there were several receivers, or the receiver is not known.
    to: Option<i32>,
}

/// The signals that a server's processes have sent, except signal 0.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Vec<Sent>);

impl Ledger {
    /// The ledger of a server whose processes are known beforehand to send these signals to each other.
    pub(crate) fn of(signals: &BTreeSet<i32>) -> Ledger {
        Ledger(signals.iter().map(|signal| Sent { signal: *signal, from: None, to: None }).collect())
    }

    /// The signals that a process has sent to another process.
    pub(crate) fn to_others(&self) -> impl Iterator<Item = i32> {
        let is_to_another = |sent: &&Sent| sent.to.is_some() && sent.to != sent.from;
        self.0.iter().filter(is_to_another).map(|sent| sent.signal)
    }

    /// Records a call that is about to send a signal. `outside` maps a pid in the server's pid namespace to the pid outside.
    pub(crate) fn note(&mut self, call: &PendingCall, outside: impl Fn(i32) -> Option<i32>) {
        let Some(sends) = call.sends_signal() else { return };
        let (to, signal) = (call.arguments()[0] as i32, call.arguments()[sends.signal] as i32);
        let pid = match sends.to {
            Receiver::Pidfd => told_of(call.pid, to),
            // 0 and negative numbers mean a process group, or all processes.
            Receiver::Process | Receiver::Thread => Some(to).filter(|pid| *pid > 0),
        };
        let to = pid.and_then(outside);
        let sent = Sent { signal, from: Some(call.pid), to };
        // Signal 0 only checks whether the process exists.
        if signal != 0 && !self.0.contains(&sent) {
            self.0.push(sent);
        }
    }

    /// Whether a process was killed by a signal that the server sent on purpose, as far as is known. The signal came from another process
    /// of the server, from a timer that the process has set, or from the process itself. A signal in [`OF_ERRORS`] from the process itself
    /// does not count.
    pub(crate) fn explains(&self, death: &Death) -> bool {
        let Some(signal) = death.signal() else { return false };
        !OF_ERRORS.contains(&signal)
            || self.0.iter().any(|sent| {
                sent.signal == signal && sent.to.is_none_or(|to| to == death.pid) && sent.from != Some(death.pid)
            })
    }
}

/// The process that descriptor `fd` of process `pid` refers to (`pidfd_open(2)`), by its pid in its own pid namespace.
fn told_of(pid: i32, fd: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    // The last number is the pid in the innermost namespace.
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
        // Without the gate no signal is recorded.
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
