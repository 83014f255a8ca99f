//! What a server does that is this program, started again: it takes what it was given.

use crate::linux::process::guardian::Sigpipe;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};

/// The first descriptor that is handed over (`sd_listen_fds(3)`).
const FIRST: i32 = 3;

/// Sets SIGPIPE to that with which this process was started, which Rust's runtime has changed since.
pub(crate) fn set_sigpipe(sigpipe: Sigpipe) {
    // A mask is inherited by threads, and nobody has changed it.
    let disposition = if sigpipe == Sigpipe::Ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither of the two is a handler that could be run.
    unsafe { libc::signal(libc::SIGPIPE, disposition) };
}

/// The listener that this process was given. `None` if it was given none.
pub(crate) fn given_listener() -> Option<TcpListener> {
    let told = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    if told("LISTEN_PID") != Some(std::process::id()) || told("LISTEN_FDS") != Some(1) {
        return None;
    }
    // SAFETY: it was open before this program was, and is meant for whoever asks by these two variables, who does so once.
    Some(TcpListener::from(unsafe { OwnedFd::from_raw_fd(FIRST) }))
}
