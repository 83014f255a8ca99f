//! Waiting until nothing of a server runs.

use super::{DEFERRED_AT_MOST, DOING, LOOK_AGAIN, Quiet, Server};
use crate::linux::clock::quiescence::Quiescence;
use crate::linux::error::KernelError;
use crate::linux::gate::seccomp::notify::{Answer, Notify};
use crate::linux::gate::seccomp::pending_call::{Arrival, Owner, Parked};
use crate::linux::process::tasks::{Look, Whose};
use crate::linux::sys;
use crate::scenario::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How much processor time a server may spend on what one let-in call has set off before it counts as busy. Not time on the clock: how
/// much it gets of that is the machine's affair.
const QUIET_BOUND: Duration = Duration::from_secs(1);
/// The same on the clock, for a server that is awake and uses no processor time, such as one that waits for a disk.
const AWAKE_BOUND: Duration = Duration::from_secs(60);
/// A server of which some task wakes up again and again for a moment is never seen with all tasks blocked twice in a row. It counts as quiet
/// when all of them have been seen blocked after so long on the clock.
const RESTLESS: Duration = Duration::from_secs(1);
/// From this time on the clock on, processor time is looked at.
const SUSPICIOUS: Duration = Duration::from_millis(500);
/// Where a task sleeps outside the gate, the tasks are looked at again after this time at the earliest.
const LOOK_AT_SLEEPERS: Duration = Duration::from_millis(1);
/// What a server may write to its output; past that the file is emptied.
const MOST_OUTPUT: u64 = 16 << 20;

impl Server {
    /// Takes in all that has come to the gate. Whether anything was passed on, and so runs again.
    fn receive(&mut self) -> Result<bool, KernelError> {
        let Some(notify) = &self.notify else {
            return Ok(false);
        };
        let before = self.order;
        let mut passed = false;
        while let Some(call) = notify.receive(std::mem::take(&mut self.knocks))? {
            let Some(pid) = self.tree.process_of(call.tid)? else {
                // A thread that nobody has seen yet: it is there, for it calls.
                self.tree.stale = true;
                passed |= notify.answer(call.id, Answer::Continue)?;
                continue;
            };
            let Some(process) = self.tree.processes.get_mut(&pid) else { continue };
            process.calls = true;
            if self.parked.remove(&call.tid).is_some() {
                self.cancelled.insert(call.tid);
            }
            // What is made is not known before its maker has come back: the thread that calls may have made another.
            let alone = process.has_one_thread() && !self.tree.stale && !self.makers;
            let owner = Owner { pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone };
            self.order += 1;
            match Parked::arrive(&call, owner, self.order) {
                Arrival::Parked(parked) => drop(self.parked.insert(call.tid, parked)),
                Arrival::Timer(parked) => {
                    let answer = self.timers.called(pid, parked.name, parked.arguments());
                    passed |= notify.answer(call.id, answer)?;
                }
                Arrival::ThreadSignal(parked) => {
                    let tree = &self.tree;
                    self.sent.note(&parked, |inner| tree.outer(inner));
                    self.signals_due = true;
                    passed |= notify.answer(call.id, Answer::Continue)?;
                }
                other => {
                    if matches!(other, Arrival::Pass) {
                        // It may be one that writes to its output, and there may be no rest between one and the next.
                        self.emptied += empty_if_too_long(&self.output);
                    }
                    self.io_uring |= matches!(other, Arrival::Ring);
                    self.makers |= matches!(other, Arrival::Tasks);
                    self.timers.descriptors |= matches!(other, Arrival::TimerDescriptor);
                    self.watches_files |= matches!(other, Arrival::FileWatch);
                    passed |= notify.answer(call.id, Answer::Continue)?;
                }
            }
            if alone {
                // Mostly it is the only one. Whoever else is there is seen before anything is said to be at rest.
                break;
            }
        }
        // A call that was taken back by a signal has its thread running.
        let cancelled = &mut self.cancelled;
        self.parked.retain(|tid, parked| {
            let here = parked.order > before || notify.valid(parked.id);
            if !here {
                cancelled.insert(*tid);
            }
            here
        });
        Ok(passed)
    }

