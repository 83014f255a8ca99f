//! brokenpipe
#![deny(unsafe_code)]

mod kernel;
mod model;
mod play;
mod scenario;
mod search;
mod server;
mod trace;

pub use kernel::{Kernel, KernelError};
pub use model::Model;
pub use play::{Ending, Stepped, World, play};
#[cfg(feature = "proptest")]
pub use scenario::strategy;
pub use scenario::{
    Action, BadName, Call, Client, Enumerate, Errno, Event, Fault, MAX_CLIENTS, MAX_SEND, ParseError, Payload,
    Scenario, TooManyClients, UnknownErrno, enumerate,
};
pub use search::{BadShard, Death, Found, Hunted, Random, Shape, Shard, hunt, minimise, minimise_death};
pub use server::{MAX_OPS, Op, PRESETS, Policy, Program, ProgramError, Setup};
pub use trace::{At, Called, End, Hygiene, Outcome, Reason, Reply, Signal, Step, Survivor, TcpState, Trace, WINDOW};
