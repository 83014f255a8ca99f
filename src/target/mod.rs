//! Servers that nobody here wrote.

mod protocol;

pub use protocol::{Answer, Exchange, Progress, Protocol, parse_payload};
