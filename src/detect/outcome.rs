//! The outcome of a run, with the symptoms that it showed.

use super::detector::{Left, Observation};
use super::kind::Kind;
use super::report_line::{self, Report, Reporter};
use super::signature::Signature;
use crate::linux::KernelError;
use crate::linux::foreign::resources::Counts;
use crate::linux::foreign::world::{Ended, Foreign, Spin};
use crate::scenario::{Fault, Scenario};
use crate::trace::Trace;
use std::time::Duration;

/// A failure that one run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The kind of failure, and where it showed.
    pub signature: Signature,
    /// What was seen, in words.
    pub evidence: String,
}

/// The outcome of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) trace: Trace,
    pub(crate) seen: Vec<Seen>,
    /// The injected errors that were returned to the server's calls.
    pub(crate) injected: Vec<Fault>,
    /// The scenarios that the server had been through before.
    pub(crate) before: Vec<Scenario>,
    /// The end of the server's output.
    pub(crate) output: String,
    /// How long the polite client that is connected throughout had been connected when it was asked.
    pub(crate) idle: Duration,
    /// Whether the server has fewer threads or processes than before. By itself that is no fault: a pool may shrink.
    pub(crate) has_fewer_tasks: bool,
    /// Another possible cause than a fault of the server, if it cannot be ruled out.
    pub(crate) doubt: Option<String>,
}

/// The symptoms that the detectors find in an observation, the worst first.
pub(crate) fn seen<'o>(observation: &'o Observation<'o>) -> impl Iterator<Item = Seen> + 'o {
    Kind::ALL.into_iter().filter_map(move |kind| {
        let sighting = kind.detector().see(observation)?;
        Some(Seen { signature: sighting.place.signature(kind), evidence: sighting.evidence })
    })
}

impl Left {
    /// What the server of this world has now. `before` is what it had before the run.
    pub(crate) fn of(world: &mut Foreign, before: Counts) -> Result<Left, KernelError> {
        world.settle()?;
        Ok(Left { before, now: world.server.counts(), close_wait: world.close_waits()? })
    }

    /// The symptoms that this would be reported as.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        seen(&Observation::Left(self)).map(|seen| seen.signature.kind).collect()
    }
}

impl Outcome {
    /// Adds the symptoms that the detectors find in an observation.
    pub(crate) fn observe(&mut self, observation: &Observation<'_>) {
        self.seen.extend(seen(observation));
    }

    pub(crate) fn sorted(mut self) -> Outcome {
        self.seen.sort_by_key(|seen| seen.signature.kind);
        self
    }

    /// Records processes that have ended. `when` says when, if the trace does not show it.
    pub(crate) fn ends(&mut self, ends: &[Ended], when: &str) {
        for ended in ends {
            self.observe(&Observation::Ended { ended, when });
        }
    }

    /// Records a busy loop. If `measured`, the server must have been measured and must not have blocked meanwhile; otherwise only a doubt
    /// is recorded. `lifted` says whether a limit on the server's resources was lifted before.
    pub(crate) fn spins(&mut self, spin: &Spin, measured: bool, lifted: bool) {
        if measured && spin.measured.is_none_or(|circle| circle.rested) {
            self.doubt = Some("it comes to rest by itself".to_owned());
            return;
        }
        self.observe(&Observation::Spins { spin, lifted });
    }

    /// Records a busy loop while descriptors are limited, unless the server was `measured` and came to rest.
    pub(crate) fn spins_while_short(&mut self, spin: &Spin, measured: bool) {
        if !measured || spin.measured.is_some_and(|circle| !circle.rested) {
            self.observe(&Observation::SpinsWhileShort(spin));
        }
    }

