//! Letting a server make one call.

use super::{LOOK_AGAIN, Quiet, Server};
use crate::linux::error::KernelError;
use crate::linux::foreign::injection::Injection;
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::gate::seccomp::pending_call::{Owner, Parked};
use crate::linux::process::tasks::Whose;
use crate::linux::sys::process::tcp_state;
use crate::scenario::Errno;
use crate::trace::TcpState;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

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

impl Server {
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
    pub(crate) fn passed(&self, parked: &Parked, answer: Answer) -> Passed {
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
}
