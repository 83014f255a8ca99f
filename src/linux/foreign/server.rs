//! A server of somebody else's, steered call by call.
//!
//! Every call of its that matters comes to the gate by way of the filter ([`filter`](crate::linux::gate::seccomp::filter)) and waits there. *Quiet* means
//! that nothing of the server runs: each of its threads is parked at the gate, or sleeps elsewhere, as far as `/proc` can tell
//! ([`tasks`](crate::linux::process::tasks)). *Settled* is quiet with nothing parked that could go. Calls are let in one at a time, in the order in which
//! they came, each only when all is quiet: so that one thread at a time takes what another waits for as well.
//!
//! Without the gate, quiet is what `/proc` tells alone, and settled the same.

mod quiet;
mod step;

pub(crate) use step::Passed;

use crate::linux::clock::timers::Timers;
use crate::linux::error::KernelError;
use crate::linux::foreign::sent_signals::Ledger;
use crate::linux::gate::seccomp::notify::Notify;
use crate::linux::gate::seccomp::pending_call::Parked;
use crate::linux::net::peers::Peers;
use crate::linux::process::guardian::{Guardian, Launched, Plan, launch};
pub(crate) use crate::linux::process::tasks::Whose;
use crate::linux::process::tasks::{Death, Tree};
use crate::linux::sys::proc;
use crate::scenario::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::Duration;

const DOING: &str = "steer the server's calls";
/// Where nothing comes to the gate, the server's tasks are looked at again after this time: one that goes to sleep elsewhere tells
/// nobody.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// For how long a server may be awake before a call that raises signals is let in all the same: the tasks that are awake may wait for it.
pub(super) const DEFERRED_AT_MOST: Duration = Duration::from_millis(50);
/// How often somebody who waits looks whether that is still wanted.
pub(crate) const LOOK_UP: Duration = Duration::from_millis(100);

/// The soft limits of descriptors that a server's processes had before they were lowered.
#[derive(Debug)]
pub(super) struct Lowered(pub(super) BTreeMap<i32, u64>);

/// What a server does when it is let.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Nothing of it runs.
    Yes,
    /// Something of it still ran after [`QUIET_BOUND`] or [`AWAKE_BOUND`]: this thread.
    Busy(i32),
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
        self.tree.processes.keys().copied().filter(move |pid| proc::descriptors(*pid).any(|l| l == link))
    }

    /// How many of these sockets its processes have.
    pub(crate) fn count_of(&self, inodes: &BTreeSet<u32>) -> usize {
        let links: BTreeSet<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
        let all = self.tree.processes.keys().flat_map(|pid| proc::descriptors(*pid));
        all.filter(|link| links.contains(link)).count()
    }

    /// Sends every process a signal.
    pub(crate) fn signal(&mut self, signal: i32) -> Result<(), KernelError> {
        self.tree.refresh()?;
        self.tree.signal(signal);
        Ok(())
    }
}
