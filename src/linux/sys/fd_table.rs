//! The first 64 descriptors, which are kept out of use.
//!
//! A server gets its own descriptor table by `close_range(2)` with `CLOSE_RANGE_UNSHARE`. The kernel does that by copying the
//! first 64 slots (`NR_OPEN_DEFAULT`; `dup_fd` in `fs/file.c`), and only those, before it closes the copies. While that lasts, a
//! socket in one of those slots has a holder more, and a `close` of it in another worker sends nothing: a wrong trace. So the
//! slots are filled with placeholders, and what must close when it is closed lies beyond them.
//!
//! Some other part of the process may close a low descriptor and so open a hole. What falls into it is moved out, and nothing is
//! done with it until every copy that may have been made meanwhile is gone.

use crate::linux::sys::check;
use crate::scenario::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Condvar, Mutex, PoisonError};

/// How many slots the kernel copies at least, whatever is asked for.
const COPIED: i32 = 64;

/// How many servers of this process may hold copies right now, and who waits until none does.
static COPYING: Mutex<usize> = Mutex::new(0);
static NO_COPIES: Condvar = Condvar::new();

static PLACEHOLDERS: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Fills the holes among the first slots.
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

/// A descriptor that stands for nothing.
fn placeholder() -> Result<OwnedFd, Errno> {
    // SAFETY: it takes no pointer, and makes a new descriptor that nobody else owns.
    unsafe {
        let new = check(libc::eventfd(0, libc::EFD_CLOEXEC).into())?;
        Ok(OwnedFd::from_raw_fd(new as i32))
    }
}

/// Sees to it that `fd` lies beyond what is copied; where it did not, waits until no copy of it can be left.
pub(crate) fn beyond(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= COPIED {
        return Ok(fd);
    }
    // SAFETY: a duplicate that nobody else owns.
    let moved = unsafe {
        let new = check(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, COPIED).into())?;
        OwnedFd::from_raw_fd(new as i32)
    };
    drop(fd);
    fill()?;
    // Each is over as soon as a server has come from its clone to its own table, which has a bound of its own.
    let copying = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
    drop(NO_COPIES.wait_while(copying, |copying| *copying > 0).unwrap_or_else(PoisonError::into_inner));
    Ok(moved)
}

/// Held while a server is on its way to a table of its own.
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
