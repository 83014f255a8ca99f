//! Hunts: finds the scenarios that make a server die, hang, leak or run a busy loop. The server is a program, a command or a function.

mod activity;
mod baseline;
mod bodies;
mod function;
mod health_check;
mod how;
mod lab;
mod mixer;
mod once;
mod plan;
mod program;
mod report;
mod requirements;
mod scratch;
mod seeds;
mod session;
mod shell;
mod subject;

pub use activity::{Activity, ActivityLog};
pub use baseline::{Baseline, HuntError, Replies, ShutOut, Silent, Timeout};
pub use how::HuntOptions;
pub use once::ObservedRun;
pub(crate) use program::Playing;
pub use report::{HuntEvent, HuntReport};
pub use requirements::requirements;
pub use subject::Hunt;
