//! What a test asserts of a hunt.

use super::target_finding;
use crate::hunt::{Severity, Target, TargetReport};

impl TargetReport {
    /// Checks that the hunt of this target found nothing, and did not end because it could not go on. Warnings and flaky or unconfirmed results
    /// do not count.
    ///
    /// # Panics
    ///
    /// Otherwise, with each finding as `brokenpipe hunt` prints it, diagram and advice included, and with the reason why the hunt ended early.
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
