//! Servers that are other projects' programs: any command, started in a network namespace of its own and controlled by its system calls.
//!
//! [`launch`](crate::linux::process::guardian::launch) starts a server.
//! [`filter`](crate::linux::gate::seccomp::filter) and [`notify`](crate::linux::gate::seccomp::notify) bring its calls to the
//! [`gate`](crate::linux::gate). [`pending_call`](crate::linux::gate::seccomp::pending_call) finds out whether a call could finish.
//! [`tasks`](crate::linux::process::tasks) reads the states of its tasks,
//! [`blocked_call`](crate::linux::clock::blocked_call) the calls in which they are blocked,
//! [`timers`](crate::linux::clock::timers) and [`signals`](crate::linux::sys::signals) what may wake them, and
//! [`peers`](crate::linux::net::peers) the connections that the server has opened itself. From these [`idle`] computes the
//! [`quiescence`](crate::world::quiescence) of the server. [`resources`] counts what a run has left behind. [`history`] records what
//! each process did. [`environment`] limits the server's descriptors and sends it signals.

mod attempt;
pub(crate) mod descriptors;
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

pub(super) use attempt::{try_exit_status, try_gate, try_namespace, try_virtual_time};
