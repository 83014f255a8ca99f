//! The gate: the server is parked before each of its socket calls, and the harness lets it in, or answers in the kernel's
//! place (`seccomp_unotify(2)`).

use super::child::GATED;
use super::error::KernelError;
use super::sys::{self, Exit, check};
use crate::scenario::{Call, Errno};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// How long a server may be on its way from one call to the next, or in a call that can finish: a server that takes longer
/// is stuck.
pub(super) const CALL_BOUND: Duration = Duration::from_secs(10);

/// A call at whose door the server is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    id: u64,
    pub(super) call: Call,
    /// The descriptor in the server's table.
    pub(super) fd: i32,
    /// Bytes of a `send`; meaningless for others.
    pub(super) len: u64,
}

/// What the server does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Parked(Parked),
    Ended(Exit),
    /// Neither within [`CALL_BOUND`].
    Late,
}

/// One server's gate.
#[derive(Debug)]
pub(super) struct Gate {
    notify: OwnedFd,
}

const fn request(direction: u64, number: u64, size: usize) -> libc::c_ulong {
    ((direction << 30) | ((size as u64) << 16) | ((b'!' as u64) << 8) | number) as libc::c_ulong
}
const WRITE: u64 = 1;
const READ: u64 = 2;
const NOTIF_RECV: libc::c_ulong = request(READ | WRITE, 0, size_of::<libc::seccomp_notif>());
const NOTIF_SEND: libc::c_ulong = request(READ | WRITE, 1, size_of::<libc::seccomp_notif_resp>());
const NOTIF_SET_FLAGS: libc::c_ulong = request(WRITE, 4, size_of::<u64>());
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`: wake the other side on this core and hand over to it.
const SYNC_WAKE_UP: u64 = 1;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`: let the call happen.
const CONTINUE: u32 = 1;

impl Gate {
    /// The gate behind this descriptor of notifications. Where the kernel can (Linux 6.6), waking hands over the core.
    pub(super) fn new(notify: OwnedFd) -> Gate {
        // SAFETY: the request takes the flags by value. An older kernel refuses, and is only slower.
        unsafe { libc::ioctl(notify.as_raw_fd(), NOTIF_SET_FLAGS as _, SYNC_WAKE_UP) };
        Gate { notify }
    }

    /// Waits for the server to park at its next call or to end.
    pub(super) fn next(&self, pidfd: &OwnedFd) -> Result<Next, KernelError> {
        let wait = |error| KernelError::call("wait for the server", "poll")(error);
        let [call, end] = sys::poll([self.notify.as_fd(), pidfd.as_fd()], CALL_BOUND).map_err(wait)?;
        if call & libc::POLLIN != 0
            && let Some(parked) = self.receive()?
        {
            return Ok(Next::Parked(parked));
        }
        // What hangs up, or vanishes before it could be received, is a server on its way to its end.
        let end = if call != 0 && end == 0 { sys::poll([pidfd.as_fd()], CALL_BOUND).map_err(wait)?[0] } else { end };
        match end {
            0 => Ok(Next::Late),
            _ => sys::reap(pidfd.as_fd()).map(Next::Ended).map_err(KernelError::call("reap the server", "waitid")),
        }
    }

    /// The call that is waiting to be received; `None` if its caller was killed before it could be.
    fn receive(&self) -> Result<Option<Parked>, KernelError> {
        // SAFETY: all zeros is valid and what the kernel insists on; it fills the struct whose size is in the request.
        let (result, notif) = unsafe {
            let mut notif: libc::seccomp_notif = std::mem::zeroed();
            (libc::ioctl(self.notify.as_raw_fd(), NOTIF_RECV as _, &raw mut notif), notif)
        };
        match check(result.into()) {
            Err(Errno::EINTR) => return self.receive(),
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(KernelError::call("see the server's call", "SECCOMP_IOCTL_NOTIF_RECV")(errno)),
            Ok(_) => {}
        }
        const NAMES: [Call; GATED.len()] = [Call::Accept, Call::Send, Call::Recv, Call::Shutdown, Call::Close];
        let number = libc::c_long::from(notif.data.nr);
        match GATED.iter().position(|n| *n == number) {
            Some(i) => {
                let [fd, _, len, ..] = notif.data.args;
                Ok(Some(Parked { id: notif.id, call: NAMES[i], fd: fd as i32, len }))
            }
            None => Err(KernelError::Garbled { what: "the server's call" }),
        }
    }

    /// Lets the parked call happen.
    pub(super) fn admit(&self, parked: Parked) -> Result<(), KernelError> {
        self.respond(parked, 0, CONTINUE)
    }

    /// Answers the parked call with an error; it never happens.
    pub(super) fn refuse(&self, parked: Parked, errno: Errno) -> Result<(), KernelError> {
        self.respond(parked, -errno.raw(), 0)
    }

    fn respond(&self, parked: Parked, error: i32, flags: u32) -> Result<(), KernelError> {
        let response = libc::seccomp_notif_resp { id: parked.id, val: 0, error, flags };
        // SAFETY: the request reads one struct of the size that is in it.
        let result = unsafe { libc::ioctl(self.notify.as_raw_fd(), NOTIF_SEND as _, &raw const response) };
        match check(result.into()) {
            // Killed from outside while parked: what waits for its next call sees the end.
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(KernelError::call("answer the server's call", "SECCOMP_IOCTL_NOTIF_SEND")(errno)),
        }
    }
}
