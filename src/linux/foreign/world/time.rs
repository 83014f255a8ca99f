//! How time passes for a server: until it does something, and no further than nothing more can happen by itself.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::linux::foreign::server::Quiet;
use crate::trace::TcpState;
use crate::world::quiescence::Quiescence;
use crate::world::{Stepped, World};
use std::os::fd::BorrowedFd;
use std::time::Instant;

impl Foreign {
    /// Whether there is nothing to wait for: the server has ended, the run was stopped, or nothing changes until a client or the harness
    /// acts.
    pub(crate) fn is_at_rest(&mut self) -> bool {
        self.main_ended.is_some()
            || self.is_stopped()
            || (self.server.quiescence() == Quiescence::Frozen && !self.is_let_in_by_the_kernel())
    }

    /// Whether the kernel may yet give the server a connection by itself. With TCP_DEFER_ACCEPT (`tcp(7)`) the connection of a client that
    /// sends nothing stays in SYN_RECV until the kernel has retransmitted the SYN-ACK, after a second. True if the states cannot be read.
    pub(crate) fn is_let_in_by_the_kernel(&mut self) -> bool {
        self.look().is_err() || self.connections.iter().any(|connection| connection.state == TcpState::SynRecv)
    }

    /// Lets the server make calls until none of its parked calls could finish.
    pub(crate) fn settle(&mut self) -> Result<(), KernelError> {
        self.calls = 0;
        while let Stepped::Called(_) = self.step()? {}
        Ok(())
    }

    /// Lets time pass until the server does something, at most until `deadline` on its clock. Then lets the server run until it is settled.
    /// It may return early.
    pub(crate) fn idle(&mut self, deadline: Instant) -> Result<(), KernelError> {
        if let Quiet::Busy(task) = self.pass_time(deadline)? {
            self.spins(task, None)?;
        }
        self.settle()
    }

    /// Lets real time pass until the server does something or `other` is readable, at most until `deadline` on the server's clock. Then
    /// lets the server run until it is settled. It may return early.
    pub(crate) fn idle_or(&mut self, deadline: Instant, other: BorrowedFd<'_>) -> Result<(), KernelError> {
        if let Quiet::Busy(task) = self.server.until_or(deadline, Some(other))? {
            self.spins(task, None)?;
        }
        self.settle()
    }

    /// Lets time pass until the server does something, at most until `deadline` on its clock.
    pub(super) fn pass_time(&mut self, deadline: Instant) -> Result<Quiet, KernelError> {
        if self.server.real_time().is_some() {
            return self.server.until(deadline);
        }
        // TCP runs in real time. While it has something to deliver, the server's clock must not pass that by.
        self.lands()?;
        self.server.disturb();
        self.server.quiet()?;
        if self.is_let_in_by_the_kernel() {
            return self.server.until(deadline);
        }
        self.server.pass_time(deadline, self.held)
    }
}
