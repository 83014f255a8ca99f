//! What can be wrong with a server that nobody described: read from a trace and from what the server has, and called by name.
//!
//! - [`symptom`] lists the kinds of finding, each with its summary and advice;
//! - [`outcome`] reads them from one run of a scenario, [`sanitizer`] from what the server has written;
//! - [`growth`] says whether what is left behind comes to an end;
//! - [`identity`] says when two findings are one.

pub(crate) mod growth;
pub(crate) mod identity;
pub(crate) mod outcome;
pub(crate) mod sanitizer;
pub(crate) mod symptom;

pub use identity::Identity;
pub use symptom::{Symptom, UnknownSymptom};
