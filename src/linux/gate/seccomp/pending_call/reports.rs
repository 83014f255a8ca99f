//! Which sockets a pending call is about to report as readable.

use super::descriptors::{duplicate, poll_one};
use super::{Class, Owner, PendingCall};
use crate::linux::error::KernelError;
use crate::linux::sys::{proc, process as sys};
use std::os::fd::AsFd;

impl PendingCall {
    /// The cookies (`SO_COOKIE`) of the sockets that this call, once let in, reports as readable. Only those that it is certain to report: an
    /// `epoll_wait` that takes fewer events than the instance has descriptors may leave out any.
    pub(crate) fn reports(&self, owner: Owner<'_>) -> Result<Vec<u64>, KernelError> {
        let input = i32::from(libc::POLLIN);
        let asked: Vec<i32> = match self.class {
            Class::Poll(_) => {
                let list = self.poll_list().unwrap_or_default();
                list.iter().filter(|p| i32::from(p.events) & input != 0).map(|p| p.fd).collect()
            }
            Class::Select(_) => {
                let list = self.select_list().unwrap_or_default();
                list.into_iter().filter(|(_, events)| i32::from(*events) & input != 0).map(|(fd, _)| fd).collect()
            }
            Class::Epoll(_) => {
                let all = proc::watched_by_epoll(self.pid, self.args[0] as i32);
                if all.len() as u64 > self.args[2] {
                    return Ok(Vec::new());
                }
                all.into_iter().filter(|(_, events)| *events & libc::EPOLLIN as u32 != 0).map(|(fd, _)| fd).collect()
            }
            _ => Vec::new(),
        };
        let mut reported = Vec::new();
        for fd in asked {
            let Some(socket) = duplicate(owner, fd) else { continue };
            let cookie = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64);
            if let Ok(cookie) = cookie
                && poll_one(socket.as_fd(), libc::POLLIN)? & libc::POLLIN != 0
            {
                reported.push(cookie);
            }
        }
        Ok(reported)
    }
}
