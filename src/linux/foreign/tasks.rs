//! The server's processes and threads, as `/proc` shows them (`proc(5)`), and whether all of them sleep.
//!
//! A task that was seen asleep may be woken a moment later by one that was not looked at yet. So all are at rest only if, in one look at
//! all of them, each sleeps and none has been switched to since the look before, by its own count (`schedstat`): nobody ran, and so
//! nobody can have woken anybody. Mostly the look before is that of the last time when all was at rest, and one is enough.

use super::blocked_call::{self, Call, Pid, Wait};
use super::gate::Whose;
use super::patience::Scheduled;
use super::quiescence::TaskState;
use super::sys;
use crate::linux::error::{KernelError, errno};
use crate::linux::sys::{pidfd_kill, poll};
use crate::scenario::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const DOING: &str = "look at the server's tasks";
/// What a look at a process or thread says that has ended.
const GONE: Errno = Errno::from_raw(libc::ESRCH);

/// One thread.
#[derive(Debug)]
struct Task {
    stat: File,
    schedstat: Option<File>,
    /// Not of a process that this one may not trace.
    syscall: Option<File>,
    /// The count of the last look.
    switches: u64,
    /// Whether it was blocked at the last look. As long as it is not given a core, it is in the same call.
    slept: bool,
    /// What it was last seen blocked in, outside the gate.
    blocked: Option<Blocked>,
}

/// What a task is blocked in.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    call: Call,
    wait: Wait,
    /// How often it had been given a core by then.
    switches: u64,
    /// When it was first seen in this call: a time limit of the call runs from then at the latest.
    since: Instant,
}

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pidfd: OwnedFd,
    /// Its number in its own namespace.
    inner: i32,
    tasks: BTreeMap<i32, Task>,
    /// Whether it has ended and is not reaped: a zombie.
    zombie: bool,
    /// Whether it had a signalfd when it was last asked.
    pub(super) signalfd: bool,
    /// Whether it has come to the gate since it was last asked what it is, or is new.
    pub(super) calls: bool,
}

impl Process {
    /// Whether it has one thread, as far as is known.
    pub(super) fn has_one_thread(&self) -> bool {
        self.tasks.len() == 1
    }
}

/// How a process of the tree has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) pid: i32,
    /// Its number in its own namespace.
    pub(crate) inner: i32,
    /// As `waitpid(2)` has it; `None` where the kernel does not tell.
    pub(crate) status: Option<i32>,
    /// Whether it was killed by a signal that the server sent on purpose, as far as is known.
    pub(crate) sent: bool,
}

impl Death {
    /// The signal that killed it, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.filter(|status| libc::WIFSIGNALED(*status)).map(|status| libc::WTERMSIG(status))
    }

    /// The code that it ended with, if it ended by itself.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.filter(|status| libc::WIFEXITED(*status)).map(|status| libc::WEXITSTATUS(status))
    }
}

/// What one look at all tasks came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Every task sleeps, and none has been switched to since the look before.
    Still,
    /// Every task sleeps.
    Asleep,
    /// At least this one does not.
    Awake(i32),
}

/// All processes below the guardian.
#[derive(Debug)]
pub(super) struct Tree {
    guardian: i32,
    pub(super) processes: BTreeMap<i32, Process>,
    /// Which process each thread is of.
    threads: BTreeMap<i32, i32>,
    /// Whether there may be tasks that are not known yet, or known ones that are gone.
    pub(super) stale: bool,
    /// Whether it has ever been seen with more than one task.
    pub(super) parallel: bool,
    /// Whether something has just ended, which may have woken somebody.
    stirred: bool,
    deaths: Vec<Death>,
}

impl Tree {
    pub(super) fn new(guardian: i32) -> Tree {
        Tree {
            guardian,
            processes: BTreeMap::new(),
            threads: BTreeMap::new(),
            stale: true,
            parallel: false,
            stirred: false,
            deaths: Vec::new(),
        }
    }

    /// The process of a thread, if it is known or can be found.
    pub(super) fn process_of(&mut self, tid: i32) -> Result<Option<i32>, KernelError> {
        if let Some(pid) = self.threads.get(&tid) {
            return Ok(Some(*pid));
        }
        self.refresh()?;
        Ok(self.threads.get(&tid).copied())
    }

