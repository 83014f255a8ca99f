//! The result of a hunt, and the events that report its progress.

use super::baseline::{Baseline, HuntError};
use crate::detect::Finding;
use crate::scenario::Scenario;
use crate::subject::Subject;

/// The result of a hunt.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "what was found is in the report: `assert_clean` fails a test with it"]
pub struct HuntReport {
    /// The server.
    pub subject: Subject,
    /// How the server behaves with polite clients. `None` for a program, about which the model knows everything.
    pub baseline: Option<Baseline>,
    /// The number of scenarios played.
    pub played: u64,
    /// The number of servers started. 0 for a program.
    pub started: u64,
    /// The findings, in the order in which they were found, including those that did not reproduce each time. A hunt of a program ends with
    /// its first finding.
    pub findings: Vec<Finding>,
    /// The number of the random scenario that gave the finding about a program ([`Random::scenario`](crate::Random::scenario)).
    pub number: Option<u64>,
    /// Suspected failures that did not reproduce on fresh servers, or that may have another cause than the server.
    pub unconfirmed: Vec<Finding>,
    /// The number of runs whose symptoms were discarded because the harness had made a call of the server's fail with EINTR.
    pub distrusted: u64,
    /// Whether the hunt was stopped ([`HuntOptions::stop`](crate::HuntOptions::stop)).
    pub stopped: bool,
    /// Why the hunt ended early, if it could not go on. What was found until then is kept.
    pub ended: Option<HuntError>,
}

impl HuntReport {
    pub(super) fn of(subject: Subject, baseline: Option<Baseline>) -> HuntReport {
        HuntReport {
            subject,
            baseline,
            played: 0,
            started: 0,
            findings: Vec::new(),
            number: None,
            unconfirmed: Vec::new(),
            distrusted: 0,
            stopped: false,
            ended: None,
        }
    }
}

/// Progress of a hunt.
#[derive(Debug)]
#[non_exhaustive]
pub enum HuntEvent<'e> {
    /// The baseline of a command or a function has been learnt.
    Ready(&'e Baseline),
    /// The number of scenarios played so far, and the last one of them; `None` if workers play.
    Played(u64, Option<&'e Scenario>),
    /// A suspected failure was not confirmed on fresh servers.
    Unconfirmed(&'e Finding),
    /// A part of the hunt was left out, for this reason.
    Skipped(&'static str),
    /// A failure was found.
    Found(&'e Finding),
}
