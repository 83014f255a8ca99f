//! Waits until a server is idle.

use super::{DEFERRED_AT_MOST, DOING, LOOK_AGAIN, LOOK_UP, Quiet, Server};
use crate::linux::clock::exec::{self, Executed};
use crate::linux::clock::real_time::RealTime;
use crate::linux::clock::{descriptors, readings};
use crate::linux::error::KernelError;
use crate::linux::gate::seccomp::calls::{self, Class};
use crate::linux::gate::seccomp::notify::{Answer, Notify};
use crate::linux::gate::seccomp::pending_call::{Arrival, Owner, PendingCall};
use crate::linux::process::tasks::{Look, Whose};
use crate::linux::sys;
use crate::scenario::Errno;
use crate::world::quiescence::Quiescence;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How much processor time a server may use after one released call before it counts as busy. It is not wall-clock time, because on a
/// loaded machine a server may get little processor time in any wall-clock time.
const QUIET_BOUND: Duration = Duration::from_secs(1);
/// The same in wall-clock time, for a server that counts as running but uses no processor time, such as one that waits for a disk.
const AWAKE_BOUND: Duration = Duration::from_secs(60);
/// If a task wakes up again and again for a moment, no scan finds that all tasks have stayed blocked since the scan before. After this
/// wall-clock time, one scan that finds all tasks blocked is enough for the server to count as idle.
const RESTLESS: Duration = Duration::from_secs(1);
/// The wall-clock time after which processor time is checked.
const SUSPICIOUS: Duration = Duration::from_millis(500);
/// The least time before the tasks are scanned again if one that is blocked outside the gate may wake up without a notification.
const LOOK_AT_SLEEPERS: Duration = Duration::from_millis(1);
/// The size in bytes above which a server's output file is emptied.
const MOST_OUTPUT: u64 = 16 << 20;

