//! Finds what is wrong with a server of which there is no description, from a trace and from the resources that the server holds.
//!
//! Each kind of finding has a file of its own with a [`Detector`](detector::Detector): its name, summary and advice, what it takes to
//! confirm it, what it does to the server, and the [`Observation`](detector::Observation) by which it is recognised. [`symptom`] has the
//! list.
//!
//! - [`outcome`] collects what the detectors find in one run;
//! - [`growth`] decides whether a resource that is left behind grows without end;
//! - [`report_line`] recognises the reports of sanitizers and runtimes;
//! - [`identity`] decides whether two findings are the same.

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
