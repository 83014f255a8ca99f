//! The limit of open descriptors (`RLIMIT_NOFILE`, `getrlimit(2)`).
//!
//! The harness holds some descriptors for each thread of a server, so the usual soft limit of 1024 would suffice for a few hundred threads
//! only. The harness raises its own soft limit to the hard limit. Processes that it starts get the original soft limit, because a server
//! may close every descriptor below its limit when it starts, and select(2) accepts none above 1023.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

/// Both limits as they were before the soft one was raised.
static BEFORE: OnceLock<Option<libc::rlimit>> = OnceLock::new();

/// Raises the soft limit of this process to the hard limit, once. Returns both limits from before, or `None` if nothing was changed.
pub(crate) fn raise() -> Option<libc::rlimit> {
    let raised = || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        // If this is refused, the soft limit stays as it is, which may be enough.
        (soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok())
            .then_some(libc::rlimit { rlim_cur: soft, rlim_max: hard })
    };
    *BEFORE.get_or_init(raised)
}

/// Makes `command` start with the limits from before [`raise`].
pub(crate) fn give_back(command: &mut Command) -> &mut Command {
    let Some(before) = BEFORE.get().copied().flatten() else { return command };
    // SAFETY: the closure, which runs in the child process, makes one system call and allocates nothing.
    unsafe { command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NOFILE, before.rlim_cur, before.rlim_max)?)) }
}
