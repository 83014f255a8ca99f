//! The server's processes and threads, as `/proc` shows them (`proc(5)`), and whether all of them are asleep.
//!
//! A task that was seen asleep may be woken a moment later by a task that the scan has not reached yet. So the tree counts as idle only if
//! one scan finds every task asleep, and no task has been switched to since the scan before, by the task's own count (`schedstat`). Then no
//! task ran in between, and so no task can have woken another. Usually the scan before is the one that last found the tree idle, and one
//! new scan is enough.

mod task;

use crate::linux::clock::blocked_call;
use crate::linux::clock::server_clock::ServerClock;
use crate::linux::clock::sleeper::Sleeper;
use crate::linux::error::KernelError;
use crate::linux::sys::proc::{Scheduled, children, has_signalfd, inner_pid, stat, tids};
use crate::linux::sys::process as sys;
use crate::linux::sys::{pidfd_kill, pidfd_open, poll};
use crate::scenario::Errno;
use crate::world::quiescence::TaskState;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use task::Task;

const DOING: &str = "look at the server's tasks";
/// The error of an operation on a process or thread that has ended.
const GONE: Errno = Errno::ESRCH;

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pidfd: OwnedFd,
    /// Its pid in its own namespace.
    inner: i32,
    tasks: BTreeMap<i32, Task>,
    /// Whether it has ended and is not reaped: a zombie.
    zombie: bool,
    /// Whether the process had a signalfd when that was last checked.
    pub(crate) signalfd: bool,
    /// Whether the process has made a call at the gate since the last [`TaskTree::survey`], or is new.
    pub(crate) calls: bool,
}

impl Process {
    /// Whether the process has one thread, as far as is known.
    pub(crate) fn has_one_thread(&self) -> bool {
        self.tasks.len() == 1
    }
}

/// How a process of the tree has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) pid: i32,
    /// Its pid in its own namespace.
    pub(crate) inner: i32,
    /// The status as `waitpid(2)` gives it; `None` where the kernel does not tell.
    pub(crate) status: Option<i32>,
    /// Whether a signal that the server sent on purpose killed the process, as far as is known.
    pub(crate) sent: bool,
}

impl Death {
    /// The signal that killed it, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.filter(|status| libc::WIFSIGNALED(*status)).map(|status| libc::WTERMSIG(status))
    }

    /// The exit code, if the process exited.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.filter(|status| libc::WIFEXITED(*status)).map(|status| libc::WEXITSTATUS(status))
    }
}

/// Which tasks a scan covers.
///
/// Some processes never make a call that the gate intercepts, such as a process that only starts others and waits for their end. They do
/// not affect which call is released next, so they are not scanned between two calls: scanning them is the most expensive step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Tasks of processes that come to the gate, or may.
    Callers,
    All,
}

/// The result of one scan of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Every task is asleep, and none has been switched to since the scan before.
    Still,
    /// Every task is asleep.
    Asleep,
    /// At least this task is awake.
    Awake(i32),
}

/// All processes below the guardian.
#[derive(Debug)]
pub(crate) struct TaskTree {
    guardian: i32,
    pub(crate) processes: BTreeMap<i32, Process>,
    /// The process of each thread.
    threads: BTreeMap<i32, i32>,
    /// Whether tasks may be missing from the tree, or tasks in it may be gone.
    pub(crate) stale: bool,
    /// Whether the tree was ever seen with more than one task.
    pub(crate) parallel: bool,
    /// Whether a task has just ended, which may have woken another.
    stirred: bool,
    deaths: Vec<Death>,
}

impl TaskTree {
    pub(crate) fn new(guardian: i32) -> TaskTree {
        TaskTree {
            guardian,
            processes: BTreeMap::new(),
            threads: BTreeMap::new(),
            stale: true,
            parallel: false,
            stirred: false,
            deaths: Vec::new(),
        }
    }

    /// The process of a thread, if it is known or a refresh finds it.
    pub(crate) fn process_of(&mut self, tid: i32) -> Result<Option<i32>, KernelError> {
        if let Some(pid) = self.threads.get(&tid) {
            return Ok(Some(*pid));
        }
        self.refresh()?;
        Ok(self.threads.get(&tid).copied())
    }