    /// Whether these are at rest, for they were and nothing has been done since.
    pub(crate) fn rests(&self, whose: Whose) -> bool {
        self.rests == Some(Whose::All) || self.rests == Some(whose)
    }

    /// Is told that somebody is about to do something that may wake it.
    pub(crate) fn disturb(&mut self) {
        self.rests = None;
    }

    /// Lets what runs run until nothing does.
    pub(crate) fn quiet(&mut self) -> Result<Quiet, KernelError> {
        self.quiet_of(Whose::All)
    }

    /// Lets what runs run until none of these does.
    pub(crate) fn quiet_of(&mut self, whose: Whose) -> Result<Quiet, KernelError> {
        let start = Instant::now();
        let mut used = None;
        self.rests = None;
        loop {
            let passed = self.receive()?;
            if whose == Whose::Callers
                && !passed
                && !self.makers
                && self.tree.waits(|tid| self.parked.contains_key(&tid))
            {
                if self.let_signals_through()? {
                    continue;
                }
                self.rests = Some(whose);
                return Ok(Quiet::Yes);
            }
            let look = if passed { None } else { Some(self.tree.look(whose, |tid| self.parked.contains_key(&tid))?) };
            match look {
                // The first look only notes the counts; what came to the gate meanwhile has been passed or parked.
                // Whoever was let make a task has made it by now.
                Some(Look::Still | Look::Asleep) if std::mem::take(&mut self.makers) => self.tree.stale = true,
                Some(look @ (Look::Still | Look::Asleep))
                    if (look == Look::Still || start.elapsed() > RESTLESS) && !self.at_the_gate()? =>
                {
                    if self.let_signals_through()? {
                        continue;
                    }
                    self.rests = Some(whose);
                    return Ok(Quiet::Yes);
                }
                Some(Look::Still | Look::Asleep) => {}
                Some(Look::Awake(tid)) if self.is_busy(start, &mut used) => return Ok(Quiet::Busy(tid)),
                Some(Look::Awake(_)) => {
                    if start.elapsed() > DEFERRED_AT_MOST {
                        self.let_deferred_in()?;
                    }
                    if start.elapsed() > SUSPICIOUS {
                        self.raise_timers();
                    }
                    self.wait(LOOK_AGAIN)?;
                }
                None if self.is_busy(start, &mut used) => return Ok(Quiet::Busy(self.pid)),
                // A server may close every descriptor that it could have: mostly the next call is there before the tasks could be looked at.
                None => self.wait(LOOK_AGAIN)?,
            }
            // A child's end raises SIGCHLD in its parent.
            self.signals_due |= self.tree.has_ends();
        }
    }

    /// Whether a server that has been awake since `start` has had enough. `used` is the processor time that it had used when that was first
    /// asked.
    fn is_busy(&self, start: Instant, used: &mut Option<Duration>) -> bool {
        let awake = start.elapsed();
        if awake < SUSPICIOUS {
            return false;
        }
        let now = self.processor_time();
        now.saturating_sub(*used.get_or_insert(now)) > QUIET_BOUND || awake > AWAKE_BOUND
    }

    /// Whether a call was cut short by a signal of the harness' since this was last asked, so that it returned EINTR: at the gate, before
    /// Linux 5.19 only, or without the gate by `hold`. What a server does after that says nothing about it.
    pub(crate) fn was_perturbed(&mut self) -> bool {
        if std::mem::take(&mut self.cut_by_stop) {
            return true;
        }
        // A call is taken back from a thread that ends as well, and then nobody sees what it returns.
        let cancelled = std::mem::take(&mut self.cancelled);
        !self.guardian.shared.is_killable() && cancelled.into_iter().any(|tid| self.tree.has_thread(tid))
    }

