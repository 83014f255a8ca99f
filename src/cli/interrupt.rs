//! Ctrl-C.
//!
//! The first one asks: a command stops after the scenario it is at, says how far it came, and takes everything down.
//! The second one ends the process at once, which leaves nothing behind either: a server dies with its harness by
//! construction. SIGTERM and SIGHUP count as Ctrl-C.

use super::exit::Exit;
use super::failure::Failure;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants us to stop.
#[derive(Debug)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Its other end is closed when somebody asks, so that a wait for input can end.
    closed: PipeReader,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Interrupt, Failure> {
        let (closed, open) = io::pipe().map_err(|e| Failure::Signals(e.to_string()))?;
        let asked = Arc::new(AtomicBool::new(false));
        let interrupt = Interrupt { asked: Arc::clone(&asked), closed };
        let mut open = Some(open);
        ctrlc::set_handler(move || {
            if asked.swap(true, Ordering::SeqCst) {
                std::process::exit(Exit::INTERRUPTED.into());
            }
            open.take();
        })
        .map_err(|e| Failure::Signals(e.to_string()))?;
        Ok(interrupt)
    }

    /// Whether somebody has asked.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Is hung up once somebody has asked, for whoever waits for other things at the same time.
    pub(super) fn closed(&self) -> BorrowedFd<'_> {
        self.closed.as_fd()
    }

    /// The same, for whoever cannot ask.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// Waits until there is something to read from `input`, its end included. False if somebody asked before that.
    pub(super) fn wait_for(&self, input: impl AsFd) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.closed(), PollFlags::empty()), PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) if self.asked() || fds[0].any() == Some(true) => return Ok(false),
                Ok(_) => return Ok(true),
                // The signal itself, most likely: what it asks for is seen the next time round.
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
