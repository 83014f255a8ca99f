//! Any server: a command, and the order of events that makes it die, hang, leak or spin.

mod activity;
mod baseline;
mod command;
mod doctor;
mod forked;
mod lab;
mod mix;
mod once;
mod polite;
mod scratch;
mod session;
mod severity;
mod shapes;
mod shell;
mod sigpipe;

pub use crate::linux::foreign::launch::Sigpipe;
pub use activity::{Activity, ActivityLog};
pub use baseline::{Baseline, TargetError};
pub use command::{Polite, Target};
pub use doctor::requirements;
pub use once::{TargetRun, TargetSeen};
pub use session::{CONFIRMATIONS, HuntEvent, TargetFinding, TargetHunt, TargetReport};
pub use severity::Severity;
