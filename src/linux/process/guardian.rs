//! Starting somebody else's program behind the gate.
//!
//! Between the harness and the server is a *guardian*, a small process that runs nothing but this file. It is what makes the whole tree
//! end with the harness, whatever the server forks and however the harness ends:
//! - It dies with the harness (`PR_SET_PDEATHSIG`), and where that is allowed it is the first process of a namespace for process numbers of
//!   its own (`pid_namespaces(7)`): with it the kernel kills every process in there, in one go that no fork can outrun.
//! - Elsewhere it adopts whatever loses its parent (`PR_SET_CHILD_SUBREAPER`), so that all of the tree can be found below it.
//! - It reaps the server and every process that loses its parent, such as a daemon, and records how each has ended.
//!
//! What runs in the two children is in [`child`].

mod child;
mod page;

use crate::linux::error::KernelError;
use crate::linux::gate::seccomp::filter;
use crate::linux::gate::seccomp::notify::Notify;
use crate::linux::process::session;
use crate::linux::sys::fd_table::{self, Copying};
use crate::linux::sys::limit;
use crate::linux::sys::process::{clone_process, pidfd_open};
use crate::linux::sys::{self, futex_wait, futex_wake};
use crate::scenario::Errno;
use child::{Prepared, guardian};
use page::{ALONE, FAILED, READY, STEPS, Shared};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// How long the steps before the `execve` may take together, on however busy a machine. They wait for nothing.
const START_BOUND: Duration = Duration::from_secs(60);
const DOING: &str = "start the server";

/// With which disposition of SIGPIPE a server is started. What it makes of it is its own affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sigpipe {
    /// SIG_DFL: what a shell gives.
    #[default]
    Default,
    /// SIG_IGN, which is kept through `execve`: what a careless parent gives.
    Ignore,
    /// SIG_DFL, and blocked in the mask, which is kept too.
    Blocked,
}

/// What to start, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The program's path, then its arguments; the first of these is its name.
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    /// `NAME=value` each.
    pub(crate) environment: Vec<CString>,
    pub(crate) folder: CString,
    /// The file that standard output and error go to.
    pub(crate) output: CString,
    /// Descriptor 3 is a listener on this port, if any.
    pub(crate) listener: Option<u16>,
    pub(crate) sigpipe: Sigpipe,
    pub(crate) gate: bool,
}

/// A guardian with its server, which is about to become the program of the plan.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) guardian: Guardian,
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) notify: Option<Notify>,
}

/// The guardian. Dropped, it ends and all of its tree with it.
#[derive(Debug)]
pub(crate) struct Guardian {
    pub(crate) pid: i32,
    pidfd: OwnedFd,
    pub(crate) shared: Shared,
    /// Whether the kernel ends the tree.
    namespace: bool,
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if !self.namespace {
            super::kill::kill_below(self.pid);
        }
        // Errors mean that it is gone already.
        let _ = sys::pidfd_kill(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = sys::reap(self.pidfd.as_fd());
    }
}

/// Set in the harness's environment, this variable has the gate behave as on kernels before 5.19, for tests.
const NOT_KILLABLE: &str = "BROKENPIPE_NO_WAIT_KILLABLE";

