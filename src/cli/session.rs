//! Moves a process that plays on the kernel into a session of its own.

use super::exit::Exit;
use super::failure::{Failure, say};
use brokenpipe::{Signal, enter_session};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Continues in a child process in a session of its own, if that is necessary to leave CPU time to other processes (see
/// `src/linux/process/session.rs`). Gives `None` in the process that continues. The parent passes signals on to its child, and gives the
/// exit code once the child has ended. The process must have a single thread.
pub(super) fn enter() -> Result<Option<u8>, Failure> {
    Ok(enter_session()?.map(exit_code))
}

/// The exit code for the process that plays. If a signal killed it, other than SIGINT, SIGTERM or SIGHUP, a message says so.
fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.try_into().unwrap_or(Exit::MACHINE),
        // The child was interrupted before its handler for Ctrl-C was installed.
        (_, Some(libc::SIGINT | libc::SIGTERM | libc::SIGHUP)) => Exit::INTERRUPTED,
        (_, signal) => {
            say(format_args!("the process that plays was killed by {}", Signal::from_raw(signal.unwrap_or_default())));
            Exit::MACHINE
        }
    }
}
