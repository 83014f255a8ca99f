//! Finds what is wrong with a server: with a program from its traces, with any other server also from the resources that it holds.
//!
//! Each kind of finding about a command or a function has a file of its own with a [`Detector`](detector::Detector): its name, summary and
//! advice, what it takes to confirm it, what it does to the server, and the [`Observation`](detector::Observation) by which it is
//! recognised. [`kind`] has the list.
//!
//! - [`finding`] is what is found, [`signature`] decides whether two findings are the same, [`severity`] how much one counts;
//! - [`judge`](mod@judge) judges the run of a program, and [`program`] has the kinds that it finds;
//! - [`outcome`] collects what the detectors find in one run;
//! - [`growth`] decides whether a resource that is left behind grows without end;
//! - [`report_line`] recognises the reports of sanitizers and runtimes.

mod close_wait_leak;
mod collateral;
mod crash;
mod ends;
mod exit;
mod fd_leak;
pub(crate) mod late_reaping;
mod memory_growth;
mod not_listening;
mod process_leak;
mod program;
mod request_reset;
mod sanitizer_report;
pub(crate) mod shut_out;
mod sigpipe;
mod slot_leak;
mod spin;
mod spin_while_short;
mod thread_leak;
mod throttling;
mod unresponsive;
mod withheld_fin;
mod zombie;

pub(crate) mod detector;
mod finding;
pub(crate) mod growth;
mod judge;
pub(crate) mod kind;
pub(crate) mod outcome;
mod report_line;
mod severity;
pub(crate) mod signature;

pub use finding::{CONFIRMATIONS, Compared, Finding, Gate};
pub use judge::judge;
pub use kind::{Kind, UnknownKind};
pub use outcome::Seen;
pub use severity::Severity;
pub use signature::Signature;
