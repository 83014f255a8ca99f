//! A server that is another project's program, controlled call by call.
//!
//! The filter ([`filter`](crate::linux::gate::seccomp::filter)) sends the server's relevant calls to the gate, where they wait.
//! The server is *idle* (in names: quiet) when none of its threads runs: each is parked at the gate, or blocked in another call as far as
//! `/proc` shows ([`tasks`](crate::linux::process::tasks)). The server is *settled* when it is idle and no parked call could finish. Calls
//! are released one at a time, in the scheduler's order ([`schedule`](crate::world::schedule)), and only when the server is idle. So if
//! several threads wait for the same event, only one at a time can take it.
//!
//! Without the gate only `/proc` shows whether the server is idle, and an idle server counts as settled.

mod jump;
mod quiet;
mod step;

pub(crate) use step::Passed;

use crate::linux::clock::real_time::RealTime;
use crate::linux::clock::timers::Timers;
use crate::linux::clock::virtual_time::VirtualTime;
use crate::linux::error::KernelError;
use crate::linux::foreign::sent_signals::Ledger;
use crate::linux::gate::seccomp::notify::Notify;
use crate::linux::gate::seccomp::pending_call::PendingCall;
use crate::linux::net::peers::Peers;
use crate::linux::process::guardian::{Guardian, Launched, Plan, launch};
pub(crate) use crate::linux::process::tasks::Whose;
use crate::linux::process::tasks::{Death, TaskTree};
use crate::linux::sys::proc;
use crate::scenario::Errno;
use crate::world::schedule::{InOrderOfArrival, Scheduler};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

const DOING: &str = "steer the server's calls";
/// The time after which the server's tasks are scanned again while nothing comes to the gate: a task that blocks in an unintercepted call
/// generates no notification.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// How long tasks of the server may run before a call that raises a signal is released although they still run: they may be waiting for
/// that signal.
pub(super) const DEFERRED_AT_MOST: Duration = Duration::from_millis(50);
/// The interval at which a waiting harness checks whether it should still wait.
pub(crate) const LOOK_UP: Duration = Duration::from_millis(100);

/// The soft limit of descriptors of each process, by pid, before it was lowered.
#[derive(Debug)]
pub(super) struct Lowered(pub(super) BTreeMap<i32, u64>);

/// Whether a server has become idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// No task of the server runs.
    Yes,
    /// A bound on processor time or on wall-clock time was exceeded, and this thread still ran.
    Busy(i32),
}

/// A running server, and the calls that wait at the gate.
#[derive(Debug)]
pub(crate) struct Server {
    // The first field, so that it is dropped first: the server must end before its notification descriptor is closed. Otherwise calls at
    // the gate would fail with ENOSYS, and on that libuv and tokio abort.
    pub(super) guardian: Guardian,
    pub(super) notify: Option<Notify>,
    pub(super) parked: BTreeMap<i32, PendingCall>,
    pub(super) tree: TaskTree,
    pidfd: OwnedFd,
    pub(crate) pid: i32,
    order: u64,
    /// Which pending call is released next.
    scheduler: Box<dyn Scheduler>,
    /// Tasks last seen idle; cleared whenever any task may run.
    rests: Option<Whose>,
    /// Whether a call was seen at the gate that has not been received.
    knocks: bool,
    /// Whether a call that creates a task was released, and no scan has found all tasks blocked since. The new task may not be known yet.
    makers: bool,
    io_uring: bool,
    /// Whether the bytes that calls send are recorded.
    pub(super) records: bool,
    /// The sockets, by cookie, of which it is recorded which threads are told that there is something to read, and by which call.
    pub(super) told: BTreeMap<u64, BTreeMap<i32, &'static str>>,
    /// The original limits while the limits are lowered.
    pub(super) lowered: Option<Lowered>,
    /// Calls that were released for a signal and are not recorded in the history yet.
    pub(super) interrupted: Vec<Passed>,
    /// Whether a signal may be pending for the thread of a parked call.
    pub(super) signals_due: bool,
    pub(super) timers: Timers,
    /// The server's clock. All deadlines of its calls and timers are points in time on it.
    pub(super) time: VirtualTime,
    /// The signals that the server's processes have sent.
    pub(super) sent: Ledger,
    /// The connections that the server has opened itself.
    pub(super) peers: Peers,
    /// How long threads may wait in a `close` that was released, for what their socket has not sent yet (SO_LINGER, socket(7)).
    pub(super) lingering: BTreeMap<i32, Duration>,
    /// Whether the server has created a watch on files.
    pub(super) watches_files: bool,
    /// The threads whose call at the gate was cancelled by a signal.
    cancelled: BTreeSet<i32>,
    /// Whether a SIGSTOP of the harness has made a call return EINTR.
    cut_by_stop: bool,
    /// The process whose call to end was released last, until its end has been seen.
    pub(super) ending: Option<i32>,
    output: std::fs::File,
    /// How often the output file was emptied. Its size is checked before each released call that may write to it, or, without the gate,
    /// after each wait.
    emptied: u32,
}

