//! Sessions: what the scheduler takes for one user of the machine, and so where a worker and its servers belong.
//!
//! With `sched_autogroup` (the default; `sched(7)`) each session is a scheduling group, and the processor is shared out among groups. The
//! weight of a group on one core depends on what the group does on the others. It is computed anew at each wake-up, and in that the
//! scheduler of Linux 6.18 goes wrong: a group whose tasks wake each other all the time, while it runs on a second core too, may be given
//! a core for seconds on end, the kernel's own threads being left without. A gated server and its harness are exactly such tasks. A
//! group that runs on one core has a constant weight and nothing is computed, so each worker is
//! - a process in a session of its own, which nothing else is in but its servers;
//! - on one core, as its servers are ([`affinity`](crate::linux::process::affinity)).
//!
//! Both functions here fork, so that a worker has all that was read and checked before. They refuse to in a process of more than one
//! thread, where a copy of one of them could not go on: a lock that another thread holds would never be released. Whatever forks is the
//! worker's parent, and the worker dies with it (`PR_SET_PDEATHSIG`), by `kill -9` too.
//!
//! A session of its own also means that the terminal's signals do not come: who is in front passes them on.

use crate::linux::error::KernelError;
use crate::linux::sys::check;
use crate::scenario::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, killpg, raise, sigaction};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, getsid, setsid};
use std::fs;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::OnceLock;

const DOING: &str = "start a worker";

/// The signals that are passed on to the process in the session: those that people and other programs send to end a process, and two
/// that libFuzzer knows.
const PASSED_ON: [Signal; 5] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// The exit code of a worker that panicked, and of one whose parent was gone before it was to die with it.
const PANICKED: i32 = 101;

fn failed(call: &'static str) -> impl Fn(nix::errno::Errno) -> KernelError {
    move |errno| KernelError::Call { doing: DOING, call, errno: Errno::from_raw(errno as i32) }
}

/// Whether this process leads a session that has no terminal: one made for a worker, a service or a container.
pub(crate) fn is_led() -> bool {
    // ENXIO where there is none (tty(4)).
    getsid(None) == Ok(getpid()) && fs::File::open("/dev/tty").is_err()
}

/// Goes on in a child in a session of its own, unless this process leads one without a terminal already. There must be no other thread.
///
/// In the child, and where none is needed, it gives `None`. In the process that was there before it waits for the child's end, passes
/// signals on until then, Ctrl-C and Ctrl-Z among them, and gives how the child ended.
///
/// # Errors
///
/// If there is a second thread, or no child can be had.
#[doc(hidden)]
pub fn enter_session() -> Result<Option<ExitStatus>, KernelError> {
    if is_led() {
        return Ok(None);
    }
    let mut awaited = SigSet::from_iter(PASSED_ON);
    awaited.add(Signal::SIGTSTP);
    awaited.add(Signal::SIGCHLD);
    // Before there is a child: what comes from now on is passed on to it.
    let before = awaited.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed("sigprocmask"))?;
    let child = fork_session(None);
    let Ok(Some(child)) = child else {
        before.thread_set_mask().map_err(failed("sigprocmask"))?;
        return child.map(|_| None);
    };
    loop {
        match awaited.wait().map_err(failed("sigwait"))? {
            Signal::SIGCHLD => {
                if let Some(status) = wait(child, libc::WNOHANG)? {
                    return Ok(Some(status));
                }
            }
            // The child's group is an orphaned one, which nothing but SIGSTOP stops (setpgid(2)). Errors mean that it has ended.
            Signal::SIGTSTP => {
                let _ = killpg(child, Signal::SIGSTOP);
                let _ = raise(Signal::SIGSTOP);
                let _ = killpg(child, Signal::SIGCONT);
            }
            signal => {
                let _ = killpg(child, signal);
            }
        }
    }
}

/// A worker process. Dropped, it is killed, and its servers with it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Worker {
    /// `None` once it has been waited for, and in its siblings.
    pid: Option<Pid>,
    stream: UnixStream,
}

