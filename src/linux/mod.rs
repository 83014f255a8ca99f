//! The real world: server processes behind a gate, client sockets, and the TCP states that the kernel reports.
//!
//! [`kernel`] plays scenarios against programs, [`foreign`] against the servers of other people. [`gate`] intercepts the calls of both
//! kinds; [`net`] performs the clients' actions; [`process`] starts, watches and ends processes; [`clock`] finds out what they wait for.
//!
//! All `unsafe` code of the crate is in this module.
#![allow(unsafe_code)]

pub(crate) mod clock;
mod error;
pub(crate) mod foreign;
mod gate;
mod kernel;
mod net;
pub(crate) mod process;
mod requirements;
pub(crate) mod sys;

pub use error::KernelError;
pub use kernel::Kernel;
pub(crate) use process::affinity::Pinned;
pub use process::session::{Worker, enter_session, keep_nohup};
pub use process::user_namespace::enter_user_namespace;
pub use requirements::Requirement;
pub(crate) use requirements::requirements;

use std::os::fd::AsFd;
use std::time::Duration;

/// How a process handles SIGPIPE, in words: `default`, or those of `pending`, `blocked`, `ignored` and `caught` that apply.
pub(crate) fn sigpipe_of(pid: i32) -> Result<String, KernelError> {
    gate::handshake::spawn::status(pid).map(|status| status.words().replace("at its default", "default"))
}

/// The pidfd of a process of ours. It becomes readable when the process has ended.
pub(crate) fn pidfd(pid: i32) -> Result<std::os::fd::OwnedFd, KernelError> {
    sys::pidfd_open(pid).map_err(KernelError::call("look at a process", "pidfd_open"))
}

/// Whether a descriptor is readable, or becomes so within `bound`.
pub(crate) fn readable(fd: &impl AsFd, bound: Duration) -> bool {
    sys::poll([fd.as_fd()], bound).is_ok_and(|[ready]| !ready.is_empty())
}
