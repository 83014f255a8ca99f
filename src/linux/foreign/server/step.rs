//! Lets a server make one call.

use super::{LOOK_AGAIN, Quiet, Server};
use crate::linux::error::KernelError;
use crate::linux::foreign::injection::Injection;
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::gate::seccomp::pending_call::{Owner, Parked};
use crate::linux::process::tasks::Whose;
use crate::linux::sys::process::tcp_state;
use crate::scenario::Errno;
use crate::trace::TcpState;
use crate::world::schedule::Pending;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// A call that was released, or answered by the harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The name of the system call, or of the C library's function for it.
    pub(crate) name: &'static str,
    /// The process that made the call.
    pub(crate) pid: i32,
    /// The descriptor that the call was made on; `None` if there is not exactly one.
    pub(crate) fd: Option<i32>,
    /// The cookie of the socket that the call was made on (`SO_COOKIE`).
    pub(crate) cookie: Option<u64>,
    /// The state of that socket just before the call, if it is a TCP socket.
    pub(crate) state: Option<TcpState>,
    /// Whether the call takes a connection from a listener.
    pub(crate) accepts: bool,
    /// Whether the call moves data from or to a socket.
    pub(crate) moves: bool,
    /// The result, where it is known.
    pub(crate) result: Option<Result<u32, Errno>>,
}

impl Passed {
    /// Whether the call takes data or closes a socket. While no client acts, a server cannot make such calls for ever.
    pub(crate) fn gets_on(&self) -> bool {
        self.name == "close" || matches!(self.result, Some(Ok(n)) if n > 0)
    }
}

impl Server {
    /// Releases the first parked call in the scheduler's order that could finish now, or answers it with an injected error. Then lets the
    /// server run until all tasks that come to the gate are idle. `None` if no call could finish.
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
        // Drops the harness's duplicate of the socket, because while it is open the server's `close` does not close the socket.
        drop(parked);
        if let Some(notify) = &self.notify {
            notify.answer(id, answer)?;
        }
        // Usually the thread is back at the gate at once, so wait for that before the tasks are scanned.
        self.wait(LOOK_AGAIN)?;
        let quiet = self.quiet_of(Whose::Callers)?;
        Ok(Some((passed, quiet)))
    }

    /// The thread whose call is to be answered next, and the answer.
    fn next(&mut self, injection: &mut Injection) -> Result<Option<(i32, Answer)>, KernelError> {
        let now = Instant::now();
        let calls = self.parked.values().filter(|parked| !parked.is_deferred());
        let mut pending: Vec<Pending> =
            calls.map(|parked| Pending { task: parked.tid, arrival: parked.order }).collect();
        self.scheduler.arrange(&mut pending);
        for Pending { task, .. } in pending {
            let Some(parked) = self.parked.get(&task) else { continue };
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

    /// Describes a call that is about to be answered.
    pub(crate) fn passed(&self, parked: &Parked, answer: Answer) -> Passed {
        let accepts = parked.accepts();
        let told = |socket: Option<BorrowedFd<'_>>| match answer {
            Answer::Error(errno) => Some(Err(errno)),
            Answer::Value(value) => Some(Ok(value as u32)),
            Answer::Continue if accepts && self.lacks_descriptors(parked.pid) => Some(Err(Errno::EMFILE)),
            // For a call that accepts or reads, the socket shows beforehand whether there is a connection or data.
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
}