impl Server {
    /// Receives the calls that have come to the gate, and parks or answers each. True if any was answered, so that its thread runs again.
    fn receive(&mut self) -> Result<bool, KernelError> {
        let Some(notify) = &self.notify else {
            return Ok(false);
        };
        let before = self.order;
        let mut passed = false;
        while let Some(call) = notify.receive(std::mem::take(&mut self.knocks))? {
            let Some(pid) = self.tree.process_of(call.tid)? else {
                if calls::call(call.number).is_some_and(|(_, class)| class == Class::Execute) {
                    self.time.stays(RealTime::NotSeen);
                }
                // The thread is not in the tree, but it exists, because it has made a call.
                self.tree.stale = true;
                passed |= notify.answer(call.id, Answer::Continue)?;
                continue;
            };
            let Some(process) = self.tree.processes.get_mut(&pid) else { continue };
            process.calls = true;
            self.lingering.remove(&call.tid);
            if self.parked.remove(&call.tid).is_some() {
                self.cancelled.insert(call.tid);
            }
            // After a call that creates a task, the tree may not have the new task yet: the process may have a second thread by now.
            let alone = process.has_one_thread() && !self.tree.stale && !self.makers;
            let owner = Owner { pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone };
            self.order += 1;
            match PendingCall::arrive(&call, owner, self.order, self.time.clock()) {
                Arrival::PendingCall(parked) => drop(self.parked.insert(call.tid, parked)),
                Arrival::Timer(parked) => {
                    let answer = self.timers.called(pid, parked.name, parked.arguments(), self.time.clock());
                    passed |= notify.answer(call.id, answer)?;
                }
                Arrival::ArmsDescriptor(parked) => {
                    let answer = descriptors::arm(self.time.clock(), pid, process.pidfd.as_fd(), parked.arguments());
                    passed |= notify.answer(call.id, answer)?;
                }
                Arrival::Reading(parked) => {
                    let own = self.time.is_own(pid, call.instruction);
                    let answer = readings::answer(self.time.clock(), pid, parked.name, parked.arguments(), own);
                    passed |= notify.answer(call.id, answer)?;
                }
                Arrival::Execute if self.time.real().is_some() => passed |= notify.answer(call.id, Answer::Continue)?,
                Arrival::Execute => {
                    passed = true;
                    let release = || notify.answer(call.id, Answer::Continue).map(drop);
                    match exec::follow(pid, call.tid, self.time.clock().ahead(), release)? {
                        Executed::Yes(place) => {
                            self.time.executed(pid, place);
                            // The other threads of the process have ended.
                            self.tree.stale = true;
                        }
                        Executed::No => {}
                    }
                }
                Arrival::ThreadSignal(parked) => {
                    let tree = &self.tree;
                    self.sent.note(&parked, |inner| tree.outer(inner));
                    self.signals_due = true;
                    passed |= notify.answer(call.id, Answer::Continue)?;
                }
                other => {
                    if matches!(other, Arrival::Pass) {
                        // The call may write to the output file, and the server may never be idle between two such calls.
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
                // Usually no other call is waiting. If one is, it is received before the server counts as idle.
                break;
            }
        }
        // If a signal has cancelled a parked call, its thread runs again.
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

    /// Whether these tasks were last seen idle, and nothing has been done since that may have woken them.
    pub(crate) fn rests(&self, whose: Whose) -> bool {
        self.rests == Some(Whose::All) || self.rests == Some(whose)
    }

    /// To be called before the harness does anything that may wake a task of the server.
    pub(crate) fn disturb(&mut self) {
        self.rests = None;
    }

    /// Lets the server run until all of its tasks are idle.
    pub(crate) fn quiet(&mut self) -> Result<Quiet, KernelError> {
        self.quiet_of(Whose::All)
    }

    /// Lets the server run until these tasks are idle.
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
                // Every task is blocked, so a task whose creation was released exists by now. It may be missing from the tree.
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
                        self.end_due_sleeps()?;
                    }
                    self.wait(LOOK_AGAIN)?;
                }
                None if self.is_busy(start, &mut used) => return Ok(Quiet::Busy(self.pid)),
                // A server may make many calls in a row, such as a `close` of every possible descriptor. Usually the next call arrives
                // before a scan would end, so the tasks are not scanned here.
                None => self.wait(LOOK_AGAIN)?,
            }
            // A child's end raises SIGCHLD in its parent.
            self.signals_due |= self.tree.has_ends();
        }
    }

    /// Whether a server that has run since `start` counts as busy. `used` is the processor time that it had used when that was first
    /// checked.
    fn is_busy(&self, start: Instant, used: &mut Option<Duration>) -> bool {
        let awake = start.elapsed();
        if awake < SUSPICIOUS {
            return false;
        }
        let now = self.processor_time();
        now.saturating_sub(*used.get_or_insert(now)) > QUIET_BOUND || awake > AWAKE_BOUND
    }

    /// Whether the harness has made a call of the server return EINTR since this was last asked. With the gate, that is a call that a
    /// signal has cancelled there, which is possible only before Linux 5.19. Without the gate, it is a call that a `hold` has interrupted.
    /// What the server does after that is no evidence against it.
    pub(crate) fn was_perturbed(&mut self) -> bool {
        if std::mem::take(&mut self.cut_by_stop) || self.time.is_split() {
            return true;
        }
        // A call is also cancelled when its thread ends, but then its result has no effect.
        let cancelled = std::mem::take(&mut self.cancelled);
        !self.guardian.shared.is_killable() && cancelled.into_iter().any(|tid| self.tree.has_thread(tid))
    }

    /// To be called before the harness stops the server's processes by SIGSTOP.
    pub(crate) fn expect_stop(&mut self) {
        self.cut_by_stop |= self.tree.is_cut_by_stop();
    }

    /// Whether a call waits at the gate that has not been received.
    fn at_the_gate(&mut self) -> Result<bool, KernelError> {
        self.knocks = match &self.notify {
            Some(notify) => notify.knocks()?,
            None => false,
        };
        Ok(self.knocks)
    }

    /// Waits until a call comes to the gate, the first process ends or the process whose call to end was released ends, at most for `most`.
    pub(super) fn wait(&mut self, most: Duration) -> Result<(), KernelError> {
        self.wait_or(most, None)
    }

    /// The same, but also returns when `other` is readable.
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

    /// Waits for a call or the end of a process, until `deadline`, and then until the server is idle again.
    pub(crate) fn until(&mut self, deadline: Instant) -> Result<Quiet, KernelError> {
        self.until_or(deadline, None)
    }

    /// The same, but also ends the wait when `other` is readable. It returns after [`LOOK_UP`] in any case.
    pub(crate) fn until_or(&mut self, deadline: Instant, other: Option<BorrowedFd<'_>>) -> Result<Quiet, KernelError> {
        let now = self.now();
        let deadline = deadline.min(now + LOOK_UP);
        let next = self.next_duty().map_or(deadline, |duty| duty.min(deadline));
        // If something outside the harness's control may wake the server, no notification comes, so its tasks are scanned at intervals. If
        // only a deadline can wake it, its tasks are scanned at that time.
        let next = match self.quiescence() {
            Quiescence::Frozen | Quiescence::Exited => next,
            Quiescence::Until(time) => next.min(time.max(now + LOOK_AT_SLEEPERS)),
            Quiescence::Unknown { .. } | Quiescence::Busy(_) => next.min(now + LOOK_AT_SLEEPERS),
        };
        self.wait_or(next.saturating_duration_since(self.now()), other)?;
        self.go_on()
    }

    /// Lets time pass until the server does something, at most until `deadline`, and then lets the server run until it is idle again. If the
    /// server's clock may jump, no time passes but on that clock.
    pub(crate) fn pass_time(&mut self, deadline: Instant, held: bool) -> Result<Quiet, KernelError> {
        if self.jump(deadline, held)? { self.go_on() } else { self.until(deadline) }
    }

    /// Lets the server run until it is idle, after some time has passed.
    fn go_on(&mut self) -> Result<Quiet, KernelError> {
        self.raise_timers();
        if !self.clock().ahead().is_zero() {
            // A deadline that the kernel does not know may have passed.
            self.end_sleeps()?;
        }
        // A process outside the server may have sent a signal.
        self.signals_due = true;
        self.quiet()
    }
}

/// Empties a server's output file if it has grown too long. Returns 1 if so, else 0.
fn empty_if_too_long(output: &std::fs::File) -> u32 {
    let too_long = output.metadata().is_ok_and(|m| m.len() > MOST_OUTPUT);
    // The server has opened the file with O_APPEND, so it continues at the new end.
    u32::from(too_long && output.set_len(0).is_ok())
}

/// Waits until one of these descriptors is readable, at most for `most`. Returns which of them are.
fn wait_for<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], most: Duration) -> Result<[bool; N], KernelError> {
    use std::os::fd::AsRawFd;
    let none = -1;
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: fd.map_or(none, |fd| fd.as_raw_fd()), events: libc::POLLIN, revents: 0 });
    let time = libc::timespec { tv_sec: most.as_secs() as libc::time_t, tv_nsec: most.subsec_nanos().into() };
    // SAFETY: `polled` is an array of N, `time` is a live timespec, and the mask is null.
    let result = unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, &raw const time, std::ptr::null()) };
    match sys::check(result.into()) {
        Ok(_) => Ok(polled.map(|polled| polled.revents & libc::POLLIN != 0)),
        // A signal has interrupted this thread. The caller checks again.
        Err(Errno::EINTR) => Ok([false; N]),
        Err(errno) => Err(KernelError::call(DOING, "ppoll")(errno)),
    }
}
