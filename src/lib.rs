//! brokenpipe
#![deny(unsafe_code)]

mod case;
mod model;
mod play;
pub mod report;
mod scenario;
mod server;
mod trace;
mod verdict;

pub use case::{Case, CaseError, Expect, Mismatch};
pub use model::Model;
pub use play::{Ending, Stepped, World, play};
#[cfg(feature = "proptest")]
pub use scenario::strategy;
pub use scenario::{
    Action, BadName, Call, Client, Enumerate, Errno, Event, Fault, MAX_CLIENTS, MAX_SEND, ParseError, Payload,
    Scenario, TooManyClients, UnknownErrno, enumerate,
};
pub use server::{MAX_OPS, Op, PRESETS, Policy, Program, ProgramError, Setup};
pub use trace::{At, Called, End, Hygiene, Outcome, Reason, Reply, Signal, Step, Survivor, TcpState, Trace, WINDOW};
pub use verdict::{Difference, Finding, Kind, What, compare, compare_policies, compare_runs, judge};
