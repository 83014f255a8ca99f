//! How a server comes to a planted wrong end.

use super::{SIGSET, call, exit};
use crate::linux::gate::handshake::arena::{Page, guard_of};
use crate::linux::gate::handshake::wrong_end::WrongEnd;
use libc::{c_int, c_long};

/// The exit code of [`WrongEnd::Exit`].
const CODE: c_int = 3;

impl WrongEnd {
    /// Comes to this end. What handlers the server has get their chance, as in a server that has its signals open.
    ///
    /// Nothing of the C library's: its `abort` takes a lock that would stay taken for the harness too, whose memory this is, and its
    /// `exit` runs what the harness wants done when it exits itself.
    ///
    /// # Safety
    ///
    /// Only in the server's process.
    pub(crate) unsafe fn come_to(self, page: &Page) {
        let open = 0u64;
        let none = std::ptr::null_mut::<u64>();
        // SAFETY: the set has the size that is passed, and the call takes no other pointer that is not null.
        unsafe { call!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const open, none, SIGSET) };
        match self {
            // SAFETY: no pointer is passed.
            WrongEnd::Abort => unsafe { raise(libc::SIGABRT) },
            // SAFETY: as above.
            WrongEnd::Terminate => unsafe { raise(libc::SIGTERM) },
            // SAFETY: as above.
            WrongEnd::Exit => unsafe { exit(CODE) },
            // SAFETY: it is mapped, and for nobody to read: the kernel's answer, a SIGSEGV, is what it is read for.
            WrongEnd::Fault => drop(unsafe { guard_of(page).read_volatile() }),
        }
    }
}

/// Raises a signal in the calling thread, whatever the C library believes to be its number.
///
/// # Safety
///
/// Only in the server's process.
unsafe fn raise(signal: c_int) {
    // SAFETY: no pointer is passed.
    unsafe {
        let pid: c_long = call!(libc::SYS_getpid);
        let thread: c_long = call!(libc::SYS_gettid);
        call!(libc::SYS_tgkill, pid, thread, c_long::from(signal));
    }
}
