//! The calls of any program, intercepted by a seccomp filter and handed to the harness.

pub(crate) mod calls;
pub(crate) mod filter;
pub(crate) mod notify;
pub(crate) mod pending_call;
