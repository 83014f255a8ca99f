//! Runs in a server that is this program itself, started again by the harness. The server takes over the SIGPIPE disposition and the
//! listener that the harness has given it.

use crate::subject::Sigpipe;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};

/// The first descriptor that is handed over (`sd_listen_fds(3)`).
const FIRST: i32 = 3;

/// Restores the disposition of SIGPIPE with which this process was started. Rust's runtime has changed it before `main`.
pub(crate) fn set_sigpipe(sigpipe: Sigpipe) {
    // For [`Sigpipe::Blocked`] nothing else is to be done: the signal mask is inherited by threads, and Rust's runtime does not change it.
    let disposition = if sigpipe == Sigpipe::Ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: SIG_IGN and SIG_DFL install no handler.
    unsafe { libc::signal(libc::SIGPIPE, disposition) };
}

/// The listener that this process was given as descriptor 3; `None` if it was given none.
pub(crate) fn given_listener() -> Option<TcpListener> {
    let told = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    if told("LISTEN_PID") != Some(std::process::id()) || told("LISTEN_FDS") != Some(1) {
        return None;
    }
    // SAFETY: the descriptor was open when this program started. The two variables give it to this process, which asks for it once.
    Some(TcpListener::from(unsafe { OwnedFd::from_raw_fd(FIRST) }))
}
