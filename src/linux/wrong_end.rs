//! Wrong ends of a server's process, one of which can be planted ([`seeded_defects`](crate::model::seeded_defects)) to see what a fuzzer makes of it:
//! a server that aborts is a finding, and no crash of the fuzzer's own.

use super::arena::{Page, guard_of};
use super::child::{SIGSET, call, exit};
use crate::model::seeded_defects::{Plant, planted};
use libc::{c_int, c_long};

/// A way in which no server of ours should ever end.
#[derive(Clone, Copy, Debug)]
pub(super) enum WrongEnd {
    Abort,
    Exit,
    Fault,
    Terminate,
}

/// The exit code of [`WrongEnd::Exit`].
const CODE: c_int = 3;

impl WrongEnd {
    /// The one that is planted. It is for the harness to ask: a server may not look into the environment.
    ///
    /// # Panics
    ///
    /// If it dumps core, on a kernel where that would end the harness too.
    pub(super) fn planted() -> Option<WrongEnd> {
        let ends = [
            (Plant::ServerAborts, WrongEnd::Abort),
            (Plant::ServerExits, WrongEnd::Exit),
            (Plant::ServerFaults, WrongEnd::Fault),
            (Plant::ServerTerminates, WrongEnd::Terminate),
        ];
        let end = ends.into_iter().find(|(plant, _)| planted(*plant)).map(|(_, end)| end);
        assert!(
            !end.is_some_and(WrongEnd::dumps_core) || !super::requirements::core_dumps_spread(),
            "BROKENPIPE_PLANT: before Linux 5.16 a server that dumps core ends the harness, whose memory it shares"
        );
        end
    }

    /// Whether the kernel dumps core of a process that ends so (signal(7)).
    const fn dumps_core(self) -> bool {
        matches!(self, WrongEnd::Abort | WrongEnd::Fault)
    }

    /// Comes to this end. What handlers the server has get their chance, as in a server that has its signals open.
    ///
    /// Nothing of the C library's: its `abort` takes a lock that would stay taken for the harness too, whose memory this is, and its
    /// `exit` runs what the harness wants done when it exits itself.
    ///
    /// # Safety
    ///
    /// Only in the server's process.
    pub(super) unsafe fn come_to(self, page: &Page) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_dump_core_are_those_that_may_end_the_harness_too() {
        let all = [WrongEnd::Abort, WrongEnd::Exit, WrongEnd::Fault, WrongEnd::Terminate];
        assert_eq!(all.map(WrongEnd::dumps_core), [true, false, true, false]);
    }
}
