//! Starts servers, inspects them, and ends them.
//!
//! A server is a `clone(2)` of the calling thread with `CLONE_VM | CLONE_FILES` and a stack, thread-locals and page of its
//! own ([`arena`](crate::linux::gate::handshake::arena)). It is not made by `fork`, which has three problems that a clone
//! avoids:
//! - *Cost.* A clone copies no page table, so a server costs the same from a 3 MiB test as from a fuzzer with an ASAN
//!   shadow.
//! - *Other cases' sockets.* The descriptor table is shared and then exchanged for an empty one, and the slots that the
//!   kernel copies for a moment are kept free of sockets ([`fd_table`](crate::linux::sys::fd_table)). So no server ever
//!   holds a duplicate of a client socket. With such a duplicate open, the close of the client socket would send nothing.
//! - *Locks.* The child runs no code that could need a lock ([`child`](crate::linux::gate::handshake::child)).
//!
//! The server is nevertheless a process: it has its own pid, its own signal dispositions, mask and pending set, and its own
//! descriptors once it has exchanged the table. Its death does not end the harness. It sends no signal when it ends, because
//! SIGCHLD belongs to the host; the harness learns of the end from the pidfd.
//!
//! All signals are blocked around the clone, so that no handler of the host ever runs on a server's stack.

use crate::linux::error::KernelError;
use crate::linux::gate::handshake::arena::Parked;
use crate::linux::gate::handshake::arena::{Arena, Page};
use crate::linux::gate::handshake::child;
use crate::linux::gate::handshake::park::{self, CALL_BOUND, Next};
use crate::linux::sys::fd_table::{self, Copying};
use crate::linux::sys::{self, last_error};
use crate::scenario::Errno;
use crate::subject::{Policy, Setup};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// A server's process. Dropping it kills and reaps the process.
#[derive(Debug)]
struct Process {
    pid: i32,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            // Errors mean that the process is gone already.
            let _ = sys::pidfd_kill(self.pidfd.as_fd(), libc::SIGKILL);
            let _ = sys::reap(self.pidfd.as_fd());
        }
    }
}

/// A running server, parked at a call.
#[derive(Debug)]
pub(crate) struct Server {
    // The order of the fields matters: the process is dropped before the memory that it runs in.
    process: Process,
    arena: Arena,
    pub(crate) setup: Setup,
    port: u16,
    pub(crate) parked: Parked,
}

impl Server {
    /// Starts a server in `arena`. On return the server is parked before its first `accept`, and its policy has been checked
    /// to be in force.
    pub(crate) fn start(mut arena: Arena, setup: &Setup) -> Result<Server, KernelError> {
        arena.prepare(setup);
        fd_table::fill().map_err(KernelError::call("start a server", "eventfd"))?;
        let copying = Copying::new();
        let mut process = clone(&arena).map_err(KernelError::call("start a server", "clone"))?;
        let next = park::next(arena.page(), &process.pidfd)?;
        drop(copying);
        let parked = match next {
            Next::Parked(parked) => parked,
            Next::Late => return Err(KernelError::Late { doing: "start a server", bound: CALL_BOUND }),
            Next::Ended(_) => {
                process.reaped = true;
                return Err(failure(arena.page()));
            }
        };
        status(process.pid)?.verify(setup.policy)?;
        let port = arena.page().port.load(Relaxed) as u16;
        Ok(Server { process, arena, setup: setup.clone(), port, parked })
    }

    /// The address that the server listens on.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port)
    }

    /// The page that the server shares with the harness.
    pub(crate) fn page(&self) -> &Page {
        self.arena.page()
    }

    /// A duplicate of one of the server's descriptors. Do not keep it: while it is open, the server's `close` does not close
    /// the socket.
    pub(crate) fn duplicate(&self, fd: i32) -> Result<OwnedFd, KernelError> {
        sys::pidfd_getfd(self.process.pidfd.as_fd(), fd)
            .and_then(fd_table::beyond)
            .map_err(KernelError::call("look at the server's socket", "pidfd_getfd"))
    }

    /// Releases the parked call, or refuses it with an error, and waits until the server parks again or ends, at most for [`CALL_BOUND`].
    pub(crate) fn go(&mut self, refusal: Option<Errno>) -> Result<Next, KernelError> {
        park::answer(self.page(), refusal);
        let next = park::next(self.page(), &self.process.pidfd)?;
        match next {
            Next::Parked(parked) => self.parked = parked,
            Next::Ended(_) => self.process.reaped = true,
            Next::Late => {}
        }
        Ok(next)
    }

    /// Whether a SIGPIPE is pending on the server's thread.
    pub(crate) fn sigpipe_pending(&self) -> Result<bool, KernelError> {
        Ok(status(self.process.pid)?.pending)
    }

    /// How many descriptors the server has besides the listener.
    pub(crate) fn descriptors(&self) -> Result<u32, KernelError> {
        let path = format!("/proc/{}/fd", self.process.pid);
        // Since Linux 6.2 the size of the folder is the number of descriptors. Before, the size is 0 and the entries have to
        // be counted.
        let count = std::fs::metadata(&path).map(|m| m.len()).and_then(|size| match size {
            0 => Ok(std::fs::read_dir(&path)?.count() as u64),
            n => Ok(n),
        });
        let count = count.map_err(KernelError::io("count the server's descriptors", "/proc/PID/fd"))?;
        Ok((count as u32).saturating_sub(1))
    }

    /// Kills the server if it is alive, reaps it, and returns its memory for the next server.
    pub(crate) fn end(self) -> Arena {
        drop(self.process);
        self.arena
    }
}

