//! Sessions: the scheduler treats each session as one user of the machine, so each worker has a session for itself and its servers.
//!
//! With `sched_autogroup` (the default; `sched(7)`) each session is a scheduling group, and processor time is shared out among groups. The
//! weight of a group on one core depends on what the group does on the others. The scheduler computes this weight anew at each wake-up, and
//! Linux 6.18 gets it wrong for one kind of group: if its tasks wake each other all the time, and it runs on a second core too, it may keep
//! a core for seconds, while even the kernel's own threads do not get that core. A gated server and its harness are such tasks. The weight
//! of a group that runs on one core is constant and is not computed. So each worker is
//! - a process in a session of its own, which contains nothing else but the worker's servers;
//! - on one core, together with its servers ([`affinity`](crate::linux::process::affinity)).
//!
//! Both [`enter_session`] and [`Worker::fork`] fork, so that a worker has everything that was read and checked before. They refuse to fork
//! a process of more than one thread, because the child has a copy of the calling thread only: a lock that another thread holds would never
//! be released there. The process that forks is the worker's parent. The worker dies with its parent (`PR_SET_PDEATHSIG`), also if
//! SIGKILL ends the parent.
//!
//! A process in a session of its own does not get the terminal's signals. The process in the foreground passes them on.

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

/// The signals that are passed on to the process in the session: those with which users and other programs end a process, and two that
/// libFuzzer handles.
const PASSED_ON: [Signal; 5] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// The exit code of a worker that panicked, that could not make its session, or whose parent died before `PR_SET_PDEATHSIG` was set.
const PANICKED: i32 = 101;

fn failed(call: &'static str) -> impl Fn(nix::errno::Errno) -> KernelError {
    move |errno| KernelError::Call { doing: DOING, call, errno: Errno::from_raw(errno as i32) }
}

/// Whether this process leads a session without a terminal, such as one made for a worker, a service or a container.
pub(crate) fn is_led() -> bool {
    // Opening `/dev/tty` fails with ENXIO if there is no terminal (tty(4)).
    getsid(None) == Ok(getpid()) && fs::File::open("/dev/tty").is_err()
}

/// Continues in a child in a session of its own, unless this process already leads a session without a terminal. The process must have no
/// other thread.
///
/// Returns `None` in the child, and where no child is needed. In the original process it waits for the child's end, passes signals on until
/// then (Ctrl-C and Ctrl-Z among them), and returns how the child ended.
///
/// # Errors
///
/// If there is a second thread, or no child can be made.
#[doc(hidden)]
pub fn enter_session() -> Result<Option<ExitStatus>, KernelError> {
    if is_led() {
        return Ok(None);
    }
    let mut awaited = SigSet::from_iter(PASSED_ON);
    awaited.add(Signal::SIGTSTP);
    awaited.add(Signal::SIGCHLD);
    // Blocked before there is a child, so that every signal from now on is passed on to it.
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
            // The child's process group is orphaned, so only SIGSTOP stops it (setpgid(2)). Errors mean that the child has ended.
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

/// Calls `install`, which installs signal handlers, and ignores SIGHUP again afterwards if it was ignored before, as under nohup(1).
#[doc(hidden)]
pub fn keep_nohup<T>(install: impl FnOnce() -> T) -> T {
    let mut before = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the kernel writes the disposition into `before`, and zeros are a valid value of it.
    let before = unsafe {
        libc::sigaction(libc::SIGHUP, std::ptr::null(), before.as_mut_ptr());
        before.assume_init()
    };
    let result = install();
    if before.sa_sigaction == libc::SIG_IGN {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is installed. `sigaction` fails only for an invalid signal.
        let _ = unsafe { sigaction(Signal::SIGHUP, &ignore) };
    }
    result
}

/// A worker process. Dropping it kills the worker, and the worker's servers with it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Worker {
    /// `None` once the worker has been waited for, and in the copies that later workers inherit.
    pid: Option<Pid>,
    stream: UnixStream,
}

