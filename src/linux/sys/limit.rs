//! The limit of open descriptors (`RLIMIT_NOFILE`, `getrlimit(2)`).
//!
//! The harness holds some descriptors of each thread of a server, so that the usual soft limit of 1024 would do for a few hundred threads.
//! It raises its own to the hard limit. What it starts begins with the soft limit that was there before: a server may close every descriptor
//! below its limit when it starts, and select(2) takes none above 1023.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

/// Both limits as they were before the soft one was raised.
static BEFORE: OnceLock<Option<libc::rlimit>> = OnceLock::new();

/// Raises the soft limit of this process to its hard one, once. Gives both limits as they were before; `None` if they are the same still.
pub(crate) fn raise() -> Option<libc::rlimit> {
    let raised = || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        // Where it is refused there is the soft limit, which may be enough.
        (soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok())
            .then_some(libc::rlimit { rlim_cur: soft, rlim_max: hard })
    };
    *BEFORE.get_or_init(raised)
}

/// Has a command begin with the limits that were there before.
pub(crate) fn give_back(command: &mut Command) -> &mut Command {
    let Some(before) = BEFORE.get().copied().flatten() else { return command };
    // SAFETY: what runs in the child makes one system call, and allocates nothing.
    unsafe { command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NOFILE, before.rlim_cur, before.rlim_max)?)) }
}
