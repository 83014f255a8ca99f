//! Before each call that matters a server waits until the harness lets it in: our own servers by a [`handshake`], other people's by
//! [`seccomp`].

pub(crate) mod handshake;
pub(crate) mod seccomp;
