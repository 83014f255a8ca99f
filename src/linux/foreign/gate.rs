//! A server of somebody else's, steered call by call.
//!
//! Every call of its that matters comes to the gate by way of the filter ([`filter`](super::filter)) and waits there. *Quiet* means
//! that nothing of the server runs: each of its threads is parked at the gate, or sleeps elsewhere, as far as `/proc` can tell
//! ([`tasks`](super::tasks)). *Settled* is quiet with nothing parked that could go. Calls are let in one at a time, in the order in which
//! they came, each only when all is quiet: so that one thread at a time takes what another waits for as well.
//!
//! Without the gate, quiet is what `/proc` tells alone, and settled the same.

use super::environment::{Injection, Lowered};
use super::idle::DEFERRED_AT_MOST;
use super::launch::{Guardian, Launched, Plan, launch};
use super::notify::{Answer, Notify};
use super::peers::Peers;
use super::pending_call::{Arrival, Owner, Parked};
use super::quiescence::Quiescence;
use super::signals::Ledger;
use super::sys::tcp_state;
use super::tasks::{Death, Look, Tree};
use super::timers::Timers;
use crate::linux::error::KernelError;
use crate::linux::sys;
use crate::scenario::Errno;
use crate::trace::TcpState;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

const DOING: &str = "steer the server's calls";

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
/// Where nothing comes to the gate, the server's tasks are looked at again after this time: one that goes to sleep elsewhere tells
/// nobody.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// Where a task sleeps outside the gate, the tasks are looked at again after this time at the earliest.
const LOOK_AT_SLEEPERS: Duration = Duration::from_millis(1);
/// What a server may write to its output; past that the file is emptied.
const MOST_OUTPUT: u64 = 16 << 20;

/// What a server does when it is let.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Nothing of it runs.
    Yes,
    /// Something of it still ran after [`QUIET_BOUND`] or [`AWAKE_BOUND`]: this thread.
    Busy(i32),
}

/// Of which tasks it is asked whether they are at rest.
///
/// Some processes never make a call that matters here, such as one that only starts others and waits for their end. They have nothing
/// to say on whose call goes next, so that between two calls they are not looked at: it is the dearest part of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those that come to the gate, or may.
    Callers,
    All,
}

/// A call that was let in, or answered by the harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The name of the system call, or of the C library's function for it.
    pub(crate) name: &'static str,
    /// The process.
    pub(crate) pid: i32,
    /// The descriptor that it was made on, where it is made on one.
    pub(crate) fd: Option<i32>,
    /// The kernel's number of the socket that it was made on (`SO_COOKIE`).
    pub(crate) cookie: Option<u64>,
    /// The state of that socket just before, if it is one of TCP's.
    pub(crate) state: Option<TcpState>,
    /// Whether it takes a connection from a listener.
    pub(crate) accepts: bool,
    /// Whether it takes from or gives to a socket.
    pub(crate) moves: bool,
    /// What it came to, where that is known.
    pub(crate) result: Option<Result<u32, Errno>>,
}

impl Passed {
    /// Whether the server cannot go on so for ever while no client acts: it takes data, or closes a socket.
    pub(crate) fn gets_on(&self) -> bool {
        self.name == "close" || matches!(self.result, Some(Ok(n)) if n > 0)
    }
}

/// A running server and the gate before it.
#[derive(Debug)]
pub(crate) struct Server {
    // Dropped first, and so ended before its gate is closed: a call that waits there would fail with ENOSYS, of which libuv and tokio abort.
    pub(super) guardian: Guardian,
    pub(super) notify: Option<Notify>,
    pub(super) parked: BTreeMap<i32, Parked>,
    pub(super) tree: Tree,
    pidfd: OwnedFd,
    pub(crate) pid: i32,
    order: u64,
    /// Of whom it is known that they are at rest, for nothing has happened since.
    rests: Option<Whose>,
    /// Whether somebody was seen to wait at the gate who has not been received.
    knocks: bool,
    /// Threads that were let make a task, and have not been seen at rest since: what they made may not be known yet.
    makers: bool,
    io_uring: bool,
    /// The limits that were lowered, for as long as they are.
    pub(super) lowered: Option<Lowered>,
    /// Calls that were let in for a signal and have not been told.
    pub(super) interrupted: Vec<Passed>,
    /// Whether a signal may wait for the thread of a parked call.
    pub(super) signals_due: bool,
    pub(super) timers: Timers,
    /// The signals that its processes have sent.
    pub(super) sent: Ledger,
    /// Whom it has connected to.
    pub(super) peers: Peers,
    /// Whether it has made a watch on files.
    pub(super) watches_files: bool,
    /// The threads of which a signal has taken a call back from the gate.
    cancelled: BTreeSet<i32>,
    /// Whether a stop by SIGSTOP has made a call return EINTR.
    cut_by_stop: bool,
    /// The process that was let end last and has not been seen to have ended.
    pub(super) ending: Option<i32>,
    output: std::fs::File,
    /// How often its output was emptied, which is looked at before each call that may write to it, or, without the gate, after each wait.
    emptied: u32,
}

