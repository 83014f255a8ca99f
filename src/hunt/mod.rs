//! Hunts: finds the scenarios that make a server crash, hang, leak or run a busy loop. The server is any command.

mod activity;
mod baseline;
mod function;
mod health_check;
mod how;
mod lab;
mod mixer;
mod once;
mod plan;
mod requirements;
mod scratch;
mod seeds;
mod session;
mod shell;

pub use activity::{Activity, ActivityLog};
pub use baseline::{Baseline, HuntError};
pub use how::HuntOptions;
pub use once::ObservedRun;
pub use requirements::requirements;
pub use session::{HuntEvent, HuntReport};
