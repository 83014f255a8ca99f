//! Looking for scenarios that fail, and cutting those that do down to the fewest events.
//!
//! Random scenarios have numbers, and a [`Shard`] of the numbers is a job's or a machine's part of the work; the same goes
//! for the scenarios that [`enumerate`](crate::enumerate) lists. [`hunt`] plays them in two worlds and stops at the first
//! finding, [`reduce`] makes it small.

mod death;
mod hunt;
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
