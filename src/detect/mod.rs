//! What can be wrong with a server that nobody described: read from a trace and from what the server has, and called by name.
//!
//! Each kind of finding has a file of its own with a [`Detector`](detector::Detector): its name, summary, advice, what it takes to be sure
//! of it, what becomes of the server, and by which [`Observation`](detector::Observation) it is recognised. [`symptom`] has the list.
//!
//! - [`outcome`] collects what the detectors see in one run;
//! - [`growth`] says whether what is left behind comes to an end;
//! - [`report_line`] knows the reports of sanitizers and runtimes;
//! - [`identity`] says when two findings are one.

mod close_wait_leak;
mod collateral;
mod crash;
mod ends;
mod exit;
mod fd_leak;
mod memory_growth;
mod not_listening;
mod process_leak;
mod sanitizer_report;
mod sigpipe;
mod spin;
mod thread_leak;
mod throttling;
mod unresponsive;
mod withheld_fin;
mod zombie;

pub(crate) mod detector;
pub(crate) mod growth;
pub(crate) mod identity;
pub(crate) mod outcome;
mod report_line;
pub(crate) mod symptom;

pub use identity::Identity;
pub use symptom::{Symptom, UnknownSymptom};