    /// Brings the tree up to date with `/proc`.
    pub(crate) fn refresh(&mut self) -> Result<(), KernelError> {
        self.stale = false;
        let mut found = BTreeSet::new();
        let mut next = children(self.guardian, self.guardian);
        while let Some(pid) = next.pop() {
            // A zombie has no threads and no children.
            if !found.insert(pid) || self.processes.get(&pid).is_some_and(|process| process.zombie) {
                continue;
            }
            let tids = tids(pid);
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.processes.entry(pid) {
                let pidfd = match pidfd_open(pid) {
                    Ok(pidfd) => pidfd,
                    // A process that is gone already is not added.
                    Err(GONE | Errno::EINVAL) => continue,
                    Err(errno) => return Err(KernelError::call(DOING, "pidfd_open")(errno)),
                };
                vacant.insert(Process {
                    pidfd,
                    inner: inner_pid(pid),
                    tasks: BTreeMap::new(),
                    zombie: false,
                    signalfd: has_signalfd(pid),
                    calls: true,
                });
            }
            let Some(process) = self.processes.get_mut(&pid) else { continue };
            process.tasks.retain(|tid, _| tids.contains(tid));
            for tid in tids {
                if !process.tasks.contains_key(&tid)
                    && let Some(task) = Task::open(pid, tid)?
                {
                    process.tasks.insert(tid, task);
                }
                self.threads.insert(tid, pid);
                next.extend(children(pid, tid));
            }
        }
        // The walk can miss a process that is just given another parent, so only the pidfd says whether a process has ended.
        let missed = self.processes.iter().filter(|(pid, _)| !found.contains(pid));
        let gone: Vec<i32> =
            missed.filter(|(_, process)| has_ended(process.pidfd.as_fd())).map(|(pid, _)| *pid).collect();
        for pid in gone {
            self.forget(pid);
        }
        self.threads.retain(|tid, pid| self.processes.get(pid).is_some_and(|p| p.tasks.contains_key(tid)));
        self.parallel |= self.threads.len() > 1;
        Ok(())
    }

    /// Removes a process that has been reaped, and records how it ended.
    fn forget(&mut self, pid: i32) {
        if let Some(process) = self.processes.remove(&pid)
            && !process.zombie
        {
            let status = sys::exit_status(process.pidfd.as_fd());
            self.deaths.push(Death { pid, inner: process.inner, status, sent: false });
        }
    }

    /// Whether there are ends that [`TaskTree::deaths`] has not returned yet.
    pub(crate) fn has_ends(&self) -> bool {
        !self.deaths.is_empty()
    }

    /// The ends that have been seen since the last call.
    pub(crate) fn deaths(&mut self) -> Vec<Death> {
        std::mem::take(&mut self.deaths)
    }

    /// Scans every task once, except those that `parked` says are waiting at the gate. After a task has ended, these are scanned too:
    /// SIGCHLD may have woken the parent, which may not have run yet.
    pub(crate) fn look(&mut self, whose: Whose, parked: impl Fn(i32) -> bool) -> Result<Look, KernelError> {
        if self.stale {
            self.refresh()?;
        }
        let mut still = true;
        let mut ended = Vec::new();
        for (pid, process) in &mut self.processes {
            if whose == Whose::Callers && !process.calls && !self.stirred {
                continue;
            }
            for (tid, task) in &mut process.tasks {
                let parked = parked(*tid);
                if process.zombie || (parked && !self.stirred) {
                    continue;
                }
                if !parked && task.still_sleeps() {
                    continue;
                }
                match task.state() {
                    Some(b'S' | b'I' | b'T' | b't') => {}
                    // These are no disk waits: a thread whose call at the gate has been received is in this state (`TASK_KILLABLE`), and so
                    // is a thread that waits in `vfork(2)` for its child.
                    Some(b'D') if parked || blocked_call::waits_for_vfork(*pid, *tid) => {}
                    Some(b'Z') if tid == pid => {
                        ended.push(*pid);
                        continue;
                    }
                    // The task is gone or about to be: the tree has changed.
                    None | Some(b'Z' | b'X' | b'x') => {
                        self.stale = true;
                        still = false;
                        continue;
                    }
                    _ => return Ok(Look::Awake(*tid)),
                }
                if parked {
                    continue;
                }
                let switches = task.switches();
                // A task on the run queue can still show the state of a sleeping task, but its `syscall` file then says that it runs.
                task.slept = task.call().is_some();
                still &= switches == task.switches && task.slept;
                task.switches = switches;
            }
        }
        self.stirred = !ended.is_empty() || self.stale;
        still &= !self.stirred;
        for pid in ended {
            self.zombie(pid);
        }
        if self.stale {
            self.refresh()?;
            still = false;
        }
        Ok(if still { Look::Still } else { Look::Asleep })
    }

