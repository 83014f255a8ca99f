//! Reports about runs and findings: text, the sequence diagram, the explanation, and JSON.

mod case;
mod clean;
mod command;
mod finding;
#[cfg(feature = "cli")]
mod finding_json;
#[cfg(feature = "cli")]
mod json;
mod ladder;
mod printable;
mod text;
mod why;

pub use case::{case, commands};
pub use command::{observed_run, server};
pub use finding::{finding, suspicion};
#[cfg(feature = "cli")]
pub use finding_json::FindingJson;
#[cfg(feature = "cli")]
pub use json::Json;
pub use ladder::Ladder;
pub use printable::printable;
pub use text::explain;
pub use why::why;

#[cfg(test)]
mod tests;
