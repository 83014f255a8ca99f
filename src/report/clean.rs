//! The text of a whole hunt, and the assertion that a test makes about it.

use super::{finding, server, suspicion};
use crate::detect::Severity;
use crate::hunt::HuntReport;
use crate::subject::Subject;
use std::fmt;

/// The description of the server, the results as `brokenpipe hunt` prints them, and the error that ended the hunt early, if one did.
impl fmt::Display for HuntReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Subject::Command(target), Some(baseline)) = (&self.subject, &self.baseline) {
            writeln!(f, "{}", server(target, baseline))?;
        }
        for found in &self.findings {
            writeln!(f, "{}", finding(found))?;
        }
        self.unconfirmed.iter().try_for_each(|finding| f.write_str(&suspicion(finding)))?;
        match &self.ended {
            Some(error) => writeln!(f, "the hunt ended after {} scenarios: {error}", self.played),
            None => writeln!(f, "scenarios played: {}", self.played),
        }
    }
}

impl HuntReport {
    /// Asserts that the hunt has no finding and was not ended by an error. Warnings, flaky and unconfirmed results do not count.
    ///
    /// # Panics
    ///
    /// If there is a finding, or if an error ended the hunt. The message is the report's `Display`, with the diagram and the advice of each
    /// finding.
    #[track_caller]
    pub fn assert_clean(&self) {
        let found = self.findings.iter().any(|finding| finding.severity() == Severity::Finding);
        assert!(!found && self.ended.is_none(), "\n{self}");
    }
}
