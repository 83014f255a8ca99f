//! Fills the first 64 slots of the harness's descriptor table with placeholders.
//!
//! A server gets its own descriptor table by `close_range(2)` with `CLOSE_RANGE_UNSHARE`. For this the kernel copies the first 64
//! slots (`NR_OPEN_DEFAULT`; `dup_fd` in `fs/file.c`), and only those, and then closes the copies. While a copy exists, the socket in
//! that slot has an additional reference: if another worker closes the socket, no FIN or RST is sent, and the trace is wrong. So the
//! slots are filled with placeholders, and descriptors whose `close` must take effect at once lie beyond them.
//!
//! Other code in the process may close a low descriptor and so free a slot. A descriptor that is created there is moved out, and
//! is not used until every copy that may have been made meanwhile is gone.

use super::failed;
use crate::scenario::Errno;
use rustix::event::EventfdFlags;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Condvar, Mutex, PoisonError};

/// The number of slots that the kernel copies in any case.
const COPIED: i32 = 64;

/// The number of servers that may hold copies right now. When it becomes 0, [`NO_COPIES`] is notified.
static COPYING: Mutex<usize> = Mutex::new(0);
static NO_COPIES: Condvar = Condvar::new();

static PLACEHOLDERS: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Fills the free slots among the first [`COPIED`].
pub(crate) fn fill() -> Result<(), Errno> {
    let mut placeholders = PLACEHOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let new = placeholder()?;
        if new.as_raw_fd() >= COPIED {
            return Ok(());
        }
        placeholders.push(new);
    }
}

/// A descriptor that is never used: an eventfd.
fn placeholder() -> Result<OwnedFd, Errno> {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(failed)
}

/// Moves `fd` beyond the slots that are copied. If `fd` was in one of them, also waits until no copy of it can be left.
pub(crate) fn beyond(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= COPIED {
        return Ok(fd);
    }
    let moved = rustix::io::fcntl_dupfd_cloexec(&fd, COPIED).map_err(failed)?;
    drop(fd);
    fill()?;
    // The wait is bounded: each `Copying` is dropped when the server has its own table, or when the bound on its start has passed.
    let copying = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
    drop(NO_COPIES.wait_while(copying, |copying| *copying > 0).unwrap_or_else(PoisonError::into_inner));
    Ok(moved)
}

/// Held from before a server's clone until the server has its own descriptor table.
pub(crate) struct Copying(());

impl Copying {
    pub(crate) fn new() -> Copying {
        *COPYING.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Copying(())
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        let mut copying = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
        *copying -= 1;
        if *copying == 0 {
            NO_COPIES.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::clock::blocked_call::tests::wait_for_sleep;
    use std::sync::mpsc;

    #[test]
    fn what_falls_into_a_hole_is_moved_out_of_it() {
        fill().unwrap();
        let hole = PLACEHOLDERS.lock().unwrap().pop().expect("a placeholder");
        assert!(hole.as_raw_fd() < COPIED);
        let moved = beyond(hole).unwrap();
        assert!(moved.as_raw_fd() >= COPIED);
    }
    #[test]
    fn whoever_waits_for_copies_to_go_sleeps() {
        fill().unwrap();
        let copying = Copying::new();
        let (tell, told) = mpsc::channel();
        let waiting = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            let hole = PLACEHOLDERS.lock().unwrap().pop().expect("a placeholder");
            beyond(hole).unwrap()
        });
        wait_for_sleep(told.recv().unwrap(), &[libc::SYS_futex]);
        drop(copying);
        assert!(waiting.join().unwrap().as_raw_fd() >= COPIED);
    }
}
