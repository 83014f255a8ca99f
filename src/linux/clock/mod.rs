//! The calls that a server's tasks are blocked in, the deadlines of calls and timers, and whether the server is idle.

pub(crate) mod blocked_call;
pub(crate) mod timers;