impl Server {
    /// Starts it. It is then about to become the program, or to fail at that.
    pub(crate) fn start(plan: &Plan, namespace: bool) -> Result<Server, KernelError> {
        let Launched { guardian, pid, pidfd, notify } = launch(plan, namespace)?;
        let path = std::ffi::OsStr::new(plan.output.to_str().unwrap_or_default());
        let output =
            std::fs::File::options().write(true).open(path).map_err(KernelError::io("start the server", "open"))?;
        Ok(Server {
            notify,
            parked: BTreeMap::new(),
            tree: Tree::new(guardian.pid),
            pidfd,
            pid,
            order: 0,
            rests: None,
            knocks: false,
            makers: false,
            io_uring: false,
            lowered: None,
            interrupted: Vec::new(),
            signals_due: false,
            timers: Timers::default(),
            sent: Ledger::default(),
            peers: Peers::default(),
            watches_files: false,
            cancelled: BTreeSet::new(),
            cut_by_stop: false,
            ending: None,
            output,
            emptied: 0,
            guardian,
        })
    }

    /// The signals that its processes have sent each other, as far as they came to the gate.
    pub(crate) fn sent_to_others(&self) -> impl Iterator<Item = i32> {
        self.sent.to_others()
    }

    /// Is told which signals its processes send each other. Without the gate, which keeps account of them, it cannot be seen.
    pub(crate) fn expect_signals(&mut self, signals: &BTreeSet<i32>) {
        if !self.is_gated() {
            self.sent = Ledger::of(signals);
        }
    }

    /// Whether its calls are steered.
    pub(crate) fn is_gated(&self) -> bool {
        self.notify.is_some()
    }

    /// Whether it has set up an io_uring, whose calls no filter sees.
    pub(crate) fn uses_io_uring(&self) -> bool {
        self.io_uring
    }

    /// With what it failed to become the program.
    pub(crate) fn not_executed(&self) -> Option<Errno> {
        self.guardian.shared.not_executed()
    }

    /// How its first process has ended, if it has.
    pub(crate) fn main_status(&self) -> Option<i32> {
        self.guardian.shared.status()
    }

    /// Whether the first of its processes has not ended, so far as is known.
    pub(crate) fn first_runs(&self) -> bool {
        self.main_status().is_none() && self.tree.runs(self.pid)
    }

    /// The ends of processes that have been seen since this was last asked; that of the first among them.
    pub(crate) fn deaths(&mut self) -> Vec<Death> {
        let main = self.main_status();
        let mut deaths = self.tree.deaths();
        for death in &mut deaths {
            death.status = match death.pid == self.pid {
                true => main.or(death.status),
                // Another child's parent has reaped it, and the guardian those that had none.
                false => death.status.or_else(|| self.guardian.shared.reaped(death.inner)),
            };
            death.sent = self.sent.explains(death);
        }
        deaths
    }

