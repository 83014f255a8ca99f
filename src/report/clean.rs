//! The assertion that a test makes about a hunt.

use super::target_finding;
use crate::hunt::{Severity, TargetReport};
use crate::subject::Target;

impl TargetReport {
    /// Asserts that the hunt of this target has no finding and did not end early with an error. Warnings, flaky and unconfirmed results do
    /// not count.
    ///
    /// # Panics
    ///
    /// If there is a finding, or if an error ended the hunt. The message holds each finding as `brokenpipe hunt` prints it, diagram and
    /// advice included, and the error.
    #[track_caller]
    pub fn assert_clean(&self, target: &Target) {
        let findings = self.findings.iter().filter(|finding| finding.severity() == Severity::Finding);
        let mut text: String =
            findings.map(|finding| format!("\n{}", target_finding(finding, target, &self.baseline))).collect();
        if let Some(error) = &self.ended {
            text += &format!("\nthe hunt ended after {} scenarios: {error}\n", self.played);
        }
        assert!(text.is_empty(), "{text}");
    }
}
