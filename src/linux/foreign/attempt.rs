//! Tries out the features of the machine that servers under test can make use of.

use crate::linux::error::KernelError;
use crate::linux::process::guardian::{Plan, launch};
use crate::linux::process::user_namespace::{Maps, in_a_child, unshare};
use crate::linux::sys::process::{clone_process, exit_status};
use crate::linux::sys::reap;
use crate::scenario::Errno;
use crate::subject::Sigpipe;
use std::os::fd::AsFd;

/// Starts a process behind a filter and fetches the filter's notification descriptor. The program is a folder, so that `execve` fails and
/// the process ends.
pub(crate) fn try_gate() -> Result<(), KernelError> {
    let plan = Plan {
        program: c"/".to_owned(),
        arguments: vec![c"/".to_owned()],
        environment: Vec::new(),
        folder: c"/".to_owned(),
        output: c"/dev/null".to_owned(),
        listener: None,
        sigpipe: Sigpipe::Default,
        gate: true,
        jumps: false,
    };
    launch(&plan, false).map(drop)
}

/// Creates a namespace of this kind (`CLONE_NEW*`) in a child process. Returns whether that works with the privileges of this process, or
/// only in a user namespace.
pub(crate) fn try_namespace(kind: i32) -> Result<String, Errno> {
    if in_a_child(|| unshare(kind)).is_ok() {
        return Ok("works".to_owned());
    }
    let maps = Maps::here();
    in_a_child(|| maps.enter().and_then(|()| unshare(kind))).map(|()| "works, in a user namespace".to_owned())
}

/// Whether the kernel reports how a process has ended after the process has been reaped.
pub(crate) fn try_exit_status() -> Result<bool, Errno> {
    const CODE: i32 = 7;
    // SAFETY: the child makes one system call.
    let child = unsafe { clone_process(0) }?;
    let Some((_, pidfd)) = child else {
        // SAFETY: `_exit` does not return.
        unsafe { libc::_exit(CODE) }
    };
    reap(pidfd.as_fd())?;
    Ok(exit_status(pidfd.as_fd()) == Some(CODE << 8))
}