    /// Whether every task of the processes that come to the gate is known and waits there.
    pub(crate) fn waits(&self, parked: impl Fn(i32) -> bool) -> bool {
        let mut callers = self.processes.values().filter(|process| process.calls && !process.zombie);
        !self.stale && !self.stirred && callers.all(|process| process.tasks.keys().all(|tid| parked(*tid)))
    }

    /// How many threads each process has, of the processes that have not ended.
    pub(crate) fn threads_by_process(&self) -> impl Iterator<Item = (i32, usize)> {
        let alive = self.processes.iter().filter(|(_, process)| !process.zombie);
        alive.map(|(pid, process)| (*pid, process.tasks.len()))
    }

    /// How long all tasks have run, and have waited for a core.
    pub(crate) fn scheduled(&self) -> Scheduled {
        let tasks = self.processes.values().flat_map(|process| process.tasks.values());
        tasks.filter_map(Task::scheduled).fold(Scheduled::default(), Scheduled::plus)
    }

    /// Whether this thread is known and its process has not ended.
    pub(crate) fn has_thread(&self, tid: i32) -> bool {
        self.threads.get(&tid).is_some_and(|pid| self.runs(*pid))
    }

    /// The state of each task that is not parked and whose process has not ended. To be called when the server is idle, so that each of
    /// them is blocked. `lingering` says for how long threads may wait in a `close`.
    pub(crate) fn states(
        &mut self,
        parked: impl Fn(i32) -> bool,
        clock: ServerClock,
        lingering: &BTreeMap<i32, Duration>,
    ) -> Vec<TaskState> {
        let mut states = Vec::new();
        for (pid, process) in self.processes.iter_mut().filter(|(_, process)| !process.zombie) {
            let tasks = process.tasks.iter_mut().filter(|(tid, _)| !parked(**tid));
            states.extend(tasks.map(|(tid, task)| task.blocked_state(*pid, *tid, clock, lingering.get(tid).copied())));
        }
        states
    }

    /// The tasks that are not parked and whose deadline has passed, as far as was known when [`TaskTree::states`] was last called.
    pub(crate) fn sleepers(&self, now: ServerClock, parked: impl Fn(i32) -> bool) -> Vec<Sleeper> {
        let mut due = Vec::new();
        for (pid, process) in self.processes.iter().filter(|(_, process)| !process.zombie) {
            let tasks = process.tasks.iter().filter(|(tid, _)| !parked(**tid));
            due.extend(
                tasks.filter_map(|(tid, task)| Some(Sleeper { pid: *pid, tid: *tid, call: task.overslept(now)? })),
            );
        }
        due
    }

    /// Whether a task has not been given a core since it was last seen blocked.
    pub(crate) fn sleeps_on(&self, sleeper: &Sleeper) -> bool {
        let task = self.processes.get(&sleeper.pid).and_then(|process| process.tasks.get(&sleeper.tid));
        task.is_some_and(Task::sleeps_on)
    }

