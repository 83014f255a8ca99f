//! Whether the descriptors that a pending call waits for are ready.

use super::{Class, DOING, MOST_DESCRIPTORS, Owner, PendingCall};
use crate::linux::error::KernelError;
use crate::linux::sys as kernel_sys;
use crate::linux::sys::fd_table;
use crate::linux::sys::process as sys;
use crate::linux::sys::signals::{self, Masks};
use crate::scenario::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

impl PendingCall {
    /// The list of a `poll`; `None` if it cannot be read.
    pub(super) fn poll_list(&self) -> Option<Vec<libc::pollfd>> {
        let mut list =
            vec![libc::pollfd { fd: -1, events: 0, revents: 0 }; self.args[1].min(MOST_DESCRIPTORS) as usize];
        if !list.is_empty() {
            sys::read_memory(self.pid, self.args[0], &mut list).ok()?;
        }
        Some(list)
    }

    /// How many 64-bit words each set of a `select` has.
    pub(super) fn set_words(&self) -> usize {
        (self.args[0].min(MOST_DESCRIPTORS) as usize).div_ceil(64)
    }

    /// The descriptors of a `select`, each with its requested events; `None` if the sets cannot be read.
    pub(super) fn select_list(&self) -> Option<Vec<(i32, i16)>> {
        let mut list: Vec<(i32, i16)> = Vec::new();
        // The poll events that each of `select`'s three sets stands for (`fs/select.c`).
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

    /// Whether one of the descriptors that the call waits for is a socket, or an epoll instance that may watch sockets. Also true if there
    /// is no descriptor at all: then only the call's time limit ends the call, if it has one.
    pub(super) fn is_steered(&self, owner: Owner<'_>) -> bool {
        let fds: Option<Vec<i32>> = match self.class {
            Class::Poll(_) => self.poll_list().map(|list| list.iter().map(|p| p.fd).filter(|fd| *fd >= 0).collect()),
            _ => self.select_list().map(|list| list.iter().map(|(fd, _)| *fd).collect()),
        };
        let is_socket = |fd| {
            let link = std::fs::read_link(format!("/proc/{}/fd/{fd}", owner.pid)).unwrap_or_default();
            let link = link.to_string_lossy();
            link.starts_with("socket:") || link.ends_with("[eventpoll]")
        };
        fds.is_some_and(|fds| fds.is_empty() || fds.into_iter().any(is_socket))
    }

    /// Whether a `poll` would return now. A `poll` whose list can no longer be read does, with an error.
    pub(super) fn polled(&self, owner: Owner<'_>) -> Result<bool, KernelError> {
        let Some(list) = self.poll_list() else { return Ok(true) };
        any(owner, list.iter().filter(|p| p.fd >= 0).map(|p| (p.fd, p.events)))
    }

    /// Whether a `select` would return now.
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

    /// Whether a signal is pending that a signalfd of the process reports. Polling a duplicate of the signalfd cannot answer this, because
    /// `poll` on a signalfd reports the signals of the process that polls. Call this before polling a duplicate of an epoll descriptor: if
    /// the polling process has no such signal, the kernel removes the signalfd from the epoll's ready list (`ep_item_poll`).
    pub(super) fn signalled(&self, owner: Owner<'_>) -> bool {
        if !owner.signalfd {
            return false;
        }
        let masks = Masks::of(self.pid, self.tid);
        masks.any() && masks.waiting(signals::told_by_descriptors(self.pid)) != 0
    }
}

/// A duplicate of a descriptor of the server; `None` if the server has no such descriptor.
pub(super) fn duplicate(owner: Owner<'_>, fd: i32) -> Option<OwnedFd> {
    kernel_sys::pidfd_getfd(owner.pidfd, fd).and_then(fd_table::beyond).ok()
}

/// Which of these events one descriptor has, with the conditions that `poll(2)` reports without being asked.
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

/// Whether any of these descriptors has one of its requested events. An invalid descriptor counts, because `poll(2)` reports it.
pub(super) fn any(owner: Owner<'_>, list: impl Iterator<Item = (i32, i16)>) -> Result<bool, KernelError> {
    for (fd, events) in list {
        let Some(duplicate) = duplicate(owner, fd) else { return Ok(true) };
        if poll_one(duplicate.as_fd(), events)? != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
