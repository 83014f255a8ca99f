//! The calls of any program, brought to the harness by a filter.

pub(crate) mod filter;
pub(crate) mod notify;
pub(crate) mod pending_call;
