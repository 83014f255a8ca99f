//! The severity of findings. It is decided here and nowhere else.

use super::finding::Finding;
use super::kind::Kind;
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

impl Finding {
    /// The severity of the finding.
    pub fn severity(&self) -> Severity {
        match self.confirmed {
            0 => Severity::Unconfirmed,
            _ if self.doubt.is_some() => Severity::Unconfirmed,
            _ if !self.is_confirmed() => Severity::Flaky,
            _ if self.is_injected() || self.harms_its_own_connection_only() || self.kind().is_harmless_so_far() => {
                Severity::Warning
            }
            _ => Severity::Finding,
        }
    }

    /// Whether only the connection that caused the failure is lost. If anything else is harmed, that is a finding of its own.
    fn harms_its_own_connection_only(&self) -> bool {
        match self.kind() {
            Kind::RequestReset => true,
            Kind::Sigpipe => self.signature.role == Role::Connection,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::{CONFIRMATIONS, Gate};
    use crate::detect::judge;
    use crate::detect::signature::Signature;
    use crate::model::Model;
    use crate::scenario::{Call, Errno, Fault};
    use crate::subject::{Setup, Subject, Target};
    use crate::trace::Trace;
    use crate::world::{certain, play};

    fn unconfirmed(signature: Signature) -> Finding {
        let subject = Subject::Command(Target::command(["./server"]));
        Finding::of(subject, signature, &"a connect".parse().unwrap(), Gate::On)
    }

    fn severity(kind: Kind, role: Role, injected: bool, confirmed: u32) -> Severity {
        let finding = unconfirmed(Signature { role, ..Signature::of(kind) });
        let injected = Fault::new(Call::Accept, Errno::EMFILE).into_iter().filter(|_| injected).collect();
        Finding { injected, confirmed, ..finding }.severity()
    }

    #[test]
    fn what_needs_an_injected_error_or_harms_its_own_connection_only_is_a_warning() {
        use Role::{Connection, Main, Worker};
        let real = |kind, role| severity(kind, role, false, CONFIRMATIONS);
        assert_eq!(real(Kind::Exit, Main), Severity::Finding);
        assert_eq!(severity(Kind::Exit, Main, true, CONFIRMATIONS), Severity::Warning);
        assert_eq!([Main, Worker].map(|role| real(Kind::Sigpipe, role)), [Severity::Finding; 2]);
        assert_eq!(real(Kind::Sigpipe, Connection), Severity::Warning);
        assert_eq!(real(Kind::Crash, Connection), Severity::Finding);
        assert_eq!(real(Kind::RequestReset, Main), Severity::Warning);
        assert_eq!(real(Kind::MemoryGrowth, Main), Severity::Warning);
        assert_eq!(real(Kind::SanitizerReport, Main), Severity::Warning);
    }

    #[test]
    fn what_does_not_reproduce_each_time_is_neither() {
        for injected in [false, true] {
            assert_eq!(severity(Kind::Exit, Role::Main, injected, CONFIRMATIONS - 1), Severity::Flaky);
            assert_eq!(severity(Kind::Exit, Role::Main, injected, 0), Severity::Unconfirmed);
        }
    }

    #[test]
    fn what_may_have_another_cause_is_not_confirmed() {
        let finding = unconfirmed(Signature::of(Kind::FdLeak));
        let doubted = Finding { confirmed: CONFIRMATIONS, doubt: Some("a backend".to_owned()), ..finding };
        assert_eq!(doubted.severity(), Severity::Unconfirmed);
        assert!(!doubted.is_confirmed());
    }

    #[test]
    fn one_run_of_a_program_is_enough() {
        let (setup, mut trace) = (Setup::default(), Trace::default());
        let death = "hold; a connect; a fin; a rst; go".parse().unwrap();
        certain(play(&mut Model::default(), &setup, &death, &mut trace));
        let finding = judge(&death, &setup, &trace, &trace).unwrap();
        assert_eq!((finding.severity(), finding.confirmed), (Severity::Finding, 1));
    }
}