    /// Is told that its processes are about to be stopped by SIGSTOP.
    pub(crate) fn expect_stop(&mut self) {
        self.cut_by_stop |= self.tree.is_cut_by_stop();
    }

    /// Whether somebody waits at the gate who has not been received.
    fn at_the_gate(&mut self) -> Result<bool, KernelError> {
        self.knocks = match &self.notify {
            Some(notify) => notify.knocks()?,
            None => false,
        };
        Ok(self.knocks)
    }

    /// Waits until something comes to the gate, or the first process ends or one that was let end, at most so long.
    pub(super) fn wait(&mut self, most: Duration) -> Result<(), KernelError> {
        self.wait_or(most, None)
    }

    /// The same, or until `other` can be read from.
    fn wait_or(&mut self, most: Duration, other: Option<BorrowedFd<'_>>) -> Result<(), KernelError> {
        let ended = self.main_status().is_some();
        let ending = self.ending.and_then(|pid| self.tree.processes.get(&pid)).map(|process| process.pidfd.as_fd());
        let fds = [self.notify.as_ref().map(Notify::as_fd), (!ended).then(|| self.pidfd.as_fd()), ending, other];
        let [knocks, _, gone, _] = wait_for(fds, most)?;
        self.knocks = knocks;
        if gone {
            self.ending = None;
        }
        if self.notify.is_none() {
            self.emptied += empty_if_too_long(&self.output);
        }
        Ok(())
    }

    /// Waits for a call or an end, until `deadline`; then everything that has come is parked or passed and all is quiet again.
    pub(crate) fn until(&mut self, deadline: Instant) -> Result<Quiet, KernelError> {
        self.until_or(deadline, None)
    }

    /// The same, and ends as well when `other` can be read from.
    pub(crate) fn until_or(&mut self, deadline: Instant, other: Option<BorrowedFd<'_>>) -> Result<Quiet, KernelError> {
        let next = self.next_duty().map_or(deadline, |duty| duty.min(deadline));
        // Where something may wake the server of which nothing tells, its tasks are looked at now and then. What sleeps until a known time
        // comes to the gate or sleeps again, and is looked at then.
        let next = match self.quiescence() {
            Quiescence::Frozen | Quiescence::Exited => next,
            Quiescence::Until(time) => next.min(time.max(Instant::now() + LOOK_AT_SLEEPERS)),
            Quiescence::Unknown { .. } | Quiescence::Busy(_) => next.min(Instant::now() + LOOK_AT_SLEEPERS),
        };
        self.wait_or(next.saturating_duration_since(Instant::now()), other)?;
        self.raise_timers();
        // A signal of somebody else's.
        self.signals_due = true;
        self.quiet()
    }
}

/// Empties a server's output that has grown too long. How often: 0 or 1.
fn empty_if_too_long(output: &std::fs::File) -> u32 {
    let too_long = output.metadata().is_ok_and(|m| m.len() > MOST_OUTPUT);
    // Opened for appending by the server, it goes on at the new end.
    u32::from(too_long && output.set_len(0).is_ok())
}

/// Waits until one of these has something, at most so long, and tells which has.
fn wait_for<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], most: Duration) -> Result<[bool; N], KernelError> {
    use std::os::fd::AsRawFd;
    let none = -1;
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: fd.map_or(none, |fd| fd.as_raw_fd()), events: libc::POLLIN, revents: 0 });
    let time = libc::timespec { tv_sec: most.as_secs() as libc::time_t, tv_nsec: most.subsec_nanos().into() };
    // SAFETY: so many pollfds, one timespec, and no mask.
    let result = unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, &raw const time, std::ptr::null()) };
    match sys::check(result.into()) {
        // A signal to us: whoever waits looks again.
        Ok(_) => Ok(polled.map(|polled| polled.revents & libc::POLLIN != 0)),
        Err(Errno::EINTR) => Ok([false; N]),
        Err(errno) => Err(KernelError::call(DOING, "ppoll")(errno)),
    }
}