impl Server {
    /// Starts a server. On return its first process is about to execute the program, which may still fail.
    pub(crate) fn start(plan: &Plan, namespace: bool) -> Result<Server, KernelError> {
        let Launched { guardian, pid, pidfd, notify } = launch(plan, namespace)?;
        let real = match plan {
            Plan { gate: false, .. } => Some(RealTime::NoGate),
            Plan { jumps: false, .. } => Some(RealTime::NotAsked),
            // A kernel without CONFIG_SCHED_INFO. A sleep could not be told from the next one.
            _ if !Path::new("/proc/thread-self/schedstat").exists() => Some(RealTime::NoCounts),
            _ => None,
        };
        let path = std::ffi::OsStr::new(plan.output.to_str().unwrap_or_default());
        let output =
            std::fs::File::options().write(true).open(path).map_err(KernelError::io("start the server", "open"))?;
        Ok(Server {
            notify,
            parked: BTreeMap::new(),
            tree: TaskTree::new(guardian.pid),
            pidfd,
            pid,
            order: 0,
            scheduler: Box::new(InOrderOfArrival),
            rests: None,
            knocks: false,
            makers: false,
            io_uring: false,
            records: false,
            told: BTreeMap::new(),
            lowered: None,
            interrupted: Vec::new(),
            signals_due: false,
            timers: Timers::new(real.is_none()),
            time: VirtualTime::new(real),
            sent: Ledger::default(),
            peers: Peers::default(),
            lingering: BTreeMap::new(),
            watches_files: false,
            cancelled: BTreeSet::new(),
            cut_by_stop: false,
            ending: None,
            output,
            emptied: 0,
            guardian,
        })
    }

    /// The signals that the server's processes have sent to each other, as far as the calls came to the gate.
    pub(crate) fn sent_to_others(&self) -> impl Iterator<Item = i32> {
        self.sent.to_others()
    }

    /// Sets the signals that the server's processes are known to send to each other. Has an effect only without the gate, where such calls
    /// are not seen. With the gate they are recorded.
    pub(crate) fn expect_signals(&mut self, signals: &BTreeSet<i32>) {
        if !self.is_gated() {
            self.sent = Ledger::of(signals);
        }
    }

    /// Whether the server's calls come to the gate.
    pub(crate) fn is_gated(&self) -> bool {
        self.notify.is_some()
    }

    /// Whether the server has set up an io_uring, whose operations no filter sees.
    pub(crate) fn uses_io_uring(&self) -> bool {
        self.io_uring
    }

    /// The error with which the first process failed to execute the program, if it did.
    pub(crate) fn not_executed(&self) -> Option<Errno> {
        self.guardian.shared.not_executed()
    }

    /// The wait status of the server's first process, if that process has ended.
    pub(crate) fn main_status(&self) -> Option<i32> {
        self.guardian.shared.status()
    }

    /// Whether the server's first process still runs, as far as is known.
    pub(crate) fn first_runs(&self) -> bool {
        self.main_status().is_none() && self.tree.runs(self.pid)
    }

    /// The ends of processes, the first one included, that have been seen since the last call.
    pub(crate) fn deaths(&mut self) -> Vec<Death> {
        let main = self.main_status();
        let mut deaths = self.tree.deaths();
        for death in &mut deaths {
            death.status = match death.pid == self.pid {
                true => main.or(death.status),
                // Any other process is reaped by its parent, or by the guardian if it has lost its parent.
                false => death.status.or_else(|| self.guardian.shared.reaped(death.inner)),
            };
            death.sent = self.sent.explains(death);
        }
        deaths
    }

    /// Whether any process of the server has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        self.tree.processes.len() > self.tree.zombies().count()
    }

    /// The calls that wait at the gate, each with the pid of its process, in the order in which they came.
    pub(crate) fn waits_in(&self) -> Vec<(i32, &'static str)> {
        let mut all: Vec<&PendingCall> = self.parked.values().collect();
        all.sort_unstable_by_key(|parked| parked.order);
        all.iter().map(|parked| (parked.pid, parked.name)).collect()
    }

    /// How often the output file was emptied because it had grown too long.
    pub(crate) const fn emptied(&self) -> u32 {
        self.emptied
    }

    /// The call that came last to the gate and waits there, and its descriptor if it is made on one.
    pub(crate) fn latest_call(&self) -> Option<(&'static str, Option<i32>)> {
        let latest = self.parked.values().max_by_key(|parked| parked.order)?;
        Some((latest.name, latest.descriptor()))
    }

    /// The process that has this socket; of several, the one with the lowest pid.
    pub(crate) fn owner_of(&self, inode: u32) -> Option<i32> {
        self.owners_of(inode).next()
    }

    /// The processes that have this socket, ordered by pid.
    pub(crate) fn owners_of(&self, inode: u32) -> impl DoubleEndedIterator<Item = i32> {
        let link = format!("socket:[{inode}]");
        self.tree.processes.keys().copied().filter(move |pid| proc::descriptors(*pid).any(|l| l == link))
    }

    /// How many descriptors of the server's processes refer to these sockets.
    pub(crate) fn count_of(&self, inodes: &BTreeSet<u32>) -> usize {
        let links: BTreeSet<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
        let all = self.tree.processes.keys().flat_map(|pid| proc::descriptors(*pid));
        all.filter(|link| links.contains(link)).count()
    }

    /// Sends a signal to every process of the server.
    pub(crate) fn signal(&mut self, signal: i32) -> Result<(), KernelError> {
        self.tree.refresh()?;
        self.tree.signal(signal);
        Ok(())
    }
}