/// Clones the calling thread into `arena`.
fn clone(arena: &Arena) -> Result<Process, Errno> {
    let flags =
        libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_PIDFD | libc::CLONE_SETTLS | libc::CLONE_CHILD_CLEARTID;
    let mut pidfd = -1;
    let blocked = SignalsBlocked::new();
    // SAFETY: the child's stack, thread-locals and page lie in the arena, which outlives the child (`Process` is dropped
    // first). The child's code follows the rules at the head of `child`. The kernel writes the new descriptor before clone
    // returns.
    let pid = unsafe {
        let top = arena.stack_top();
        let turn = arena.page().turn.as_ptr();
        libc::clone(child::main, top, flags, arena.argument(), &raw mut pidfd, arena.thread_pointer(), turn)
    };
    let failed = last_error();
    drop(blocked);
    if pid < 0 {
        return Err(failed);
    }
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Ok(Process { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) }, reaped: false })
}

/// Blocks all signals of the calling thread until it is dropped.
pub(crate) struct SignalsBlocked(nix::sys::signal::SigSet);

impl SignalsBlocked {
    pub(crate) fn new() -> SignalsBlocked {
        let all = nix::sys::signal::SigSet::all();
        // This fails only for an unknown `how`. The mask is then unchanged, so restoring the current mask on drop is right.
        SignalsBlocked(
            all.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK).unwrap_or_else(|_| Self::current()),
        )
    }

    fn current() -> nix::sys::signal::SigSet {
        nix::sys::signal::SigSet::thread_get_mask().unwrap_or_else(|_| nix::sys::signal::SigSet::empty())
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask();
    }
}

/// Why a server ended before its program began, according to its page.
fn failure(page: &Page) -> KernelError {
    match child::STAGES.get((page.failed.load(Acquire) as usize).wrapping_sub(1)) {
        Some(call) => {
            KernelError::Call { doing: "start a server", call, errno: Errno::from_raw(page.errno.load(Relaxed)) }
        }
        None => KernelError::StillBorn,
    }
}

/// What `/proc/PID/status` says about SIGPIPE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Pending on the thread (`SigPnd`), not on the process.
    pending: bool,
    blocked: bool,
    ignored: bool,
    caught: bool,
}

pub(crate) fn status(pid: i32) -> Result<Status, KernelError> {
    let text = std::fs::read(format!("/proc/{pid}/status"));
    let text = text.map_err(KernelError::io("read the server's signal masks", "/proc/PID/status"))?;
    Status::parse(&String::from_utf8_lossy(&text)).ok_or(KernelError::Garbled { what: "/proc/PID/status" })
}

impl Status {
    fn parse(text: &str) -> Option<Status> {
        // The process's name comes first and may contain anything, but it cannot imitate another line: the kernel escapes
        // newlines.
        let bit = |field: &str| -> Option<bool> {
            let mask = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
            let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
            Some(mask >> (libc::SIGPIPE - 1) & 1 == 1)
        };
        Some(Status {
            pending: bit("SigPnd")?,
            blocked: bit("SigBlk")?,
            ignored: bit("SigIgn")?,
            caught: bit("SigCgt")?,
        })
    }

    /// The flags that are set, in words.
    pub(crate) fn words(self) -> String {
        let words =
            [(self.pending, "pending"), (self.blocked, "blocked"), (self.ignored, "ignored"), (self.caught, "caught")];
        let effective: Vec<&str> = words.into_iter().filter(|w| w.0).map(|w| w.1).collect();
        if effective.is_empty() { "at its default".to_owned() } else { effective.join(" and ") }
    }

    fn verify(self, policy: Policy) -> Result<(), KernelError> {
        let wanted = Status {
            pending: false,
            blocked: policy == Policy::Blocked,
            ignored: policy == Policy::Ignore,
            caught: policy == Policy::Handler,
        };
        if self == wanted {
            return Ok(());
        }
        let effective = self.words();
        Err(KernelError::Policy { requested: policy, effective })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_not_in_force_is_told_by_what_is() {
        let status = Status::parse(
            "Name:	a
SigPnd:	0
SigBlk:	0000000000001000
SigIgn:	1000
SigCgt:	0
",
        )
        .unwrap();
        assert!(status.blocked && status.ignored && !status.caught);
        let error = status.verify(Policy::Handler).unwrap_err().to_string();
        assert_eq!(error, "failed to set the policy `handler`: SIGPIPE is blocked and ignored in the server");
    }
    #[test]
    fn a_server_has_none_of_the_host_s_handlers() {
        extern "C" fn handler(_: libc::c_int) {}
        let installed = nix::sys::signal::SigAction::new(
            nix::sys::signal::SigHandler::Handler(handler),
            nix::sys::signal::SaFlags::empty(),
            nix::sys::signal::SigSet::empty(),
        );
        for signal in [nix::sys::signal::Signal::SIGUSR2, nix::sys::signal::Signal::SIGABRT] {
            // SAFETY: the handler does nothing, and nothing in these tests raises either signal.
            unsafe { nix::sys::signal::sigaction(signal, &installed) }.unwrap();
        }
        let server = Server::start(Arena::new().unwrap(), &Setup::default()).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.pid)).unwrap();
        for line in ["SigIgn:\t0000000000000000", "SigCgt:\t0000000000000000"] {
            assert!(status.lines().any(|l| l == line), "{status}");
        }
    }
}
