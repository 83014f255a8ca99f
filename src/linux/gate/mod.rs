//! The gate: before each call that matters, a server waits until the harness releases the call. The harness's own servers do so by a
//! [`handshake`], other projects' programs by a [`seccomp`] filter.

pub(crate) mod handshake;
pub(crate) mod seccomp;
