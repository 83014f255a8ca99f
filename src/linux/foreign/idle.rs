//! What a server waits for when it is quiet, and the signals that are due then.
//!
//! Signals are kept away from calls that have come to the gate and have not been received: there they would make the call return EINTR
//! without having run (`seccomp_unotify(2)`), `close` too, which cannot fail so by itself. So every call that raises a signal in another task
//! (`exit_group`, which raises SIGCHLD, and `kill`) waits at the gate until everything else is blocked, and so does the expiry of an interval
//! timer, which the harness keeps. A call that has been received is then let in if a signal is to be delivered to its thread: with nothing
//! to take, it only returns, as it would have done without the gate.

use crate::linux::clock::quiescence::{Outside, Quiescence, TaskState, Wakes, quiescence};
use crate::linux::error::KernelError;
use crate::linux::foreign::server::{Passed, Server};
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::gate::seccomp::pending_call::{Owner, Parked};
use crate::linux::sys::pidfd_kill;
use std::os::fd::AsFd;
use std::time::Instant;

impl Server {
    /// Whether anything of it can still change while no client acts. To be asked when it is quiet.
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

    /// How many connections it has to others than clients of the harness, or is about to have.
    pub(crate) fn peers_outside(&mut self) -> usize {
        let tree = &self.tree;
        self.peers.outside(|pid| tree.processes.get(&pid).map(|process| process.pidfd.as_fd()))
    }

    /// When the last of all the times is up that it waits for: those of its calls and of its timers. Without the gate it is not known when a
    /// call was made, and the time is up at the latest then.
    pub(crate) fn last_deadline(&mut self) -> Option<Instant> {
        let (tasks, timers) = self.waits();
        tasks.iter().filter_map(TaskState::deadline).chain(timers).max()
    }

    /// The state of each task, and when each timer expires.
    fn waits(&mut self) -> (Vec<TaskState>, Vec<Instant>) {
        let mut tasks = self.tree.states(|tid| self.parked.contains_key(&tid));
        let at_the_gate = self.parked.values();
        tasks.extend(
            at_the_gate.map(|parked| TaskState::Blocked { wakes: Wakes::Controlled, deadline: parked.deadline }),
        );
        let tree = &self.tree;
        self.timers.keep(|pid| tree.runs(pid));
        let timers = self.timers.deadlines(tree.processes.keys().copied());
        (tasks, timers)
    }

    /// When the harness has something to do for the server: a parked call's time is up, or an interval timer expires.
    pub(super) fn next_duty(&self) -> Option<Instant> {
        let calls = self.parked.values().filter_map(|parked| parked.deadline);
        calls.chain(self.timers.next_interval()).min()
    }

    /// Sends the signals of interval timers that have expired.
    pub(super) fn raise_timers(&mut self) {
        let now = Instant::now();
        for pid in self.timers.expired(now) {
            if let Some(process) = self.tree.processes.get(&pid) {
                // One that has ended needs no signal.
                let _ = pidfd_kill(process.pidfd.as_fd(), libc::SIGALRM);
                self.signals_due = true;
            }
        }
        self.signals_due |= self.timers.posix_expired(now);
    }

    /// Lets one call in that has waited until everything else is blocked: one that ends its process or sends a signal, or one whose thread is
    /// to handle a signal. False if there is none. To be called when the server is quiet.
    pub(super) fn let_signals_through(&mut self) -> Result<bool, KernelError> {
        // Where a signal cuts calls at the gate short, those go first that could not fail without the gate.
        let waits = self.guardian.shared.is_killable() || !self.parked.values().any(Parked::never_fails);
        if waits && self.let_deferred_in()? {
            return Ok(true);
        }
        if !self.signals_due {
            return Ok(false);
        }
        let mut waiting: Vec<_> = self.parked.values().collect();
        // A signal for a whole process goes to its first thread, if that does not block it (`complete_signal`).
        waiting.sort_unstable_by_key(|parked| (parked.pid != parked.tid, parked.order));
        let mut later = false;
        for parked in waiting {
            let Some(process) = self.tree.processes.get(&parked.pid) else { continue };
            let owner =
                Owner { pid: parked.pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone: false };
            let Some(interrupted) = parked.is_interrupted(owner)? else { continue };
            // If it is not for this call it may be for the next one: pselect(2) has a mask of its own, and lets no signal in where it has a
            // descriptor to tell of.
            later = true;
            if interrupted {
                let (tid, id) = (parked.tid, parked.id);
                // Whether it fails or is made again is up to the handler.
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

    /// Lets the first call in that ends its process or sends a signal. False if there is none.
    pub(super) fn let_deferred_in(&mut self) -> Result<bool, KernelError> {
        let deferred = self.parked.values().filter(|parked| parked.is_deferred()).min_by_key(|parked| parked.order);
        let Some(tid) = deferred.map(|parked| parked.tid) else { return Ok(false) };
        let Some(parked) = self.parked.remove(&tid) else { return Ok(false) };
        self.ending = parked.ends().then_some(parked.pid);
        if parked.sends_signal() {
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
