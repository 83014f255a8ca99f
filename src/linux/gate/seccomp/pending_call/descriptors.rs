//! What the descriptors of a pending call have to say.

use super::{Class, DOING, MOST_DESCRIPTORS, Owner, Parked};
use crate::linux::error::KernelError;
use crate::linux::sys as kernel_sys;
use crate::linux::sys::fd_table;
use crate::linux::sys::process as sys;
use crate::linux::sys::signals::{self, Masks};
use crate::scenario::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

impl Parked {
    /// The list of a `poll`; `None` if it cannot be read.
    pub(super) fn poll_list(&self) -> Option<Vec<libc::pollfd>> {
        let mut list =
            vec![libc::pollfd { fd: -1, events: 0, revents: 0 }; self.args[1].min(MOST_DESCRIPTORS) as usize];
        if !list.is_empty() {
            sys::read_memory(self.pid, self.args[0], &mut list).ok()?;
        }
        Some(list)
    }

    /// How many words each set of a `select` has.
    pub(super) fn set_words(&self) -> usize {
        (self.args[0].min(MOST_DESCRIPTORS) as usize).div_ceil(64)
    }

    /// The descriptors of a `select`, each with what is asked of it; `None` if they cannot be read.
    pub(super) fn select_list(&self) -> Option<Vec<(i32, i16)>> {
        let mut list: Vec<(i32, i16)> = Vec::new();
        // What `select` means by its three sets (`fs/select.c`).
        let meanings = [libc::POLLIN | libc::POLLHUP | libc::POLLERR, libc::POLLOUT | libc::POLLERR, libc::POLLPRI];
        for (set, events) in self.args[1..4].iter().zip(meanings) {
            let mut words = vec![0u64; self.set_words()];
            if *set == 0 || words.is_empty() {
                continue;
            }
            sys::read_memory(self.pid, *set, &mut words).ok()?;
            let fds =
                (0..self.args[0].min(MOST_DESCRIPTORS) as usize).filter(|fd| words[fd / 64] >> (fd % 64) & 1 == 1);
            list.extend(fds.map(|fd| (fd as i32, events)));
        }
        Some(list)
    }

    /// Whether one of the descriptors that it waits for is a socket, or may stand for some. True if there is none at all: then nothing
    /// but time ends it, or nothing.
    pub(super) fn is_steered(&self, owner: Owner<'_>) -> bool {
        let fds: Option<Vec<i32>> = match self.class {
            Class::Poll => self.poll_list().map(|list| list.iter().map(|p| p.fd).filter(|fd| *fd >= 0).collect()),
            _ => self.select_list().map(|list| list.iter().map(|(fd, _)| *fd).collect()),
        };
        let is_socket = |fd| {
            let link = std::fs::read_link(format!("/proc/{}/fd/{fd}", owner.pid)).unwrap_or_default();
            let link = link.to_string_lossy();
            link.starts_with("socket:") || link.ends_with("[eventpoll]")
        };
        fds.is_some_and(|fds| fds.is_empty() || fds.into_iter().any(is_socket))
    }

    /// Whether a `poll` would find something. One whose list is gone meanwhile fails, which is an end too.
    pub(super) fn polled(&self, owner: Owner<'_>) -> Result<bool, KernelError> {
        let Some(list) = self.poll_list() else { return Ok(true) };
        any(owner, list.iter().filter(|p| p.fd >= 0).map(|p| (p.fd, p.events)))
    }

    /// Whether a `select` would find something.
    pub(super) fn selected(&self, owner: Owner<'_>) -> Result<bool, KernelError> {
        let Some(list) = self.select_list() else { return Ok(true) };
        for (fd, events) in list {
            let Some(duplicate) = duplicate(owner, fd) else { return Ok(true) };
            if poll_one(duplicate.as_fd(), events)? & events != 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a signal waits that a signalfd tells of: `poll` of a duplicate asks about the signals of whoever polls. To be asked first: an
    /// epoll that is polled by somebody without such a signal takes the signalfd off the list of what is ready (`ep_item_poll`).
    pub(super) fn signalled(&self, owner: Owner<'_>) -> bool {
        if !owner.signalfd {
            return false;
        }
        let masks = Masks::of(self.pid, self.tid);
        masks.any() && masks.waiting(signals::told_by_descriptors(self.pid)) != 0
    }
}

/// A duplicate of a descriptor of the server's; `None` if it has no such.
pub(super) fn duplicate(owner: Owner<'_>, fd: i32) -> Option<OwnedFd> {
    kernel_sys::pidfd_getfd(owner.pidfd, fd).and_then(fd_table::beyond).ok()
}

/// What one descriptor has to say of these events and the conditions that need not be asked for.
pub(super) fn poll_one(fd: BorrowedFd<'_>, events: i16) -> Result<i16, KernelError> {
    let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    loop {
        // SAFETY: one pollfd.
        match kernel_sys::check(unsafe { libc::poll(&raw mut polled, 1, 0) }.into()) {
            Ok(_) => return Ok(polled.revents),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(KernelError::call(DOING, "poll")(errno)),
        }
    }
}

/// Whether any of these descriptors has what is asked of it; one that is none has, for the call says so.
pub(super) fn any(owner: Owner<'_>, list: impl Iterator<Item = (i32, i16)>) -> Result<bool, KernelError> {
    for (fd, events) in list {
        let Some(duplicate) = duplicate(owner, fd) else { return Ok(true) };
        if poll_one(duplicate.as_fd(), events)? != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
