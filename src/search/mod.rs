//! The search for scenarios that fail, and their minimisation.
//!
//! Random scenarios are numbered, and a [`Shard`] of the numbers is the part of one job or machine. The same holds for the
//! scenarios that [`enumerate`](crate::enumerate) lists. [`hunt()`] plays scenarios in two worlds and stops at the first finding;
//! [`reduce()`] minimises that finding.

mod death;
mod hunt;
pub(crate) mod jobs;
mod minimise;
mod mutate;
mod random;
mod reduce;
mod shard;
mod shortest;

pub use death::Death;
pub use hunt::{Found, Hunted, hunt};
pub use minimise::{minimise, minimise_death};
pub use mutate::Mutator;
pub(crate) use mutate::shuffled;
pub use random::{Random, Shape};
pub use reduce::reduce;
pub use shard::{BadShard, Shard};

#[cfg(test)]
mod tests;
