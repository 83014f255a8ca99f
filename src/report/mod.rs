//! Reports about runs and findings: text, the sequence diagram, the explanation, and JSON.

mod case;
mod clean;
#[cfg(feature = "cli")]
mod json;
mod ladder;
mod printable;
mod target;
#[cfg(feature = "cli")]
mod target_json;
mod text;
mod why;

pub use case::{case, commands};
#[cfg(feature = "cli")]
pub use json::Json;
pub use ladder::Ladder;
pub use printable::printable;
pub use target::{server, target_finding, target_run, target_suspicion};
#[cfg(feature = "cli")]
pub use target_json::TargetJson;
pub use text::{advice, explain, finding};
pub use why::why;

#[cfg(test)]
mod tests;
