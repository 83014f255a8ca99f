//! seccomp's user notification (`seccomp_unotify(2)`): receives the calls that a server is about to make, and answers them.
//!
//! The thread that makes an intercepted call waits in the kernel until the call is answered. A signal to that thread cancels the call,
//! unless the harness has received it and the filter has `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`. The id of a cancelled call is no longer
//! valid. After the signal's handler has run, the call fails with EINTR or comes again under a new id.

use crate::linux::error::KernelError;
use crate::linux::sys::{self, check};
use crate::scenario::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const DOING: &str = "steer the server's calls";

/// `struct seccomp_notif`: an intercepted call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notification {
    pub(crate) id: u64,
    /// The thread's id outside its pid namespace.
    pub(crate) tid: i32,
    flags: u32,
    pub(crate) number: i32,
    arch: u32,
    /// The address of the instruction behind the call.
    pub(crate) instruction: u64,
    pub(crate) args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// How to answer an intercepted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel makes the call.
    Continue,
    /// The call is not made, and returns this value.
    Value(i64),
    /// The call is not made, and fails with this error.
    Error(Errno),
}

/// `_IOWR('!', number, size)` and its variants: `direction` is 1 for write, and 3 for read and write.
const fn request(direction: u64, number: u64, size: usize) -> libc::c_ulong {
    direction << 30 | (size as u64) << 16 | 0x21 << 8 | number
}

const RECV: libc::c_ulong = request(3, 0, size_of::<Notification>());
const SEND: libc::c_ulong = request(3, 1, size_of::<Response>());
const ID_VALID: libc::c_ulong = request(1, 2, size_of::<u64>());
const SET_FLAGS: libc::c_ulong = request(1, 4, size_of::<u64>());
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`: the answered thread runs on the core of the thread that answers.
const SYNC_WAKE_UP: u64 = 1;

/// The harness's end of the filter.
#[derive(Debug)]
pub(crate) struct Notify(OwnedFd);

impl Notify {
    pub(crate) fn new(fd: OwnedFd) -> Notify {
        // The flag needs Linux 6.6. Errors are ignored: without the flag each answer only takes longer.
        // SAFETY: the argument is the value itself.
        unsafe { libc::ioctl(fd.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
        Notify(fd)
    }

    /// Whether a call waits at the gate that has not been received yet.
    pub(crate) fn knocks(&self) -> Result<bool, KernelError> {
        let [ready] =
            sys::poll([self.0.as_fd()], std::time::Duration::ZERO).map_err(KernelError::call(DOING, "poll"))?;
        Ok(ready.contains(rustix::event::PollFlags::IN))
    }

    /// The next call that waits at the gate and has not been received yet; `None` if there is none now. `knocks` is true if the caller has
    /// just found that there is one.
    pub(crate) fn receive(&self, mut knocks: bool) -> Result<Option<Notification>, KernelError> {
        loop {
            if !std::mem::take(&mut knocks) && !self.knocks()? {
                return Ok(None);
            }
            let mut notification = Notification::default();
            // SAFETY: the struct has the size and the zeros that the kernel requires, and any bytes are a valid value of it.
            let received = check(unsafe { libc::ioctl(self.0.as_raw_fd(), RECV, &raw mut notification) }.into());
            match received {
                Ok(_) => return Ok(Some(notification)),
                // A signal cancelled the call between `poll` and this ioctl, or interrupted this thread.
                Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(errno) => return Err(KernelError::call(DOING, "ioctl SECCOMP_IOCTL_NOTIF_RECV")(errno)),
            }
        }
    }

    /// Answers a call. False if a signal has cancelled the call.
    pub(crate) fn answer(&self, id: u64, answer: Answer) -> Result<bool, KernelError> {
        let response = match answer {
            Answer::Continue => {
                Response { id, value: 0, error: 0, flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 }
            }
            Answer::Value(value) => Response { id, value, error: 0, flags: 0 },
            Answer::Error(errno) => Response { id, value: 0, error: -errno.raw(), flags: 0 },
        };
        // SAFETY: the kernel reads the struct, of its own size.
        match check(unsafe { libc::ioctl(self.0.as_raw_fd(), SEND, &raw const response) }.into()) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(KernelError::call(DOING, "ioctl SECCOMP_IOCTL_NOTIF_SEND")(errno)),
        }
    }

    /// Whether a received call still waits to be answered.
    pub(crate) fn valid(&self, id: u64) -> bool {
        // SAFETY: the kernel reads the one u64.
        unsafe { libc::ioctl(self.0.as_raw_fd(), ID_VALID, &raw const id) == 0 }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
