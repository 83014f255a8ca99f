//! Errors of the kernel world.

use crate::scenario::{Errno, UnknownErrno};
use crate::subject::Policy;
use std::time::Duration;

/// An error that keeps the kernel world from continuing. None of these describes something that a scenario or a server did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A call of the harness itself failed.
    #[error("failed to {doing}: {call}: {errno} ({}{})", errno.text(), remedy(*errno))]
    Call {
        /// The purpose of the call.
        doing: &'static str,
        /// The call.
        call: &'static str,
        /// The error that it returned.
        errno: Errno,
    },
    /// According to `/proc/PID/status`, the policy that a server was given is not in force.
    #[error("failed to set the policy `{requested}`: SIGPIPE is {effective} in the server")]
    Policy {
        /// The policy that the server was given.
        requested: Policy,
        /// How the server handles SIGPIPE instead.
        effective: String,
    },
    /// An operation whose duration does not depend on the server did not complete in time.
    #[error("failed to {doing} within {bound:?}")]
    Late {
        /// The operation.
        doing: &'static str,
        /// The time that it was given.
        bound: Duration,
    },
    /// A server ended before its program began.
    #[error("failed to start a server: it ended before its first accept")]
    StillBorn,
    /// The gate does not know the numbers of this architecture's system calls.
    #[error(
        "the gate does not know the system calls of {}, only those of x86_64 and aarch64: `--no-gate` does without",
        std::env::consts::ARCH
    )]
    Architecture,
    /// The run was stopped, or its time was over.
    #[error("interrupted")]
    Interrupted,
    /// The kernel's reply is malformed or unexpected.
    #[error("failed to understand {what}")]
    Garbled {
        /// What the reply was about.
        what: &'static str,
    },
}

impl KernelError {
    /// Turns the errno of a failed call into an error that names the call and its purpose.
    pub(crate) fn call(doing: &'static str, call: &'static str) -> impl FnOnce(Errno) -> KernelError {
        move |errno| KernelError::Call { doing, call, errno }
    }

    /// Like [`KernelError::call`], for a function of the standard library or socket2.
    pub(crate) fn io(doing: &'static str, call: &'static str) -> impl FnOnce(std::io::Error) -> KernelError {
        move |error| KernelError::Call { doing, call, errno: errno(&error) }
    }
}

/// What helps against this error of a call, where that is known.
fn remedy(errno: Errno) -> &'static str {
    if errno == Errno::EMFILE { "; `ulimit -n` shows and raises the limit" } else { "" }
}

/// The errno in an `io::Error`; EIO if it has none.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map(Errno::from_raw).ok_or(UnknownErrno).unwrap_or(Errno::EIO)
}
