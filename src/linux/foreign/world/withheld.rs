//! Finds withheld FINs: a process that has served a client closes the connection, but a program that it has started holds the socket open.
//!
//! A `close` sends a FIN only when the last descriptor of the socket is closed. A descriptor without FD_CLOEXEC is inherited through `fork`
//! and `execve` (`fcntl(2)`, `execve(2)`). The client then gets no end of file until the other program ends.
//!
//! A connection may also be handed over on purpose, to a child process that has not used it yet. So a FIN counts as withheld only if
//! - a process has sent something to the client and has closed the connection, and every other process that has made a call on the
//!   connection has closed it or ended;
//! - the process that still has the socket runs another program, and was not told of the descriptor in one of the usual ways: its number is
//!   not 0, 1 or 2, not among those of `LISTEN_FDS` (`sd_listen_fds(3)`), and in no argument and no environment variable;
//! - nothing changes until a client or the harness acts, and after all clients have gone that process still has the socket and has made no
//!   call on it.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::linux::foreign::server::Passed;
use crate::linux::sys::fd_table;
use crate::linux::sys::pidfd_getfd;
use crate::linux::sys::proc;
use crate::linux::sys::process as sys;
use crate::scenario::Client;
use crate::trace::TcpState;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};

/// A withheld FIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// The client that waits for the FIN.
    pub(crate) client: Client,
    /// The descriptor of the socket. It has the same number in the process that has closed it and in the process that holds it open.
    pub(crate) fd: i32,
    /// The name of the process that holds the socket open.
    pub(crate) holder: String,
    pid: i32,
    cookie: u64,
}

/// What processes have done with one connection.
#[derive(Debug, Default)]
pub(super) struct Handled {
    /// The processes that have sent data.
    sent: BTreeSet<i32>,
    /// The processes that have closed the connection, each with its descriptor.
    closed: BTreeMap<i32, i32>,
    /// The processes that have made any call on the connection other than `close`.
    used: BTreeSet<i32>,
}

impl Handled {
    pub(super) fn note(&mut self, passed: &Passed) {
        match (passed.name, passed.fd) {
            ("close", Some(fd)) => drop(self.closed.insert(passed.pid, fd)),
            _ => {
                self.used.insert(passed.pid);
                if passed.class.sends() {
                    self.sent.insert(passed.pid);
                }
            }
        }
    }

    /// The process that has sent data and closed the connection, and its descriptor. `None` if there is none, or if another process that
    /// has used the connection still runs and has not closed it.
    fn served(&self, runs: impl Fn(i32) -> bool) -> Option<(i32, i32)> {
        let done = |pid: &i32| self.closed.contains_key(pid) || !runs(*pid);
        let closer = self.sent.iter().find_map(|pid| Some((*pid, *self.closed.get(pid)?)));
        closer.filter(|_| self.used.iter().all(done))
    }
}

impl Foreign {
    /// Records from which clients a FIN is withheld, before the first client is closed at the end of a run.
    pub(super) fn note_withheld(&mut self) -> Result<(), KernelError> {
        if self.handled.is_empty() || self.main_ended.is_some() || self.is_stopped() || !self.is_at_rest() {
            return Ok(());
        }
        self.look()?;
        let waits = |state| matches!(state, TcpState::Established | TcpState::CloseWait);
        for connection in &self.connections {
            let Some(cookie) = connection.cookie else { continue };
            let client = &connection.client;
            if client.socket.is_none() || client.vanished || !waits(connection.state) {
                continue;
            }
            let tree = &self.server.tree;
            let Some(handled) = self.handled.get(&cookie) else { continue };
            let Some((closer, fd)) = handled.served(|pid| tree.runs(pid)) else { continue };
            for (pid, process) in &tree.processes {
                let unused = !handled.used.contains(pid) && !handled.closed.contains_key(pid);
                if unused && has(process.pidfd.as_fd(), fd, cookie) && is_stranger(*pid, closer, fd) {
                    let holder = proc::name(*pid);
                    self.withheld.push(Withheld { client: client.name, fd, holder, pid: *pid, cookie });
                }
            }
        }
        Ok(())
    }

