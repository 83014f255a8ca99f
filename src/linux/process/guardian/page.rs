//! The page that harness, guardian and server share.

use crate::linux::sys;
use crate::scenario::Errno;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicI32, AtomicU32};

/// The page that harness, guardian and server share.
#[derive(Debug)]
pub(crate) struct Page {
    /// The stage reached: `ALONE`, `READY`, or `FAILED` plus the index of the failed step in `STEPS`.
    pub(super) stage: AtomicU32,
    /// The errno of the failed step.
    pub(super) errno: AtomicI32,
    /// The filter's notification descriptor, by its number in the server's table.
    pub(super) listener: AtomicI32,
    /// Set to 1 by the harness: the server may call `execve`.
    pub(super) go: AtomicU32,
    /// Set to 1 by the guardian when it has reaped the server. `status` then says how the server ended, as `waitpid(2)` gives it.
    pub(super) ended: AtomicU32,
    pub(super) status: AtomicI32,
    /// The signal mode of the filter: 1 if signals do not cut short a call that the harness has received.
    pub(super) killable: AtomicU32,
    /// How many processes the guardian has reaped. `reaped` holds the latest of them.
    pub(super) count: AtomicU32,
    pub(super) reaped: [Reaped; REAPED],
}

/// How many reaped processes are kept: many more than end between two reads of the page.
pub(super) const REAPED: usize = 256;

/// A process that the guardian has reaped: its pid in the guardian's namespace, and its status.
#[derive(Debug)]
pub(super) struct Reaped {
    pub(super) pid: AtomicI32,
    pub(super) status: AtomicI32,
}

/// The guardian has a descriptor table of its own.
pub(super) const ALONE: u32 = 1;
/// The server is ready to execute its program.
pub(super) const READY: u32 = 2;
/// Stage `FAILED + n`: step `STEPS[n]` has failed.
pub(super) const FAILED: u32 = 100;
pub(super) const STEPS: [&str; 7] = ["clone", "open", "socket, bind or listen", "chdir", "prctl", "seccomp", "execve"];
pub(super) const CLONE: u32 = 0;
pub(super) const OPEN: u32 = 1;
pub(super) const LISTEN: u32 = 2;
pub(super) const CHDIR: u32 = 3;
pub(super) const PRCTL: u32 = 4;
pub(super) const SECCOMP: u32 = 5;
pub(super) const EXEC: u32 = 6;

/// A mapping of one page.
#[derive(Debug)]
pub(crate) struct Shared(NonNull<Page>);

const PAGE: usize = 4096;
const _: () = assert!(size_of::<Page>() <= PAGE);

impl Shared {
    pub(super) fn new() -> Result<Shared, Errno> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, to which nothing else has a pointer; all zeros is a valid page.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        match NonNull::new(page.cast::<Page>()) {
            Some(shared) if page != libc::MAP_FAILED => Ok(Shared(shared)),
            _ => Err(sys::last_error()),
        }
    }

    pub(super) fn page(&self) -> &Page {
        // SAFETY: the page is mapped as long as `self` lives, and all of it is atomic.
        unsafe { self.0.as_ref() }
    }

    /// How the server ended, as `waitpid(2)` gives it, if the guardian has reaped it.
    pub(crate) fn status(&self) -> Option<i32> {
        (self.page().ended.load(Acquire) == 1).then(|| self.page().status.load(Relaxed))
    }

    /// How the latest process with this pid in the guardian's namespace ended. `None` if the guardian has reaped no such process, or so
    /// many others since that this one is no longer kept.
    pub(crate) fn reaped(&self, pid: i32) -> Option<i32> {
        let page = self.page();
        let count = page.count.load(Acquire) as usize;
        let kept = (count.saturating_sub(REAPED)..count).rev().map(|i| &page.reaped[i % REAPED]);
        kept.into_iter().find(|end| end.pid.load(Relaxed) == pid).map(|end| end.status.load(Relaxed))
    }

    /// Whether a call that has been received at the gate is not cut short by signals (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`).
    pub(crate) fn is_killable(&self) -> bool {
        self.page().killable.load(Relaxed) == 1
    }

    /// The errno of `execve`, if it failed.
    pub(crate) fn not_executed(&self) -> Option<Errno> {
        let failed = self.page().stage.load(Acquire) == FAILED + EXEC;
        failed.then(|| Errno::from_raw(self.page().errno.load(Relaxed)))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; the children have mappings of their own.
        unsafe { libc::munmap(self.0.as_ptr().cast(), PAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_that_of_the_latest_bearer_of_its_number() {
        let shared = Shared::new().unwrap();
        let reap = |pid, status| {
            let page = shared.page();
            let count = page.count.fetch_add(1, Relaxed) as usize;
            page.reaped[count % REAPED].pid.store(pid, Relaxed);
            page.reaped[count % REAPED].status.store(status, Relaxed);
        };
        assert_eq!(shared.reaped(0), None);
        reap(7, libc::SIGPIPE);
        reap(8, 0);
        assert_eq!([7, 8, 9].map(|pid| shared.reaped(pid)), [Some(libc::SIGPIPE), Some(0), None]);
        reap(7, 1 << 8);
        assert_eq!(shared.reaped(7), Some(1 << 8));
        // Processes reaped long before are no longer kept.
        (0..REAPED).for_each(|_| reap(8, 0));
        assert_eq!([7, 8].map(|pid| shared.reaped(pid)), [None, Some(0)]);
    }
}
