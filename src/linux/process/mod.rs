//! Processes: the workers of the harness, and the tree of a server below its guardian.

pub(crate) mod affinity;
pub(crate) mod guardian;
mod kill;
pub(crate) mod namespaces;
pub(crate) mod session;
pub(crate) mod tasks;
pub(crate) mod user_namespace;
