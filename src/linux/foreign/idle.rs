//! What an idle server waits for, and when it gets its signals.
//!
//! If a signal arrives while a call waits at the gate and has not been received, the call returns EINTR without having run
//! (`seccomp_unotify(2)`). This happens even to `close`, which never does so without the gate. So calls that raise a signal in another
//! process (`exit_group`, which raises SIGCHLD, and `kill`) wait at the gate until every other task is blocked. The harness keeps the
//! interval timers, and sends their signals at such a time too. If a signal is pending for the thread of a received call, the call is then
//! released. It could not finish, so it returns because of the signal, as it would have done without the gate.

use crate::linux::error::KernelError;
use crate::linux::foreign::server::{Passed, Server};
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::gate::seccomp::pending_call::{Owner, PendingCall};
use crate::linux::sys::pidfd_kill;
use crate::world::quiescence::{Outside, Quiescence, TaskState, Wakes, quiescence};
use std::os::fd::AsFd;
use std::time::Instant;

impl Server {
    /// Whether the server can still change while no client acts. To be called when the server is idle.
    pub(crate) fn quiescence(&mut self) -> Quiescence {
        let (tasks, timers) = self.waits();
        let outside = if self.notify.is_none() {
            Some(Outside::NoGate)
        } else if self.timers.is_unreadable() {
            Some(Outside::Timer)
        } else if self.watches_files {
            Some(Outside::FileWatch)
        } else {
            (self.peers_outside() > 0).then_some(Outside::Peer)
        };
        quiescence(tasks, timers, outside)
    }

    /// The number of the server's connections to peers that are no clients of the harness, including those that are being established.
    pub(crate) fn peers_outside(&mut self) -> usize {
        let tree = &self.tree;
        self.peers.outside(|pid| tree.processes.get(&pid).map(|process| process.pidfd.as_fd()))
    }

    /// The latest deadline of the server's calls and timers; `None` if there is none. Without the gate the start of a call is not known, so
    /// the true deadline of the call may be earlier than the one used here.
    pub(crate) fn last_deadline(&mut self) -> Option<Instant> {
        let (tasks, timers) = self.waits();
        tasks.iter().filter_map(TaskState::deadline).chain(timers).max()
    }

    /// The state of each task, and the next expiry of each timer.
    fn waits(&mut self) -> (Vec<TaskState>, Vec<Instant>) {
        let clock = self.clock();
        let tree = &self.tree;
        self.timers.keep(|pid| tree.runs(pid));
        // Before the tasks: a timer that has just expired has no deadline any more, but the task that it has woken is then seen to run.
        let timers = self.timers.deadlines(tree.processes.keys().copied(), clock);
        let mut tasks = self.tree.states(|tid| self.parked.contains_key(&tid), clock, &self.lingering);
        let at_the_gate = self.parked.values();
        tasks.extend(
            at_the_gate.map(|parked| TaskState::Blocked { wakes: Wakes::Controlled, deadline: parked.deadline }),
        );
        (tasks, timers)
    }

    /// When the harness must act next: at the deadline of a parked call, or at the expiry of an interval timer.
    pub(super) fn next_duty(&self) -> Option<Instant> {
        let calls = self.parked.values().filter_map(|parked| parked.deadline);
        calls.chain(self.timers.next_interval()).chain(self.timers.next_posix()).min()
    }

    /// Sends the signals of interval timers that have expired.
    pub(super) fn raise_timers(&mut self) {
        let now = self.now();
        for pid in self.timers.expired(now) {
            if let Some(process) = self.tree.processes.get(&pid) {
                // Errors mean that the process has ended.
                let _ = pidfd_kill(process.pidfd.as_fd(), libc::SIGALRM);
                self.signals_due = true;
            }
        }
        self.signals_due |= self.timers.posix_expired(now);
    }

    /// Releases one call that had to wait until every other task is blocked. This is a call that ends its process or sends a signal, or a
    /// call whose thread has a signal to handle. False if there is none. To be called when the server is idle.
    pub(super) fn let_signals_through(&mut self) -> Result<bool, KernelError> {
        // On a kernel where a signal cancels received calls too, calls that never return EINTR without the gate are released first.
        let waits = self.guardian.shared.is_killable() || !self.parked.values().any(PendingCall::never_fails);
        if waits && self.let_deferred_in()? {
            return Ok(true);
        }
        if !self.signals_due {
            return Ok(false);
        }
        let mut waiting: Vec<_> = self.parked.values().collect();
        // The kernel delivers a signal for a process to its first thread, unless that thread blocks the signal (`complete_signal`).
        waiting.sort_unstable_by_key(|parked| (parked.pid != parked.tid, parked.order));
        let mut later = false;
        for parked in waiting {
            let Some(process) = self.tree.processes.get(&parked.pid) else { continue };
            let owner =
                Owner { pid: parked.pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone: false };
            let Some(interrupted) = parked.is_interrupted(owner)? else { continue };
            // A signal that is not delivered in this call may be delivered in the thread's next one. For example, pselect(2) sets a mask of
            // its own, and takes no signal while a descriptor is ready.
            later = true;
            if interrupted {
                let (tid, id) = (parked.tid, parked.id);
                // The result is not known: it depends on the call and the handler whether the call fails with EINTR or is restarted.
                let interrupted = Passed { result: None, ..self.passed(parked, Answer::Continue) };
                self.interrupted.push(interrupted);
                self.parked.remove(&tid);
                self.answer(id, Answer::Continue)?;
                return Ok(true);
            }
        }
        self.signals_due = later;
        Ok(false)
    }

    /// Releases the first call that ends its process or sends a signal. False if there is none.
    pub(super) fn let_deferred_in(&mut self) -> Result<bool, KernelError> {
        let deferred = self.parked.values().filter(|parked| parked.is_deferred()).min_by_key(|parked| parked.order);
        let Some(tid) = deferred.map(|parked| parked.tid) else { return Ok(false) };
        let Some(parked) = self.parked.remove(&tid) else { return Ok(false) };
        self.ending = parked.ends().then_some(parked.pid);
        if parked.sends_signal().is_some() {
            let tree = &self.tree;
            self.sent.note(&parked, |inner| tree.outer(inner));
        }
        self.signals_due = true;
        let id = parked.id;
        drop(parked);
        self.answer(id, Answer::Continue)?;
        Ok(true)
    }

    fn answer(&mut self, id: u64, answer: Answer) -> Result<(), KernelError> {
        if let Some(notify) = &self.notify {
            notify.answer(id, answer)?;
        }
        Ok(())
    }
}