    /// Records the report of a sanitizer or a runtime, if there is one in this run's output. If a process ended in the way in which the
    /// reporter ends a process, the end is a crash. If a sanitizer let the process go on, the report is a finding of its own kind. Anything
    /// else that looks like a report was only logged.
    pub(crate) fn reported(&mut self, output: &str, ends: &[Ended]) {
        let Some(Report { line, reporter }) = report_line::report(output) else { return };
        let is_end = |seen: &&mut Seen| matches!(seen.signature.kind, Kind::Exit | Kind::Crash);
        if let Some(seen) = self.seen.iter_mut().find(is_end) {
            let by_it = |ended: &Ended| match (reporter, ended.death.code()) {
                (Reporter::Runtime, code) => code.is_some_and(|code| code != 0),
                (_, code) => code.is_some_and(|code| reporter.ends_with(code)),
            };
            if ends.iter().any(by_it) {
                seen.signature.kind = Kind::Crash;
            }
            seen.evidence += &format!("; it wrote: {line}");
            return;
        }
        let child = ends.iter().find(|ended| ended.death.code().is_some_and(|code| reporter.ends_with(code)));
        match (child, reporter) {
            (Some(ended), _) => self.observe(&Observation::EndedByReporter { ended, line }),
            (None, Reporter::Sanitizer { .. }) => self.observe(&Observation::Reported(line)),
            (None, Reporter::Runtime) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::process::tasks::Death;
    use crate::trace::Role;

    /// A process that was killed by this signal, or exited with 1.
    fn ended(role: Role, signal: Option<i32>) -> Ended {
        let death = Death { pid: 7, inner: 7, status: Some(signal.unwrap_or(1 << 8)), sent: false };
        Ended { death, role, after: None }
    }

    fn kinds(ends: &[Ended]) -> Vec<Kind> {
        let mut outcome = Outcome::default();
        outcome.ends(ends, "");
        outcome.seen.iter().map(|seen| seen.signature.kind).collect()
    }

    #[test]
    fn the_main_process_may_not_exit_nor_a_worker_fail_and_none_may_be_killed() {
        use Role::{Connection, Main, Worker};
        let done = Ended { death: Death { status: Some(0), ..ended(Worker, None).death }, ..ended(Worker, None) };
        let ends = [
            ended(Main, None),
            ended(Worker, None),
            done,
            ended(Connection, None),
            ended(Connection, Some(libc::SIGPIPE)),
            ended(Worker, Some(11)),
        ];
        assert_eq!(kinds(&ends), [Kind::Exit, Kind::Exit, Kind::Sigpipe, Kind::Crash]);
    }

    #[test]
    fn of_an_end_that_nobody_has_seen_no_more_is_said_than_that_it_was() {
        let unseen = |role| {
            let ended = ended(role, None);
            Ended { death: Death { status: None, ..ended.death }, ..ended }
        };
        let mut outcome = Outcome::default();
        outcome.ends(&[unseen(Role::Main), unseen(Role::Worker), unseen(Role::Connection)], "");
        let said: Vec<_> = outcome.seen.iter().map(|seen| (seen.signature.kind, seen.evidence.as_str())).collect();
        assert_eq!(said, [(Kind::Exit, "the server ended, nobody knows how")]);
    }

    #[test]
    fn a_signal_that_the_server_sent_on_purpose_is_no_crash() {
        let own = |role| {
            let ended = ended(role, Some(libc::SIGTERM));
            Ended { death: Death { sent: true, ..ended.death }, ..ended }
        };
        assert_eq!(kinds(&[own(Role::Worker)]), []);
        assert_eq!(kinds(&[own(Role::Main)]), [Kind::Exit]);
    }

    const ASAN: &str = "==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602\n";

    /// The symptoms of a run in which a process ended with this exit code and the server wrote this.
    fn reported(code: i32, role: Role, output: &str) -> Vec<Kind> {
        let death = Death { pid: 1, inner: 1, status: Some(code << 8), sent: false };
        let ends = [Ended { death, role, after: None }];
        let mut outcome = Outcome::default();
        outcome.ends(&ends, "");
        outcome.reported(output, &ends);
        outcome.seen.iter().map(|seen| seen.signature.kind).collect()
    }

    #[test]
    fn a_report_is_a_crash_if_its_reporter_ended_the_process() {
        assert_eq!(reported(1, Role::Main, ASAN), [Kind::Crash]);
        assert_eq!(reported(1, Role::Worker, ASAN), [Kind::Crash]);
        assert_eq!(reported(2, Role::Main, "panic: x\n\ngoroutine 1 [running]:\n"), [Kind::Crash]);
    }

    #[test]
    fn a_report_of_a_process_that_went_on_is_of_its_own_kind_and_what_was_only_logged_is_nothing() {
        assert_eq!(reported(0, Role::Worker, ASAN), [Kind::SanitizerReport]);
        assert_eq!(reported(0, Role::Main, ASAN), [Kind::Exit]);
        assert_eq!(reported(0, Role::Worker, "free(): invalid pointer\n"), []);
        assert_eq!(reported(1, Role::Connection, "pool_free(): ok\nentry aborted: runtime error: x\n"), []);
    }
}
