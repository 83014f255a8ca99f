//! Servers that nobody here wrote: any program, started in a network of its own and steered by its system calls.
//!
//! [`launch`] starts one, [`filter`] and [`notify`] bring its calls to the [`gate`], [`parked`] tells whether one could finish,
//! [`tree`] looks at its tasks, [`asleep`] at what they sleep in, [`residue`] at what it has left behind.

mod asleep;
mod attempt;
mod filter;
pub(crate) mod gate;
pub(crate) mod launch;
pub(crate) mod network;
mod notify;
mod parked;
pub(crate) mod residue;
pub(crate) mod serve;
pub(crate) mod start;
mod sys;
pub(crate) mod tables;
pub(crate) mod tree;
mod user;
pub(crate) mod world;

pub(super) use attempt::{try_exit_status, try_gate, try_namespace};
pub(crate) use sys::pidfd_open;
pub use user::enter_user_namespace;