    /// Whether any process of it is left.
    pub(crate) fn is_alive(&self) -> bool {
        self.tree.processes.len() > self.tree.zombies().count()
    }

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
    fn wait(&mut self, most: Duration) -> Result<(), KernelError> {
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

    /// Lets the first parked call in that could finish now, or answers it with an injected error, and lets it run until all who come to
    /// the gate are at rest. `None` if none can.
    pub(crate) fn step(&mut self, injection: &mut Injection) -> Result<Option<(Passed, Quiet)>, KernelError> {
        let Some((tid, answer)) = self.next(injection)? else {
            return Ok(None);
        };
        let Some(parked) = self.parked.remove(&tid) else { return Ok(None) };
        let passed = self.passed(&parked, answer);
        if parked.connects()
            && let (Some(fd), Some(cookie)) = (passed.fd, passed.cookie)
        {
            self.peers.note(passed.pid, fd, cookie);
        }
        let id = parked.id;
        // Its duplicate of the socket goes before the call does.
        drop(parked);
        if let Some(notify) = &self.notify {
            notify.answer(id, answer)?;
        }
        // Waited for before it is looked at: mostly it is back at the gate in no time.
        self.wait(LOOK_AGAIN)?;
        let quiet = self.quiet_of(Whose::Callers)?;
        Ok(Some((passed, quiet)))
    }

    /// The call that goes next, and its answer.
    fn next(&mut self, injection: &mut Injection) -> Result<Option<(i32, Answer)>, KernelError> {
        let now = Instant::now();
        let mut all: Vec<&Parked> = self.parked.values().collect();
        all.retain(|parked| !parked.is_deferred());
        all.sort_unstable_by_key(|parked| parked.order);
        for parked in all {
            let Some(process) = self.tree.processes.get(&parked.pid) else { continue };
            let owner =
                Owner { pid: parked.pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone: false };
            if let Some(call) = parked.faultable().filter(|call| injection.is_for(*call))
                && let Some(errno) =
                    parked.with_socket(owner, |socket| injection.take(call, socket.map(|(_, cookie)| cookie)))
            {
                return Ok(Some((parked.tid, Answer::Error(errno))));
            }
            if let Some(answer) = parked.ready(owner, now)? {
                return Ok(Some((parked.tid, answer)));
            }
        }
        Ok(None)
    }

    /// What is to be said of a call that is about to be answered.
    pub(super) fn passed(&self, parked: &Parked, answer: Answer) -> Passed {
        let accepts = parked.accepts();
        let told = |socket: Option<BorrowedFd<'_>>| match answer {
            Answer::Error(errno) => Some(Err(errno)),
            Answer::Value(value) => Some(Ok(value as u32)),
            Answer::Continue if accepts && self.lacks_descriptors(parked.pid) => Some(Err(Errno::EMFILE)),
            // Of a connection that is taken, or data that is, it can be told beforehand whether there is any.
            Answer::Continue => socket.filter(|_| accepts || parked.reads()).and_then(|socket| parked.foreseen(socket)),
        };
        let (cookie, state, result) = match self.tree.processes.get(&parked.pid) {
            None => (None, None, told(None)),
            Some(process) => {
                let (pid, pidfd) = (parked.pid, process.pidfd.as_fd());
                let owner = Owner { pid, pidfd, signalfd: process.signalfd, alone: false };
                parked.with_socket(owner, |socket| {
                    let (fd, cookie) = socket.unzip();
                    (cookie, fd.and_then(tcp_state), told(fd))
                })
            }
        };
        Passed {
            name: parked.name,
            pid: parked.pid,
            fd: parked.descriptor(),
            cookie,
            state,
            accepts,
            moves: parked.faultable().is_some() && !accepts,
            result,
        }
    }

    /// What the server waits in: the calls at the gate, in the order in which they came.
    pub(crate) fn waits_in(&self) -> Vec<(i32, &'static str)> {
        let mut all: Vec<&Parked> = self.parked.values().collect();
        all.sort_unstable_by_key(|parked| parked.order);
        all.iter().map(|parked| (parked.pid, parked.name)).collect()
    }

    /// How often its output grew too long and was thrown away.
    pub(crate) const fn emptied(&self) -> u32 {
        self.emptied
    }

    /// The descriptor of the call that waits longest at the gate.
    pub(crate) fn first_descriptor(&self) -> Option<i32> {
        self.parked.values().min_by_key(|parked| parked.order).and_then(Parked::descriptor)
    }

    /// The process that has this socket: the first, by its number, of several.
    pub(crate) fn owner_of(&self, inode: u32) -> Option<i32> {
        self.owners_of(inode).next()
    }

    /// The processes that have this socket, by their numbers.
    pub(crate) fn owners_of(&self, inode: u32) -> impl DoubleEndedIterator<Item = i32> {
        let link = format!("socket:[{inode}]");
        self.tree.processes.keys().copied().filter(move |pid| super::tasks::descriptors(*pid).any(|l| l == link))
    }

    /// How many of these sockets its processes have.
    pub(crate) fn count_of(&self, inodes: &BTreeSet<u32>) -> usize {
        let links: BTreeSet<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
        let all = self.tree.processes.keys().flat_map(|pid| super::tasks::descriptors(*pid));
        all.filter(|link| links.contains(link)).count()
    }

    /// Sends every process a signal.
    pub(crate) fn signal(&mut self, signal: i32) -> Result<(), KernelError> {
        self.tree.refresh()?;
        self.tree.signal(signal);
        Ok(())
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
