//! Servers that nobody here wrote: any program, started in a network of its own and steered by its system calls.
//!
//! [`launch`] starts one, [`filter`] and [`notify`] bring its calls to the [`gate`], [`pending_call`] tells whether one could finish,
//! [`tasks`] looks at its tasks, [`blocked_call`] at the calls that they are blocked in, [`timers`] and [`signals`] at what may wake them,
//! [`peers`] at whom it has connected to. From these [`idle`] computes its [`quiescence`]; [`resources`] counts what it has left behind.
//! [`history`] keeps what each process did, and [`environment`] is what happens to a server beside what clients do.

mod attempt;
mod environment;
pub(crate) mod history;
mod idle;
mod injection;
mod not_listening;
pub(crate) mod patience;
pub(crate) mod resources;
mod sent_signals;
pub(crate) mod serve;
pub(crate) mod server;
pub(crate) mod start;
pub(crate) mod world;

pub(super) use attempt::{try_exit_status, try_gate, try_namespace};
