//! Servers that are described as programs: clones that share the harness's memory and park before each call.

pub(crate) mod arena;
mod child;
pub(crate) mod park;
pub(crate) mod spawn;
mod wrong_end;
