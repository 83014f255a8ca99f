//! The clock of a server, the calls that its tasks are blocked in, and the deadlines of calls and timers.
//!
//! While a server is idle and no client acts, nothing happens until its next deadline, so its clock can be put forward to it: *virtual
//! time*. [`vdso`] and [`readings`] make the server's processes read that clock; [`exec`] does so for each program that one of them
//! executes. When the clock jumps, [`sleeper`] ends the calls of tasks that do not wait at the gate, [`timers`] keeps the timers that raise
//! signals, and [`descriptors`] those that are descriptors. The gate answers all other calls whose time is up.

pub(crate) mod blocked_call;
pub(crate) mod descriptors;
pub(crate) mod exec;
pub(crate) mod readings;
pub(crate) mod real_time;
pub(crate) mod server_clock;
pub(crate) mod sleeper;
pub(crate) mod timers;
pub(crate) mod vdso;
pub(crate) mod virtual_time;
