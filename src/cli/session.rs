//! A session of its own for what plays on the kernel.

use super::exit::Exit;
use super::failure::{Failure, say};
use brokenpipe::{Signal, enter_session};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Goes on in a child in a session of its own, where that is needed so that nobody else is kept from the processor. In the process that
/// was there before, which passes signals on, it gives the exit code of the child once that has ended. There must be no other thread yet.
pub(super) fn enter() -> Result<Option<u8>, Failure> {
    Ok(enter_session()?.map(|status| exit_code(status, "the process that plays")))
}

/// The exit code for a process of ours that has ended; if it has not exited by itself, this is said, and by which name it goes.
pub(super) fn exit_code(status: ExitStatus, whose: &str) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.try_into().unwrap_or(Exit::MACHINE),
        // Before it listened for Ctrl-C.
        (_, Some(libc::SIGINT | libc::SIGTERM | libc::SIGHUP)) => Exit::INTERRUPTED,
        (_, signal) => {
            say(format_args!("{whose} was killed by {}", Signal::from_raw(signal.unwrap_or_default())));
            Exit::MACHINE
        }
    }
}