    /// The recorded FINs that are still withheld after all clients have gone.
    pub(crate) fn still_withheld(&mut self) -> Vec<Withheld> {
        let mut withheld = std::mem::take(&mut self.withheld);
        if withheld.is_empty() || self.main_ended.is_some() || self.is_stopped() || !self.is_at_rest() {
            return Vec::new();
        }
        withheld.retain(|Withheld { pid, fd, cookie, .. }| {
            let process = self.server.tree.processes.get(pid);
            let unused = self.handled.get(cookie).is_some_and(|handled| !handled.used.contains(pid));
            unused && process.is_some_and(|process| has(process.pidfd.as_fd(), *fd, *cookie))
        });
        withheld
    }
}

/// Whether this descriptor of a process refers to the socket with this cookie.
fn has(pidfd: BorrowedFd<'_>, fd: i32, cookie: u64) -> bool {
    let Ok(socket) = pidfd_getfd(pidfd, fd).and_then(fd_table::beyond) else { return false };
    sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64) == Ok(cookie)
}

/// Whether a process runs another program than the process that has closed the connection, and was not told of this descriptor.
fn is_stranger(pid: i32, closer: i32, fd: i32) -> bool {
    let (Some(own), Some(other)) = (proc::program(pid), proc::program(closer)) else { return false };
    own != other && !is_told(fd, &proc::words(pid, "cmdline"), &proc::words(pid, "environ"))
}

/// Whether a program with these arguments and this environment was told of a descriptor, in one of the usual ways.
fn is_told(fd: i32, arguments: &[String], environment: &[String]) -> bool {
    let is_number = |text: &str| text.parse() == Ok(fd);
    let argument = |text: &String| text.split(|c: char| !c.is_ascii_digit()).any(is_number);
    // Some servers pass a list of descriptors to their successor, as nginx does: `NGINX=6;7;`.
    let variable = |(name, value): (&str, &str)| match name {
        "LISTEN_FDS" => value.parse().is_ok_and(|count: i32| fd < 3 + count),
        _ => {
            value.chars().all(|c| c.is_ascii_digit() || ";,: ".contains(c))
                && value.split([';', ',', ':', ' ']).any(is_number)
        }
    };
    fd < 3 || arguments.iter().any(argument) || environment.iter().filter_map(|text| text.split_once('=')).any(variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pid: i32, name: &'static str) -> Passed {
        Passed { fd: Some(5), cookie: Some(1), ..Passed::of(pid, name) }
    }

    fn served(calls: &[(i32, &'static str)], runs: impl Fn(i32) -> bool) -> Option<(i32, i32)> {
        let mut handled = Handled::default();
        calls.iter().for_each(|(pid, name)| handled.note(&passed(*pid, name)));
        handled.served(runs)
    }

    #[test]
    fn a_client_is_served_when_who_sent_has_closed_and_all_others_are_through() {
        assert_eq!(served(&[(1, "recv"), (1, "send"), (1, "close")], |_| true), Some((1, 5)));
        // The connection was closed before anything was sent, or not closed.
        assert_eq!(served(&[(1, "recv"), (1, "close")], |_| true), None);
        assert_eq!(served(&[(1, "send")], |_| true), None);
        // A child process goes on to use the connection.
        let by_two = [(1, "send"), (1, "close"), (2, "send")];
        assert_eq!(served(&by_two, |_| true), None);
        assert_eq!(served(&by_two, |pid| pid == 1), Some((1, 5)));
    }

    #[test]
    fn a_program_is_told_of_a_descriptor_by_its_number_or_by_convention() {
        let told = |fd, argument: &str, variable: &str| is_told(fd, &[argument.to_owned()], &[variable.to_owned()]);
        assert!(told(0, "", "") && told(2, "", ""));
        assert!(!told(5, "cat", "PATH=/bin:/usr/bin") && !told(5, "", ""));
        assert!(told(5, "--fd=5", "") && !told(5, "--fd=15", ""));
        assert!(told(5, "", "NGINX=4;5;") && !told(5, "", "NGINX=4;6;") && !told(5, "", "LS_COLORS=x=5"));
        assert!(told(3, "", "LISTEN_FDS=1") && !told(5, "", "LISTEN_FDS=2"));
    }
}
