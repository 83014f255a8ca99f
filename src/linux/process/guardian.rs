//! Starts another project's program behind the gate.
//!
//! Between the harness and the server is a *guardian*, a small process that runs nothing but the code in [`child`]. It makes the whole
//! process tree end with the harness, whatever the server forks and however the harness ends:
//! - The guardian dies with the harness (`PR_SET_PDEATHSIG`). Where that is allowed, it is the first process of a pid namespace
//!   (`pid_namespaces(7)`): when it ends, the kernel kills every process in the namespace in one step, which no fork can escape.
//! - Elsewhere the guardian adopts every process that loses its parent (`PR_SET_CHILD_SUBREAPER`), so that the whole tree can be found
//!   below it.
//! - It reaps the server and every process that loses its parent, such as a daemon, and records how each ended.
//!
//! [`child`] has the code that runs in the guardian, and in the server before its `execve`.

mod child;
mod page;

use crate::linux::error::KernelError;
use crate::linux::gate::seccomp::filter;
use crate::linux::gate::seccomp::notify::Notify;
use crate::linux::process::session;
use crate::linux::sys::fd_table::{self, Copying};
use crate::linux::sys::limit;
use crate::linux::sys::process::clone_process;
use crate::linux::sys::{self, futex_wait, futex_wake, pidfd_open};
use crate::scenario::Errno;
use crate::subject::Sigpipe;
use child::{Prepared, guardian};
use page::{ALONE, FAILED, READY, STEPS, Shared};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// How long the steps before the `execve` may take together, on a machine however busy. None of them waits for anything outside.
const START_BOUND: Duration = Duration::from_secs(60);
const DOING: &str = "start the server";

/// What to start, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The program's path, and its arguments, of which the first is the program's name.
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    /// `NAME=value` each.
    pub(crate) environment: Vec<CString>,
    pub(crate) folder: CString,
    /// The file that standard output and error go to.
    pub(crate) output: CString,
    /// The port of a listener that the server gets as descriptor 3, if any.
    pub(crate) listener: Option<u16>,
    pub(crate) sigpipe: Sigpipe,
    pub(crate) gate: bool,
    /// Whether the server's clock may jump. Needs the gate.
    pub(crate) jumps: bool,
}

/// A guardian and its server, which is about to execute the plan's program.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) guardian: Guardian,
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) notify: Option<Notify>,
}

/// The guardian. Dropping it ends the guardian and all of its tree.
#[derive(Debug)]
pub(crate) struct Guardian {
    pub(crate) pid: i32,
    pidfd: OwnedFd,
    pub(crate) shared: Shared,
    /// Whether the guardian has a pid namespace of its own, so that the kernel ends the tree.
    namespace: bool,
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if !self.namespace {
            super::kill::kill_below(self.pid);
        }
        // Errors mean that the guardian is gone already.
        let _ = sys::pidfd_kill(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = sys::reap(self.pidfd.as_fd());
    }
}

/// If this variable is set in the harness's environment, the gate behaves as on kernels before 5.19. For tests.
const NOT_KILLABLE: &str = "BROKENPIPE_NO_WAIT_KILLABLE";

/// Starts the guardian and the server. On return the server has been told to execute its program.
pub(crate) fn launch(plan: &Plan, namespace: bool) -> Result<Launched, KernelError> {
    let shared = Shared::new().map_err(KernelError::call(DOING, "mmap"))?;
    // Room for the digits of the server's pid. The server writes them, because only it knows its pid in its namespace.
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
        filter: if plan.gate { filter::program(plan.jumps)? } else { Vec::new() },
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
    // SAFETY: the child goes on with `guardian`, which never returns and follows the rules at the head of `child`.
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
    /// Waits until the guardian and the server have reached this stage.
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

    /// Waits until a word of the page has this value.
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
        // The daemon goes on when it reads a line, which the test writes after the daemon's parent has ended.
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
            jumps: false,
        };
        let launched = launch(&plan, false).unwrap();
        let shared = &launched.guardian.shared;
        wait_for(&shared.page().ended, 1);
        assert_eq!(shared.status(), Some(0));
        let daemon = std::fs::read_to_string(output).unwrap().trim().parse().unwrap();
        assert_eq!(shared.reaped(daemon), None);
        // Opening a FIFO for both reading and writing does not block.
        let mut to = std::fs::File::options().read(true).write(true).open(pipe).unwrap();
        to.write_all(b"go on\n").unwrap();
        wait_for(&shared.page().count, 2);
        assert_eq!(shared.reaped(daemon), Some(libc::SIGPIPE));
    }
}