    /// Brings the tree up to date.
    pub(super) fn refresh(&mut self) -> Result<(), KernelError> {
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
                let pidfd = match sys::pidfd_open(pid) {
                    Ok(pidfd) => pidfd,
                    // One that is gone meanwhile was never here.
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
        // The walk can miss a process that is just given another parent: only its pidfd says that it has ended.
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

    /// A process that has been reaped.
    fn forget(&mut self, pid: i32) {
        if let Some(process) = self.processes.remove(&pid)
            && !process.zombie
        {
            let status = sys::exit_status(process.pidfd.as_fd());
            self.deaths.push(Death { pid, inner: process.inner, status, sent: false });
        }
    }

    /// Whether there are ends that nobody has asked about.
    pub(super) fn has_ends(&self) -> bool {
        !self.deaths.is_empty()
    }

    /// The ends that have been seen since this was last asked.
    pub(super) fn deaths(&mut self) -> Vec<Death> {
        std::mem::take(&mut self.deaths)
    }

    /// Looks once at every task but those of which `parked` says that they wait at the gate. When a process has ended, at all: its
    /// parent may have been woken by SIGCHLD, and not have run yet.
    pub(super) fn look(&mut self, whose: Whose, parked: impl Fn(i32) -> bool) -> Result<Look, KernelError> {
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
                    // At the gate a call that has been received is waited for in this state (`TASK_KILLABLE`), and so is a child's execve.
                    Some(b'D') if parked || blocked_call::waits_for_vfork(*pid, *tid) => {}
                    Some(b'Z') if tid == pid => {
                        ended.push(*pid);
                        continue;
                    }
                    // Gone, or going: the tree has changed.
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
                // A task that is on the run queue can still be in the state of one that sleeps; its call then is that of one that runs.
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

    /// Whether every task that comes to the gate is known, and waits there.
    pub(super) fn waits(&self, parked: impl Fn(i32) -> bool) -> bool {
        let mut callers = self.processes.values().filter(|process| process.calls && !process.zombie);
        !self.stale && !self.stirred && callers.all(|process| process.tasks.keys().all(|tid| parked(*tid)))
    }

    /// How many threads each process has that has not ended.
    pub(super) fn threads_by_process(&self) -> impl Iterator<Item = (i32, usize)> {
        let alive = self.processes.iter().filter(|(_, process)| !process.zombie);
        alive.map(|(pid, process)| (*pid, process.tasks.len()))
    }

    /// What all tasks have been given of the processors.
    pub(super) fn scheduled(&self) -> Scheduled {
        let tasks = self.processes.values().flat_map(|process| process.tasks.values());
        tasks.filter_map(Task::scheduled).fold(Scheduled::default(), Scheduled::plus)
    }

    /// Whether this thread is known, of a process that has not ended.
    pub(super) fn has_thread(&self, tid: i32) -> bool {
        self.threads.get(&tid).is_some_and(|pid| self.runs(*pid))
    }

    /// The states of the tasks of processes that have not ended which are not parked, each of which is blocked. To be asked when the server
    /// is quiet.
    pub(super) fn states(&mut self, parked: impl Fn(i32) -> bool) -> Vec<TaskState> {
        let mut states = Vec::new();
        for (pid, process) in self.processes.iter_mut().filter(|(_, process)| !process.zombie) {
            let tasks = process.tasks.iter_mut().filter(|(tid, _)| !parked(**tid));
            states.extend(tasks.map(|(tid, task)| task.blocked_state(*pid, *tid)));
        }
        states
    }

    /// Whether a task sleeps in a call that fails with EINTR when its process is stopped and goes on.
    pub(super) fn is_cut_by_stop(&self) -> bool {
        let mut tasks = self.threads.iter().filter(|(_, pid)| self.runs(**pid));
        tasks.any(|(tid, pid)| {
            let Some(process) = self.processes.get(pid) else { return false };
            blocked_call::call_of(*pid, *tid)
                .is_some_and(|call| blocked_call::is_cut_by_stop(call, process.pidfd.as_fd()))
        })
    }

    /// The number outside of a process of the server's by that in its own namespace.
    pub(super) fn outer(&self, inner: i32) -> Option<i32> {
        self.processes.iter().find(|(_, process)| process.inner == inner).map(|(pid, _)| *pid)
    }

    /// Takes note of a process that has ended and is not reaped. A process whose first thread alone has ended goes on.
    fn zombie(&mut self, pid: i32) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if tids(pid).len() > 1 {
            process.tasks.remove(&pid);
            return;
        }
        process.zombie = true;
        // It may have been reaped meanwhile.
        let status = stat(pid).and_then(|stat| stat.exit_code()).or_else(|| sys::exit_status(process.pidfd.as_fd()));
        self.deaths.push(Death { pid, inner: process.inner, status, sent: false });
        // What it had for children has another parent now.
        self.stale = true;
    }

    /// Whether a process is known that has not ended.
    pub(super) fn runs(&self, pid: i32) -> bool {
        self.processes.get(&pid).is_some_and(|process| !process.zombie)
    }

    /// Numbers of the processes that have ended and are not reaped.
    pub(super) fn zombies(&self) -> impl Iterator<Item = i32> {
        self.processes.iter().filter(|(_, process)| process.zombie).map(|(pid, _)| *pid)
    }

    /// Asks once more what the processes are: most servers make descriptors that tell of signals before they listen, and never again, and
    /// those that do not come to the gate from then on do not come there at all.
    pub(super) fn survey(&mut self) {
        for (pid, process) in &mut self.processes {
            process.signalfd = has_signalfd(*pid);
            process.calls = false;
        }
    }

    /// Sends every process a signal.
    pub(super) fn signal(&self, signal: i32) {
        for process in self.processes.values() {
            // One that is gone does not mind.
            let _ = pidfd_kill(process.pidfd.as_fd(), signal);
        }
    }
}

/// The numbers of two fields of `/proc/PID/stat`, as proc_pid_stat(5) counts them.
const STATE: usize = 3;
const FLAGS: usize = 9;
/// The flag of a task that is about to end (`linux/sched.h`).
const PF_EXITING: u32 = 4;

impl Task {
    /// `None` if it is gone.
    ///
    /// # Errors
    ///
    /// If its files cannot be opened for another reason, such as the limit of open files.
    fn open(pid: i32, tid: i32) -> Result<Option<Task>, KernelError> {
        let open = |name| match File::open(format!("/proc/{pid}/task/{tid}/{name}")) {
            Ok(file) => Ok(Some(file)),
            // A kernel without CONFIG_SCHED_INFO has no schedstat.
            Err(error) if matches!(errno(&error), Errno::ENOENT | Errno::EACCES | GONE) => Ok(None),
            Err(error) => Err(KernelError::io(DOING, "open")(error)),
        };
        let Some(stat) = open("stat")? else { return Ok(None) };
        let (schedstat, syscall) = (open("schedstat")?, open("syscall")?);
        Ok(Some(Task { stat, schedstat, syscall, switches: 0, slept: false, blocked: None }))
    }

    /// The call that it is blocked in; `None` if it runs or is gone.
    fn call(&self) -> Option<Call> {
        // A number of at most three digits, and eight of sixteen with their prefix.
        let mut buffer = [0; 192];
        let read = self.syscall.as_ref()?.read_at(&mut buffer, 0).ok()?;
        blocked_call::parse(std::str::from_utf8(&buffer[..read]).ok()?)
    }

    /// Whether it was blocked at the last look and has been since, as far as its own count tells.
    fn still_sleeps(&self) -> bool {
        // One that has been woken and waits for a core is in no call.
        self.slept && self.schedstat.is_some() && self.switches() == self.switches && self.call().is_some()
    }

    /// What it is blocked in outside the gate.
    fn blocked_state(&mut self, pid: i32, tid: i32) -> TaskState {
        let Some(call) = self.call() else { return TaskState::Running(tid) };
        let switches = self.switches();
        let known = self.blocked.filter(|known| known.call == call && known.switches == switches);
        let blocked = known.unwrap_or_else(|| {
            let wait = blocked_call::decode(call, &Pid(pid));
            Blocked { call, wait, switches, since: Instant::now() }
        });
        self.blocked = Some(blocked);
        TaskState::Blocked { wakes: blocked.wait.wakes, deadline: blocked.wait.deadline(blocked.since) }
    }

    /// The letter of its state, that of one that runs for a task that is about to end; `None` if it is gone.
    fn state(&self) -> Option<u8> {
        // A name has at most 64 bytes with its escapes, and a parenthesis can stand in it.
        let mut buffer = [0; 192];
        let read = self.stat.read_at(&mut buffer, 0).ok()?;
        Task::state_in(&buffer[..read])
    }

    /// The same, of the beginning of its `stat`.
    fn state_in(text: &[u8]) -> Option<u8> {
        let end = text.iter().rposition(|b| *b == b')')?;
        let mut fields = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let flags: u32 = fields.nth(FLAGS - STATE - 1)?.parse().ok()?;
        // It may sleep on its way out, as the first process of a namespace does until all others have ended.
        let ends = flags & PF_EXITING != 0 && matches!(state, b'S' | b'D' | b'I');
        Some(if ends { b'R' } else { state })
    }

    /// What it has been given of the processors.
    fn scheduled(&self) -> Option<Scheduled> {
        let mut buffer = [0; 96];
        let read = self.schedstat.as_ref()?.read_at(&mut buffer, 0).ok()?;
        Scheduled::parse(std::str::from_utf8(&buffer[..read]).ok()?)
    }

    /// How often it has been given a core.
    fn switches(&self) -> u64 {
        let mut buffer = [0; 96];
        let read = self.schedstat.as_ref().and_then(|file| file.read_at(&mut buffer, 0).ok()).unwrap_or(0);
        let text = std::str::from_utf8(&buffer[..read]).unwrap_or_default();
        text.split_whitespace().nth(2).and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

/// The children of a thread.
pub(super) fn children(pid: i32, tid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The threads of a process.
fn tids(pid: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// How long one look at what is below a guardian waits for the ends of processes that were killed.
const KILL_BOUND: Duration = Duration::from_secs(1);

/// Kills all processes below this one, which adopts those that lose their parent, until there are none.
pub(super) fn kill_below(guardian: i32) {
    loop {
        let below = below(guardian);
        if below.is_empty() {
            return;
        }
        let held: Vec<OwnedFd> = below
            .into_iter()
            .filter_map(|pid| sys::pidfd_open(pid).ok().map(|pidfd| (pid, pidfd)))
            // A number may have become that of a process of somebody else's between the look and the pidfd, but not after the pidfd.
            .filter(|(pid, _)| descends(*pid, guardian))
            .map(|(_, pidfd)| pidfd)
            .collect();
        for pidfd in &held {
            let _ = pidfd_kill(pidfd.as_fd(), libc::SIGKILL);
        }
        // A killed process forks no more; those that were forked before are found in the next round.
        let deadline = Instant::now() + KILL_BOUND;
        for pidfd in &held {
            let _ = poll([pidfd.as_fd()], deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// Every process below this one.
fn below(guardian: i32) -> BTreeSet<i32> {
    let mut all = BTreeSet::new();
    let mut next = children(guardian, guardian);
    while let Some(pid) = next.pop() {
        let tids = tids(pid);
        // The guardian reaps those that have ended; until then they are nobody's parent. A process whose first thread alone has ended goes
        // on.
        let ended = tids.len() <= 1 && stat(pid).is_none_or(|stat| stat.is_zombie());
        if !ended && all.insert(pid) {
            next.extend(tids.into_iter().flat_map(|tid| children(pid, tid)));
        }
    }
    all
}

/// Whether a process has this one among those that it descends from.
fn descends(pid: i32, ancestor: i32) -> bool {
    let mut at = pid;
    while at > 1 {
        let Some(parent) = stat(at).and_then(|stat| stat.parent()) else { return false };
        if parent == ancestor {
            return true;
        }
        at = parent;
    }
    false
}

/// Whether the process of this pidfd has ended.
fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    poll([pidfd], Duration::ZERO).is_ok_and(|[ready]| ready != 0)
}

/// The number of a process in its own namespace (`NSpid` of `/proc/PID/status`).
fn inner_pid(pid: i32) -> i32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok()).unwrap_or(pid)
}

/// `/proc/PID/stat` of a whole process.
pub(super) struct Stat(Vec<String>);

pub(super) fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|b| *b == b')')?;
    let fields = String::from_utf8_lossy(&text[end + 1..]).split_whitespace().map(str::to_owned).collect();
    Some(Stat(fields))
}

impl Stat {
    /// Field `n` of proc(5), which counts from 1; the first after the name is 3.
    fn field<T: std::str::FromStr>(&self, n: usize) -> Option<T> {
        self.0.get(n - 3)?.parse().ok()
    }

    fn is_zombie(&self) -> bool {
        self.0.first().is_some_and(|state| state == "Z")
    }

    fn parent(&self) -> Option<i32> {
        self.field(4)
    }

    /// The letter of its state.
    pub(super) fn state(&self) -> Option<char> {
        self.field(3)
    }

    /// How it ended, for a zombie whose parent we may look at.
    fn exit_code(&self) -> Option<i32> {
        self.field(52)
    }

    /// Processor time of all its threads, those that have ended too, in clock ticks.
    pub(super) fn ticks(&self) -> Option<u64> {
        Some(self.field::<u64>(14)? + self.field::<u64>(15)?)
    }

    /// Resident memory in pages.
    pub(super) fn resident(&self) -> Option<u64> {
        self.field(24)
    }
}

/// What each descriptor of a process is, as the link to it says: `socket:[4711]`, `anon_inode:[eventpoll]`, a path.
pub(super) fn descriptors(pid: i32) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
}

fn has_signalfd(pid: i32) -> bool {
    descriptors(pid).any(|link| link == "anon_inode:[signalfd]")
}

/// The first line of its command, as `ps` shows it in brackets.
pub(super) fn name(pid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// Within this time a process ends that has been told to.
    const BOUND: Duration = Duration::from_secs(60);

    /// A process that ends when its standard input does, and its number.
    fn child() -> (Child, i32) {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let pid = child.id() as i32;
        (child, pid)
    }

    #[test]
    fn a_task_that_is_about_to_end_is_awake_though_it_sleeps() {
        let state = |state, flags: u32| {
            let text = format!("7 (a) S (b) {state} 1 7 7 0 -1 {flags} 104 0 0 0 0 0 0 0 20 0 1 0 9 2\n");
            Task::state_in(text.as_bytes()).map(char::from)
        };
        const PF_FORKNOEXEC: u32 = 0x40;
        assert_eq!(['S', 'D', 'R', 'T', 'Z'].map(|s| state(s, PF_FORKNOEXEC)), ['S', 'D', 'R', 'T', 'Z'].map(Some));
        let ends = ['S', 'D', 'I', 'R', 'Z', 'X'].map(|s| state(s, PF_FORKNOEXEC | PF_EXITING));
        assert_eq!(ends, ['R', 'R', 'R', 'R', 'Z', 'X'].map(Some));
        assert_eq!(Task::state_in(b""), None);
    }

    #[test]
    fn a_process_that_a_walk_misses_is_there_until_it_has_ended() {
        let (mut guardian, above) = child();
        let (mut missed, pid) = child();
        let mut tree = Tree::new(above);
        let pidfd = sys::pidfd_open(pid).unwrap();
        let (tasks, inner) = (BTreeMap::new(), inner_pid(pid));
        tree.processes.insert(pid, Process { pidfd, inner, tasks, zombie: false, signalfd: false, calls: false });
        // No child of the one that the walk begins at, as one is that is just given another parent.
        tree.refresh().unwrap();
        assert!(tree.runs(pid) && tree.deaths().is_empty());
        drop(missed.stdin.take());
        let [ended] = poll([tree.processes[&pid].pidfd.as_fd()], BOUND).unwrap();
        assert_ne!(ended, 0, "it has not ended after {BOUND:?}");
        tree.refresh().unwrap();
        assert!(!tree.runs(pid));
        assert_eq!(tree.deaths().iter().map(|death| death.pid).collect::<Vec<_>>(), [pid]);
        for child in [&mut guardian, &mut missed] {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    #[test]
    fn only_what_descends_from_the_guardian_is_ended_with_it() {
        let (mut child, pid) = child();
        let own = nix::unistd::getpid().as_raw();
        assert!(descends(pid, own));
        assert!(!descends(own, pid) && !descends(pid, pid));
        // Of a number that nobody has any more nothing is known.
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!descends(pid, own));
    }
}
