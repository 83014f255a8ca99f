//! Servers that nobody here wrote: any program, started in a network of its own and steered by its system calls.
//!
//! [`launch`] starts one, [`filter`] and [`notify`] bring its calls to the [`gate`], [`pending_call`] tells whether one could finish,
//! [`tasks`] looks at its tasks, [`blocked_call`] at the calls that they are blocked in, [`timers`] and [`signals`] at what may wake them,
//! [`peers`] at whom it has connected to. From these [`idle`] computes its [`quiescence`]; [`resources`] counts what it has left behind.
//! [`history`] keeps what each process did, and [`environment`] is what happens to a server beside what clients do.

mod attempt;
mod blocked_call;
mod environment;
mod filter;
pub(crate) mod gate;
pub(crate) mod history;
mod idle;
pub(crate) mod launch;
pub(crate) mod network;
mod notify;
pub(crate) mod patience;
mod peers;
mod pending_call;
pub(crate) mod quiescence;
pub(crate) mod resources;
pub(crate) mod serve;
mod signals;
pub(crate) mod start;
mod sys;
pub(crate) mod tables;
pub(crate) mod tasks;
mod timers;
mod user;
pub(crate) mod world;

pub(super) use attempt::{try_exit_status, try_gate, try_namespace};
#[cfg(test)]
pub(super) use blocked_call::tests::wait_for_sleep;
pub(crate) use sys::pidfd_open;
pub use user::enter_user_namespace;
