//! What people and programs read of a run: text, a picture, the reasons in plain words, and JSON.

#[cfg(feature = "cli")]
mod json;
mod ladder;
mod text;
mod why;

#[cfg(feature = "cli")]
pub use json::Json;
pub use ladder::Ladder;
pub use text::{advice, explain, finding};
pub use why::why;

#[cfg(test)]
mod tests;
