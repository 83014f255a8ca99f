//! The severity of findings. It is decided here and nowhere else.

use super::session::TargetFinding;
use crate::detect::symptom::Symptom;
use crate::trace::Role;
use std::fmt;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The failure reproduces each time, by what clients, signals, time and real resource limits do.
    Finding,
    /// The failure reproduces each time, but needs an injected error that this kernel would not return there, harms only the connection
    /// that caused it, or has harmed nothing so far: a trend, or a sanitizer's report from a process that went on.
    Warning,
    /// The failure reproduces, but not each time.
    Flaky,
    /// The failure did not reproduce on a fresh server, or may have another cause than the server.
    Unconfirmed,
}

impl Severity {
    /// The name in reports and in the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Finding => "finding",
            Severity::Warning => "warning",
            Severity::Flaky => "flaky",
            Severity::Unconfirmed => "unconfirmed",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TargetFinding {
    /// The severity of the finding.
    pub fn severity(&self) -> Severity {
        match self.confirmed {
            0 => Severity::Unconfirmed,
            _ if self.doubt.is_some() => Severity::Unconfirmed,
            _ if !self.is_confirmed() => Severity::Flaky,
            _ if self.is_injected()
                || self.harms_its_own_connection_only()
                || self.identity.symptom.is_harmless_so_far() =>
            {
                Severity::Warning
            }
            _ => Severity::Finding,
        }
    }

    /// Whether the finding needs an injected error.
    pub fn is_injected(&self) -> bool {
        !self.injected.is_empty()
    }

    /// Whether only the connection that caused the failure is lost. If anything else is harmed, that is a finding of its own.
    fn harms_its_own_connection_only(&self) -> bool {
        self.identity.symptom == Symptom::Sigpipe && self.identity.role == Role::Connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::identity::Identity;
    use crate::hunt::CONFIRMATIONS;
    use crate::scenario::{Call, Errno, Fault};

    fn severity(symptom: Symptom, role: Role, injected: bool, confirmed: u32) -> Severity {
        let scenario = "a connect".parse().unwrap();
        let finding = TargetFinding::of(Identity { role, ..Identity::of(symptom) }, &scenario, true);
        let injected = Fault::new(Call::Accept, Errno::EMFILE).into_iter().filter(|_| injected).collect();
        TargetFinding { injected, confirmed, ..finding }.severity()
    }

    #[test]
    fn what_needs_an_injected_error_or_harms_its_own_connection_only_is_a_warning() {
        use Role::{Connection, Main, Worker};
        let real = |symptom, role| severity(symptom, role, false, CONFIRMATIONS);
        assert_eq!(real(Symptom::Exit, Main), Severity::Finding);
        assert_eq!(severity(Symptom::Exit, Main, true, CONFIRMATIONS), Severity::Warning);
        assert_eq!([Main, Worker].map(|role| real(Symptom::Sigpipe, role)), [Severity::Finding; 2]);
        assert_eq!(real(Symptom::Sigpipe, Connection), Severity::Warning);
        assert_eq!(real(Symptom::Crash, Connection), Severity::Finding);
        assert_eq!(real(Symptom::MemoryGrowth, Main), Severity::Warning);
        assert_eq!(real(Symptom::SanitizerReport, Main), Severity::Warning);
    }

    #[test]
    fn what_does_not_reproduce_each_time_is_neither() {
        for injected in [false, true] {
            assert_eq!(severity(Symptom::Exit, Role::Main, injected, CONFIRMATIONS - 1), Severity::Flaky);
            assert_eq!(severity(Symptom::Exit, Role::Main, injected, 0), Severity::Unconfirmed);
        }
    }

    #[test]
    fn what_may_have_another_cause_is_not_confirmed() {
        let finding = TargetFinding::of(Identity::of(Symptom::FdLeak), &"a connect".parse().unwrap(), true);
        let doubted = TargetFinding { confirmed: CONFIRMATIONS, doubt: Some("a backend".to_owned()), ..finding };
        assert_eq!(doubted.severity(), Severity::Unconfirmed);
        assert!(!doubted.is_confirmed());
    }
}