impl Worker {
    /// Forks `count` workers. Each is in a session of its own, and on a core of its own as far as there are enough cores. Each worker calls
    /// `run` with its index, from 0, and its end of a connection to this process, and exits with the code that `run` returns. The process
    /// must have no other thread.
    ///
    /// # Errors
    ///
    /// If there is a second thread, or a child cannot be made.
    pub fn fork(count: usize, mut run: impl FnMut(usize, UnixStream) -> u8) -> Result<Vec<Worker>, KernelError> {
        let cores = cores();
        let mut workers: Vec<Worker> = Vec::new();
        for index in 0..count {
            let (stream, its_end) = UnixStream::pair().map_err(KernelError::io(DOING, "socketpair"))?;
            // A single worker stays where the scheduler has put it, because other processes may have workers too.
            if let Some(pid) = fork_session(cores.get(index % cores.len().max(1)).copied().filter(|_| count > 1))? {
                workers.push(Worker { pid: Some(pid), stream });
                continue;
            }
            // Closes the copies of the parent's ends. With a copy open, a sibling would see no EOF when the parent closes its own end.
            workers.drain(..).for_each(|mut sibling| sibling.pid = None);
            drop(stream);
            let code = catch_unwind(AssertUnwindSafe(|| run(index, its_end))).map_or(PANICKED, i32::from);
            // SAFETY: `_exit` does not return. Exit handlers are not run, because they are the parent's.
            unsafe { libc::_exit(code) }
        }
        Ok(workers)
    }

    /// How many workers can have a core of their own: at least 1.
    pub fn at_once() -> usize {
        cores().len().max(1)
    }

    /// The connection to the worker.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Closes the sending direction of the connection, so that the worker sees EOF, and waits for the worker's end.
    ///
    /// # Errors
    ///
    /// If the worker cannot be waited for.
    pub fn wait(mut self) -> Result<ExitStatus, KernelError> {
        let Some(pid) = self.pid.take() else { return Err(KernelError::StillBorn) };
        // An error means that the worker is gone, and then EOF does not matter.
        let _ = self.stream.shutdown(Shutdown::Write);
        wait(pid, 0)?.ok_or(KernelError::StillBorn)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(pid) = self.pid.take() {
            // The worker has not been waited for, so the pid is still the worker's.
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            let _ = wait(pid, 0);
        }
    }
}

/// Forks a child into a session of its own. The child dies with the calling thread. It is pinned to this core, or to the one on which it
/// starts if `core` is `None`. Returns `None` in the child.
fn fork_session(core: Option<usize>) -> Result<Option<Pid>, KernelError> {
    let threads = fs::read_dir("/proc/self/task").map_err(KernelError::io(DOING, "/proc/self/task"))?.count();
    if threads != 1 {
        return Err(KernelError::Call {
            doing: DOING,
            call: "fork in a process of several threads",
            errno: Errno::EINVAL,
        });
    }
    // If SIGCHLD is ignored, and that is inherited, `waitpid` cannot tell how the child ended.
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    unsafe { sigaction(Signal::SIGCHLD, &default) }.map_err(failed("sigaction"))?;
    let parent = getpid();
    // SAFETY: there is no other thread, whose locks the child could need.
    match unsafe { fork() }.map_err(failed("fork"))? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => {
            stay_on(core.or_else(|| sched_getcpu().ok()));
            // `setsid` fails only in the leader of a process group, which a new child is not. `prctl` fails only for an invalid signal.
            let alone = setsid().and_then(|_| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL));
            if alone.is_err() || getppid() != parent {
                // SAFETY: `_exit` does not return.
                unsafe { libc::_exit(PANICKED) }
            }
            Ok(None)
        }
    }
}

/// How a child has ended. `None` if it has not ended and the options contain WNOHANG.
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

/// The cores that this process was allowed to use before it was pinned to one.
static ALLOWED: OnceLock<CpuSet> = OnceLock::new();

/// The cores on which this process may have workers. The core on which it runs comes first.
fn cores() -> Vec<usize> {
    let Ok(now) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    let allowed = ALLOWED.get().unwrap_or(&now);
    let mut cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
    let here = sched_getcpu().ok().and_then(|here| cores.iter().position(|core| *core == here));
    cores.rotate_left(here.unwrap_or(0));
    cores
}

/// Pins this process to one core. To be called before the process makes its session: what the session has once run on another core counts
/// there until the scheduler updates that core's load. Where pinning is not allowed, only speed is lost.
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
