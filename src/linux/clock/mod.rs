//! What a server waits for, and until when.

pub(crate) mod blocked_call;
pub(crate) mod quiescence;
pub(crate) mod timers;
