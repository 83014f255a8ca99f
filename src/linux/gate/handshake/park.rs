//! The gate for the harness's own servers: a server is parked before each of its socket calls, until the harness releases
//! the call or answers it in the kernel's place.
//!
//! The handshake uses one word of the shared page as a futex (`futex(2)`). The server writes its call to the page, sets the
//! word to `PARKED`, and sleeps. The harness wakes the server with an answer, and sleeps until the server is parked again.
//! When the server's process ends, for whatever reason, the kernel itself clears the word and wakes the harness
//! (`CLONE_CHILD_CLEARTID`). So the harness knows whenever the server blocks, and never waits for a wake-up that does not
//! come.
//!
//! A seccomp filter with user notification (`seccomp_unotify(2)`) does the same for a server that cannot park itself. It is
//! not used here, because it deadlocked the kernel. Each filter is compiled by the kernel and freed again by a work item,
//! all under one lock (`pack_mutex` in `kernel/bpf/core.c`). At thousands of servers a second on a busy machine, a thousand
//! of these items fill the work queue. The holder of the lock then waits for another item of the same queue. From then on no
//! process of that machine can install a filter, or be killed while it tries to.

use crate::linux::error::KernelError;
use crate::linux::gate::handshake::arena::{Page, Parked, RUNNING};
use crate::linux::sys::{self, Exit};
use crate::scenario::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// How long a server may take from one call to the next, or in a call that can finish. A server that takes longer is stuck.
pub(crate) const CALL_BOUND: Duration = Duration::from_secs(10);

/// Values of [`Page::turn`] besides [`RUNNING`]. The kernel writes `ENDED` when the process ends.
const PARKED: u32 = 1;
const ENDED: u32 = 0;

/// What the server does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Parked(Parked),
    Ended(Exit),
    /// The server neither parked nor ended within [`CALL_BOUND`].
    Late,
}

/// The harness's side: waits for the server to park at its next call or to end.
pub(crate) fn next(page: &Page, pidfd: &OwnedFd) -> Result<Next, KernelError> {
    let mut deadline = None;
    loop {
        match page.turn.load(Acquire) {
            PARKED => {
                // SAFETY: the server is parked, and so does not write.
                return Ok(Next::Parked(unsafe { *page.parked.get() }));
            }
            ENDED => {
                let exit = sys::reap(pidfd.as_fd());
                return exit.map(Next::Ended).map_err(KernelError::call("reap the server", "waitid"));
            }
            _ => {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + CALL_BOUND);
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(Next::Late);
                }
                sys::futex_wait(&page.turn, RUNNING, left);
            }
        }
    }
}

/// The harness's side: releases the parked call, or answers it with an error.
pub(crate) fn answer(page: &Page, refusal: Option<Errno>) {
    page.refusal.store(refusal.map_or(0, Errno::raw), Relaxed);
    page.turn.store(RUNNING, Release);
    sys::futex_wake(&page.turn);
}

/// The server's side: parks before a call. Returns 0 if the harness releases the call, or the negated errno with which the
/// harness refuses it.
///
/// It runs in the server's process, and does only what is allowed there ([`child`](crate::linux::gate::handshake::child)).
pub(crate) fn park(page: &Page, parked: Parked) -> libc::c_long {
    // SAFETY: the harness sleeps while the server runs, and so does not read.
    unsafe { *page.parked.get() = parked };
    page.turn.store(PARKED, Release);
    sys::futex_wake(&page.turn);
    while page.turn.load(Acquire) == PARKED {
        sys::futex_wait(&page.turn, PARKED, Duration::MAX);
    }
    -libc::c_long::from(page.refusal.load(Relaxed))
}