/// Starts the guardian and the server; when this returns the server has been told to become the program.
pub(crate) fn launch(plan: &Plan, namespace: bool) -> Result<Launched, KernelError> {
    let shared = Shared::new().map_err(KernelError::call(DOING, "mmap"))?;
    // Room for the digits, written by the server, who alone knows its number in its namespace.
    let mut listen_pid = b"LISTEN_PID=\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let pointers = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).collect::<Vec<_>>();
    let mut environment = pointers(&plan.environment);
    if plan.listener.is_some() {
        environment.push(listen_pid.as_ptr().cast());
    }
    environment.push(std::ptr::null());
    let mut arguments = pointers(&plan.arguments);
    arguments.push(std::ptr::null());
    let prepared = Prepared {
        plan,
        arguments,
        environment,
        listen_pid: listen_pid["LISTEN_PID=".len()..].as_mut_ptr(),
        filter: if plan.gate { filter::program()? } else { Vec::new() },
        namespace,
        killable: std::env::var_os(NOT_KILLABLE).is_none(),
        in_session: session::is_led(),
        descriptors: limit::raise(),
        page: shared.page(),
    };
    fd_table::fill().map_err(KernelError::call(DOING, "eventfd"))?;
    let copying = Copying::new();
    let flags = libc::CLONE_FILES | if namespace { libc::CLONE_NEWPID } else { 0 };
    let blocked = crate::linux::gate::handshake::spawn::SignalsBlocked::new();
    // SAFETY: the child goes on with `guardian`, which never returns and keeps to what the head of this file says.
    let cloned = unsafe {
        match clone_process(flags) {
            Ok(None) => guardian(&prepared),
            Ok(Some(child)) => Ok(child),
            Err(errno) => Err(errno),
        }
    };
    drop(blocked);
    let (pid, pidfd) = cloned.map_err(KernelError::call(DOING, "clone"))?;
    let guardian = Guardian { pid, pidfd, shared, namespace };
    guardian.reach(ALONE)?;
    drop(copying);
    guardian.reach(READY)?;
    let server = crate::linux::sys::proc::children(pid, pid).first().copied().ok_or(KernelError::StillBorn)?;
    let pidfd = pidfd_open(server).map_err(KernelError::call(DOING, "pidfd_open"))?;
    let page = guardian.shared.page();
    let notify = match plan.gate {
        false => None,
        true => {
            let fd = sys::pidfd_getfd(pidfd.as_fd(), page.listener.load(Relaxed)).and_then(fd_table::beyond);
            Some(Notify::new(fd.map_err(KernelError::call(DOING, "pidfd_getfd"))?))
        }
    };
    page.go.store(1, Release);
    futex_wake(&page.go);
    Ok(Launched { guardian, pid: server, pidfd, notify })
}

impl Guardian {
    /// Waits until this stage is reached.
    fn reach(&self, wanted: u32) -> Result<(), KernelError> {
        let page = self.shared.page();
        let deadline = Instant::now() + START_BOUND;
        loop {
            let stage = page.stage.load(Acquire);
            if stage >= FAILED {
                let call = STEPS.get((stage - FAILED) as usize).copied().unwrap_or("clone");
                return Err(KernelError::Call { doing: DOING, call, errno: Errno::from_raw(page.errno.load(Relaxed)) });
            }
            if stage >= wanted {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(KernelError::Late { doing: DOING, bound: START_BOUND });
            }
            futex_wait(&page.stage, stage, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::AtomicU32;

    /// Waits until a word of the page is this.
    fn wait_for(word: &AtomicU32, wanted: u32) {
        let deadline = Instant::now() + START_BOUND;
        loop {
            let (now, left) = (word.load(Acquire), deadline.saturating_duration_since(Instant::now()));
            if now == wanted {
                return;
            }
            assert!(!left.is_zero(), "{now}, not {wanted}, after {START_BOUND:?}");
            futex_wait(word, now, left);
        }
    }

    #[test]
    fn the_guardian_knows_how_a_process_ended_that_has_lost_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, output) = (dir.path().join("pipe"), dir.path().join("output"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let c = |text: &str| CString::new(text).unwrap();
        // The daemon goes on when it is written to, and that is when whoever started it has ended.
        let script = "sh -c 'read -r line < pipe; kill -PIPE $$' & echo $!";
        let plan = Plan {
            program: c("/bin/sh"),
            arguments: ["sh", "-c", script].map(c).to_vec(),
            environment: vec![c("PATH=/usr/bin:/bin")],
            folder: c(dir.path().to_str().unwrap()),
            output: c(output.to_str().unwrap()),
            listener: None,
            sigpipe: Sigpipe::Default,
            gate: false,
        };
        let launched = launch(&plan, false).unwrap();
        let shared = &launched.guardian.shared;
        wait_for(&shared.page().ended, 1);
        assert_eq!(shared.status(), Some(0));
        let daemon = std::fs::read_to_string(output).unwrap().trim().parse().unwrap();
        assert_eq!(shared.reaped(daemon), None);
        // Whoever opens both ends of a pipe waits for nobody.
        let mut to = std::fs::File::options().read(true).write(true).open(pipe).unwrap();
        to.write_all(b"go on\n").unwrap();
        wait_for(&shared.page().count, 2);
        assert_eq!(shared.reaped(daemon), Some(libc::SIGPIPE));
    }
}