    /// Whether a task is blocked in a call that fails with EINTR when its process is stopped and continued.
    pub(crate) fn is_cut_by_stop(&self) -> bool {
        let mut tasks = self.threads.iter().filter(|(_, pid)| self.runs(**pid));
        tasks.any(|(tid, pid)| {
            let Some(process) = self.processes.get(pid) else { return false };
            blocked_call::call_of(*pid, *tid)
                .is_some_and(|call| blocked_call::is_cut_by_stop(call, process.pidfd.as_fd()))
        })
    }

    /// The pid outside its namespace of the server's process that has this pid in its own namespace.
    pub(crate) fn outer(&self, inner: i32) -> Option<i32> {
        self.processes.iter().find(|(_, process)| process.inner == inner).map(|(pid, _)| *pid)
    }

    /// Records a process that has ended and is not reaped. A process of which only the first thread has ended goes on.
    fn zombie(&mut self, pid: i32) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if tids(pid).len() > 1 {
            process.tasks.remove(&pid);
            return;
        }
        process.zombie = true;
        // The process may have been reaped meanwhile.
        // A process that this one may not trace is shown with status 0, however it ended (`do_task_stat` in the kernel).
        let is_shown = process.tasks.get(&pid).is_none_or(Task::may_be_traced);
        let status = stat(pid).and_then(|stat| stat.exit_code()).filter(|status| *status != 0 || is_shown);
        let status = status.or_else(|| sys::exit_status(process.pidfd.as_fd()));
        self.deaths.push(Death { pid, inner: process.inner, status, sent: false });
        // Its children have another parent now.
        self.stale = true;
    }

    /// Whether this process is known and has not ended.
    pub(crate) fn runs(&self, pid: i32) -> bool {
        self.processes.get(&pid).is_some_and(|process| !process.zombie)
    }

    /// The pids of the processes that have ended and are not reaped.
    pub(crate) fn zombies(&self) -> impl Iterator<Item = i32> {
        self.processes.iter().filter(|(_, process)| process.zombie).map(|(pid, _)| *pid)
    }

    /// Checks again which processes have a signalfd, and resets [`Process::calls`]. Most servers make their signalfds before they listen
    /// and never again, and their processes that make no call at the gate after that never make one.
    pub(crate) fn survey(&mut self) {
        for (pid, process) in &mut self.processes {
            process.signalfd = has_signalfd(*pid);
            process.calls = false;
        }
    }

    /// Sends a signal to every process.
    pub(crate) fn signal(&self, signal: i32) {
        for process in self.processes.values() {
            // Errors mean that the process is gone.
            let _ = pidfd_kill(process.pidfd.as_fd(), signal);
        }
    }
}

/// Whether the process of this pidfd has ended.
fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    poll([pidfd], Duration::ZERO).is_ok_and(|[ready]| !ready.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// How long a process may take to end after it was told to.
    const BOUND: Duration = Duration::from_secs(60);

    /// A process that ends when its standard input does, and its pid.
    fn child() -> (Child, i32) {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let pid = child.id() as i32;
        (child, pid)
    }

    #[test]
    fn a_process_that_a_walk_misses_is_there_until_it_has_ended() {
        let (mut guardian, above) = child();
        let (mut missed, pid) = child();
        let mut tree = TaskTree::new(above);
        let pidfd = pidfd_open(pid).unwrap();
        let (tasks, inner) = (BTreeMap::new(), inner_pid(pid));
        tree.processes.insert(pid, Process { pidfd, inner, tasks, zombie: false, signalfd: false, calls: false });
        // The process is no child of the one at which the walk begins, as is a process that is just given another parent.
        tree.refresh().unwrap();
        assert!(tree.runs(pid) && tree.deaths().is_empty());
        drop(missed.stdin.take());
        let [ended] = poll([tree.processes[&pid].pidfd.as_fd()], BOUND).unwrap();
        assert!(!ended.is_empty(), "it has not ended after {BOUND:?}");
        tree.refresh().unwrap();
        assert!(!tree.runs(pid));
        assert_eq!(tree.deaths().iter().map(|death| death.pid).collect::<Vec<_>>(), [pid]);
        for child in [&mut guardian, &mut missed] {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}