impl Worker {
    /// Forks so many workers, each in a session of its own and on a core of its own as far as there are enough. Each runs `run` with its
    /// number, from 0, and its end of a connection to this process, and exits with what that gives. There must be no other thread.
    ///
    /// # Errors
    ///
    /// If there is a second thread, or a child cannot be had.
    pub fn fork(count: usize, mut run: impl FnMut(usize, UnixStream) -> u8) -> Result<Vec<Worker>, KernelError> {
        let cores = cores();
        let mut workers: Vec<Worker> = Vec::new();
        for index in 0..count {
            let (stream, its_end) = UnixStream::pair().map_err(KernelError::io(DOING, "socketpair"))?;
            // One alone stays where the scheduler has put it: other processes have workers too.
            if let Some(pid) = fork_session(cores.get(index % cores.len().max(1)).copied().filter(|_| count > 1))? {
                workers.push(Worker { pid: Some(pid), stream });
                continue;
            }
            // The copies of the parent's ends: a sibling would not be told that the parent has closed its own.
            workers.drain(..).for_each(|mut sibling| sibling.pid = None);
            drop(stream);
            let code = catch_unwind(AssertUnwindSafe(|| run(index, its_end))).map_or(PANICKED, i32::from);
            // SAFETY: it does not return. What is to run when the parent exits is not for its child.
            unsafe { libc::_exit(code) }
        }
        Ok(workers)
    }

    /// How many have a core of their own.
    pub fn at_once() -> usize {
        cores().len().max(1)
    }

    /// The connection to it.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Tells it that no more will come, and waits for its end.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for.
    pub fn wait(mut self) -> Result<ExitStatus, KernelError> {
        let Some(pid) = self.pid.take() else { return Err(KernelError::StillBorn) };
        // It fails if the worker is gone, who then need not be told.
        let _ = self.stream.shutdown(Shutdown::Write);
        wait(pid, 0)?.ok_or(KernelError::StillBorn)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(pid) = self.pid.take() {
            // It has not been waited for, so that the number is still its own.
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            let _ = wait(pid, 0);
        }
    }
}

/// Forks a child into a session of its own, where it dies with the calling thread, and keeps it to this core, or to the one that it has
/// come to. `None` in the child.
fn fork_session(core: Option<usize>) -> Result<Option<Pid>, KernelError> {
    let threads = fs::read_dir("/proc/self/task").map_err(KernelError::io(DOING, "/proc/self/task"))?.count();
    if threads != 1 {
        return Err(KernelError::Call {
            doing: DOING,
            call: "fork in a process of several threads",
            errno: Errno::EINVAL,
        });
    }
    // Where it is ignored, which is inherited, nobody would learn how the child has ended.
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    unsafe { sigaction(Signal::SIGCHLD, &default) }.map_err(failed("sigaction"))?;
    let parent = getpid();
    // SAFETY: there is no other thread, whose locks the child could want.
    match unsafe { fork() }.map_err(failed("fork"))? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => {
            stay_on(core.or_else(|| sched_getcpu().ok()));
            // A child that has just been made leads no group and so may; and the signal is a valid one.
            let alone = setsid().and_then(|_| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL));
            if alone.is_err() || getppid() != parent {
                // SAFETY: it does not return.
                unsafe { libc::_exit(PANICKED) }
            }
            Ok(None)
        }
    }
}

/// How a child has ended; `None` if it has not, with WNOHANG.
fn wait(pid: Pid, options: i32) -> Result<Option<ExitStatus>, KernelError> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes the status.
        match check(unsafe { libc::waitpid(pid.as_raw(), &raw mut status, options) }.into()) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(ExitStatus::from_raw(status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(KernelError::Call { doing: "wait for a worker", call: "waitpid", errno }),
        }
    }
}

/// The cores that this process had before it was kept to one.
static ALLOWED: OnceLock<CpuSet> = OnceLock::new();

/// The cores on which this process may have workers, the one it is on first.
fn cores() -> Vec<usize> {
    let Ok(now) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    let allowed = ALLOWED.get().unwrap_or(&now);
    let mut cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
    let here = sched_getcpu().ok().and_then(|here| cores.iter().position(|core| *core == here));
    cores.rotate_left(here.unwrap_or(0));
    cores
}

/// Keeps this process to one core, which is to be done before it has a session of its own: what that has once run on another core counts there
/// until the scheduler looks at that one again. Where it is not allowed it costs speed and nothing else.
fn stay_on(core: Option<usize>) {
    let this = Pid::from_raw(0);
    let mut only = CpuSet::new();
    if let Some(core) = core
        && let Ok(allowed) = sched_getaffinity(this)
        && only.set(core).is_ok()
        && sched_setaffinity(this, &only).is_ok()
    {
        ALLOWED.get_or_init(|| allowed);
    }
}
