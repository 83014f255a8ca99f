//! seccomp's user notification (`seccomp_unotify(2)`): the calls that a server is about to make, and the answers to them.
//!
//! A call that the filter hands over waits in the kernel, in its own thread, until it is answered. A signal to that thread takes the call
//! back: its number is then no longer valid, and once the handler has run the call comes again under another.

use crate::linux::error::KernelError;
use crate::linux::sys::{self, check};
use crate::scenario::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const DOING: &str = "steer the server's calls";

/// `struct seccomp_notif`: a call at the door.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notification {
    pub(crate) id: u64,
    /// The thread, by its number outside of its namespace.
    pub(crate) tid: i32,
    flags: u32,
    pub(crate) number: i32,
    arch: u32,
    ip: u64,
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

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The call is made.
    Continue,
    /// The call is not made, and gives this value.
    Value(i64),
    /// The call is not made, and fails with this error.
    Error(Errno),
}

/// `_IOWR('!', number, size)` and its like, `direction` 1 to write and 3 for both.
const fn request(direction: u64, number: u64, size: usize) -> libc::c_ulong {
    direction << 30 | (size as u64) << 16 | 0x21 << 8 | number
}

const RECV: libc::c_ulong = request(3, 0, size_of::<Notification>());
const SEND: libc::c_ulong = request(3, 1, size_of::<Response>());
const ID_VALID: libc::c_ulong = request(1, 2, size_of::<u64>());
const SET_FLAGS: libc::c_ulong = request(1, 4, size_of::<u64>());
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`: whoever is answered runs on the answerer's core.
const SYNC_WAKE_UP: u64 = 1;

/// The harness's end.
#[derive(Debug)]
pub(crate) struct Notify(OwnedFd);

impl Notify {
    pub(crate) fn new(fd: OwnedFd) -> Notify {
        // Linux 6.6; without it each answer costs more.
        // SAFETY: the argument is the value itself.
        unsafe { libc::ioctl(fd.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
        Notify(fd)
    }

    /// Whether there is a call at the door that has not been received yet.
    pub(crate) fn knocks(&self) -> Result<bool, KernelError> {
        let [ready] =
            sys::poll([self.0.as_fd()], std::time::Duration::ZERO).map_err(KernelError::call(DOING, "poll"))?;
        Ok(ready & libc::POLLIN != 0)
    }

    /// The next call at the door that has not been received yet. `None` if there is none now. If one `knocks` is known to whoever has
    /// just asked.
    pub(crate) fn receive(&self, mut knocks: bool) -> Result<Option<Notification>, KernelError> {
        loop {
            if !std::mem::take(&mut knocks) && !self.knocks()? {
                return Ok(None);
            }
            let mut notification = Notification::default();
            // SAFETY: it has the size and the zeros that the kernel wants, and any bytes are a value of it.
            let received = check(unsafe { libc::ioctl(self.0.as_raw_fd(), RECV, &raw mut notification) }.into());
            match received {
                Ok(_) => return Ok(Some(notification)),
                // Taken back by a signal between the two calls, or a signal to us.
                Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(errno) => return Err(KernelError::call(DOING, "ioctl SECCOMP_IOCTL_NOTIF_RECV")(errno)),
            }
        }
    }

    /// Answers a call. False if it was taken back.
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
