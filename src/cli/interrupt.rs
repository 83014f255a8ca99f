//! Handles Ctrl-C. SIGTERM and SIGHUP count as Ctrl-C.
//!
//! After the first Ctrl-C a command stops as soon as it can, says how far it came, and cleans up. The second Ctrl-C
//! ends the process at once. No server is left behind then either: the kernel ends a server together with its harness.

use super::exit::Exit;
use super::failure::Failure;
use brokenpipe::keep_nohup;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user has interrupted the command.
#[derive(Debug)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
    /// The read end of a pipe. The handler closes the write end, which wakes a `poll` that waits for other descriptors
    /// too.
    closed: PipeReader,
}

impl Interrupt {
    /// Installs the handler, which runs on a thread of its own.
    pub(super) fn listen() -> Result<Interrupt, Failure> {
        Interrupt::set(Arc::default())
    }

    /// The same. The handler sets this flag.
    pub(super) fn set(asked: Arc<AtomicBool>) -> Result<Interrupt, Failure> {
        let (closed, open) = io::pipe().map_err(|e| Failure::Signals(e.to_string()))?;
        let interrupt = Interrupt { asked: Arc::clone(&asked), closed };
        let mut open = Some(open);
        let handler = move || {
            if asked.swap(true, Ordering::SeqCst) {
                std::process::exit(Exit::INTERRUPTED.into());
            }
            open.take();
        };
        keep_nohup(|| ctrlc::set_handler(handler)).map_err(|e| Failure::Signals(e.to_string()))?;
        Ok(interrupt)
    }

    /// Whether the user has interrupted.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// A descriptor for use in `poll`: it reports POLLHUP once the user has interrupted.
    fn closed(&self) -> BorrowedFd<'_> {
        self.closed.as_fd()
    }

    /// The flag that is set when the user interrupts, for code that does not have the [`Interrupt`].
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// Waits until `input` is readable or at its end. Gives false if the user interrupts first.
    pub(super) fn wait_for(&self, input: impl AsFd) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.closed(), PollFlags::empty()), PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) if self.asked() || fds[0].any() == Some(true) => return Ok(false),
                Ok(_) => return Ok(true),
                // Most likely the signal of the interruption: the next `poll` returns when the handler closes the pipe.
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
