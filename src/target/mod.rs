//! Any server: a command, and the order of events that makes it die, hang, leak or spin.

mod activity;
mod baseline;
mod command;
mod doctor;
mod forked;
mod growth;
mod hunt;
mod identity;
mod lab;
mod mix;
mod once;
mod outcome;
mod polite;
mod protocol;
mod sanitizer;
mod scratch;
mod severity;
mod shapes;
mod shell;
mod sigpipe;
mod symptom;

pub use crate::linux::foreign::launch::Sigpipe;
pub use activity::{Activity, ActivityLog};
pub use baseline::{Baseline, TargetError};
pub use command::{Polite, Target};
pub use doctor::requirements;
pub use hunt::{CONFIRMATIONS, HuntEvent, TargetFinding, TargetHunt, TargetReport};
pub use identity::Identity;
pub use once::{TargetRun, TargetSeen};
pub use protocol::{Answer, Exchange, Progress, Protocol, parse_payload};
pub use severity::Severity;
pub use symptom::{Symptom, UnknownSymptom};
