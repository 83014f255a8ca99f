//! What can keep the kernel world from going on.

use crate::scenario::{Errno, UnknownErrno};
use crate::subject::Policy;
use std::time::Duration;

/// What kept the kernel world from going on. None of these is something that a scenario or a server did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A call of the harness itself failed.
    #[error("failed to {doing}: {call}: {errno} ({})", errno.text())]
    Call {
        /// What it was for.
        doing: &'static str,
        /// Which call.
        call: &'static str,
        /// With what.
        errno: Errno,
    },
    /// The policy that a server was given is not the one in force, by `/proc/PID/status`.
    #[error("failed to set the policy `{requested}`: SIGPIPE is {effective} in the server")]
    Policy {
        /// What was asked for.
        requested: Policy,
        /// What is.
        effective: String,
    },
    /// Something that depends on nothing but this machine did not happen in time.
    #[error("failed to {doing} within {bound:?}")]
    Late {
        /// What did not happen.
        doing: &'static str,
        /// The bound.
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
    /// The kernel's answer makes no sense here.
    #[error("failed to understand {what}")]
    Garbled {
        /// Whose answer.
        what: &'static str,
    },
}

impl KernelError {
    /// Turns the errno of a failed call into an error that says what it was for.
    pub(crate) fn call(doing: &'static str, call: &'static str) -> impl FnOnce(Errno) -> KernelError {
        move |errno| KernelError::Call { doing, call, errno }
    }

    /// The same for a call of the standard library or socket2.
    pub(crate) fn io(doing: &'static str, call: &'static str) -> impl FnOnce(std::io::Error) -> KernelError {
        move |error| KernelError::Call { doing, call, errno: errno(&error) }
    }
}

/// The errno in an `io::Error`; EIO for the few that have none.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map(Errno::from_raw).ok_or(UnknownErrno).unwrap_or(Errno::EIO)
}
