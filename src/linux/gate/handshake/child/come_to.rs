//! Brings about a planted wrong end of a server.

use super::{SIGSET, call, exit};
use crate::linux::gate::handshake::arena::{Page, guard_of};
use crate::linux::gate::handshake::wrong_end::WrongEnd;
use libc::{c_int, c_long};

/// The exit code of [`WrongEnd::Exit`].
const CODE: c_int = 3;

impl WrongEnd {
    /// Ends the server's process in this way. All signals are unblocked first, so that a handler of the server runs, as in a server that
    /// blocks no signals.
    ///
    /// It uses no function of the C library, because the server shares the harness's memory: `abort` takes a lock that would stay locked
    /// for the harness too, and `exit` runs the harness's exit handlers.
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
            // SAFETY: the address is in the guard page, which is mapped without access. The kernel answers the read with a SIGSEGV, which
            // is the purpose of the read.
            WrongEnd::Fault => drop(unsafe { guard_of(page).read_volatile() }),
        }
    }
}

/// Raises a signal in the calling thread. The ids come from the kernel, because the thread id that the C library keeps need not be right
/// in this process.
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
