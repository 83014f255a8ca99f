//! What a run came to: what of it should not be.

use super::identity::Identity;
use super::sanitizer::{self, Report, Reporter};
use super::symptom::Symptom;
use crate::linux::KernelError;
use crate::linux::foreign::history::Last;
use crate::linux::foreign::resources::Counts;
use crate::linux::foreign::start::how;
use crate::linux::foreign::world::{Circle, Ended, Foreign, Spin};
use crate::scenario::Fault;
use crate::trace::{Role, Trace};
use std::time::Duration;

/// Something that a scenario brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) identity: Identity,
    /// What was seen, in words.
    pub(crate) evidence: String,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) trace: Trace,
    pub(crate) seen: Vec<Seen>,
    /// The injected errors that calls of the server's were answered with.
    pub(crate) injected: Vec<Fault>,
    /// The end of what the server wrote.
    pub(crate) output: String,
    /// How long the polite client was connected throughout, until it was asked.
    pub(crate) idle: Duration,
    /// By what else than a fault of the server's it may have come, where that cannot be told.
    pub(crate) doubt: Option<String>,
}

/// What a server still has when all clients have gone.
pub(crate) struct Left {
    before: Counts,
    pub(crate) now: Counts,
    close_wait: usize,
}

impl Left {
    pub(crate) fn of(world: &mut Foreign, before: Counts) -> Result<Left, KernelError> {
        world.settle()?;
        Ok(Left { before, now: world.server.counts(), close_wait: world.close_waits()? })
    }

    /// What it would be called.
    pub(crate) fn symptoms(&self) -> impl Iterator<Item = Symptom> {
        let Left { before, now, close_wait } = self;
        let all = [
            (now.zombies > before.zombies, Symptom::Zombie),
            (now.processes > before.processes, Symptom::ProcessLeak),
            (now.threads > before.threads, Symptom::ThreadLeak),
            (*close_wait > 0, Symptom::CloseWaitLeak),
            (now.descriptors > before.descriptors, Symptom::FdLeak),
        ];
        all.into_iter().filter(|(left, _)| *left).map(|(_, symptom)| symptom)
    }
}

impl Outcome {
    pub(crate) fn add(&mut self, identity: Identity, evidence: String) {
        self.seen.push(Seen { identity, evidence });
    }

    pub(crate) fn sorted(mut self) -> Outcome {
        self.seen.sort_by_key(|seen| seen.identity.symptom);
        self
    }

    /// Processes that ended as none should, and when that was if the trace does not have it.
    pub(crate) fn ends(&mut self, ends: &[Ended], when: &str) {
        for Ended { death, role, after } in ends {
            let symptom = match death.signal() {
                // A server that ends its own processes means to.
                Some(_) if death.sent => None,
                Some(libc::SIGPIPE) => Some(Symptom::Sigpipe),
                Some(_) => Some(Symptom::Crash),
                None => None,
            };
            let Some(symptom) = symptom.or(role.is_main().then_some(Symptom::Exit)) else { continue };
            let who = process(*role);
            let was = if death.signal().is_some() { "was " } else { "" };
            let after = after.as_ref();
            let evidence =
                format!("{who} {was}{}{}{when}", how(&death.status), after.map(in_or_after).unwrap_or_default());
            let (call, state) = (after.map(|last| last.name), after.and_then(|last| last.state));
            self.add(Identity { symptom, role: *role, call, state }, evidence);
        }
    }

    /// A busy loop. If it was `measured` what the server did meanwhile, it must not have been blocked in that time. Whether a limit on its
    /// resources was `lifted` before.
    pub(crate) fn spins(&mut self, spin: &Spin, measured: bool, lifted: bool) {
        if measured && spin.measured.is_none_or(|circle| circle.rested) {
            self.doubt = Some("it comes to rest by itself".to_owned());
            return;
        }
        let mut evidence = match spin.call {
            Some((call, Some(fd))) => format!("{call} on descriptor {fd}, again and again"),
            Some((call, None)) => format!("{call}, again and again"),
            None => format!("task {} does not come to rest", spin.task),
        };
        if let Some(Circle { calls, processor, .. }) = spin.measured {
            let time = processor.as_millis();
            evidence += &format!(
                "; while nobody asked anything of it: {calls} calls, {time} ms of processor time, and it never blocked"
            );
        }
        if lifted {
            evidence += "; the limit had been lifted";
        }
        let (call, state) = (spin.known_by.map(|last| last.name), spin.known_by.and_then(|last| last.state));
        self.add(Identity { call, state, ..Identity::of(Symptom::Spin) }, evidence);
    }

    /// What a sanitizer or a runtime reported in this run makes an end a crash, if it is the reporter's own way to end a process. Of a
    /// sanitizer that let the process go on it is a finding of its own kind; anything else that looks so was only logged.
    pub(crate) fn reported(&mut self, output: &str, ends: &[Ended]) {
        let Some(Report { line, reporter }) = sanitizer::report(output) else { return };
        let is_end = |seen: &&mut Seen| matches!(seen.identity.symptom, Symptom::Exit | Symptom::Crash);
        if let Some(seen) = self.seen.iter_mut().find(is_end) {
            let by_it = |ended: &Ended| match (reporter, ended.death.code()) {
                (Reporter::Runtime, code) => code.is_some_and(|code| code != 0),
                (_, code) => code.is_some_and(|code| reporter.ends_with(code)),
            };
            if ends.iter().any(by_it) {
                seen.identity.symptom = Symptom::Crash;
            }
            seen.evidence += &format!("; it wrote: {line}");
            return;
        }
        let child = ends.iter().find(|ended| ended.death.code().is_some_and(|code| reporter.ends_with(code)));
        match (child, reporter) {
            (Some(Ended { death, role, .. }), _) => {
                let evidence = format!("{} {}; it wrote: {line}", process(*role), how(&death.status));
                self.add(Identity { role: *role, ..Identity::of(Symptom::Crash) }, evidence);
            }
            (None, Reporter::Sanitizer { .. }) => {
                self.add(Identity::of(Symptom::SanitizerReport), format!("no process ended; it wrote: {line}"));
            }
            (None, Reporter::Runtime) => {}
        }
    }

    /// What was left. One thing that is left holds others: a process its descriptors, a descriptor its socket. Only the first is told.
    pub(crate) fn left(&mut self, left: &Left) {
        let Left { before, now, close_wait } = left;
        let grown = |what: &str, before: usize, now: usize| format!("{what}: {before} before, {now} afterwards");
        let sockets = if *close_wait > 0 { format!("; sockets in CLOSE_WAIT: {close_wait}") } else { String::new() };
        let mut add = |symptom, evidence| self.add(Identity::of(symptom), evidence);
        if now.zombies > before.zombies {
            add(Symptom::Zombie, grown("processes that ended and are not reaped", before.zombies, now.zombies));
        }
        if now.processes > before.processes {
            add(Symptom::ProcessLeak, grown("processes", before.processes, now.processes) + &sockets);
        } else if now.threads > before.threads {
            add(Symptom::ThreadLeak, grown("threads", before.threads, now.threads) + &sockets);
        } else if *close_wait > 0 {
            let evidence = format!("all clients have gone, and {close_wait} of the server's sockets are in CLOSE_WAIT");
            add(Symptom::CloseWaitLeak, evidence);
        } else if now.descriptors > before.descriptors {
            add(Symptom::FdLeak, grown("descriptors", before.descriptors, now.descriptors));
        }
    }
}

/// A process of this role, in words.
const fn process(role: Role) -> &'static str {
    match role {
        Role::Main => "the server",
        Role::Worker => "a worker process of the server",
        Role::Connection => "a child process that served one connection",
    }
}

/// The last call of a process that has ended, for after what became of it.
fn in_or_after(Last { name, client, error, .. }: &Last) -> String {
    let whose = match client {
        Some(client) if client.is_own() => " of a polite client".to_owned(),
        Some(client) => format!(" {client}"),
        None => String::new(),
    };
    let failed = error.map(|errno| format!(", which failed with {errno}")).unwrap_or_default();
    format!(", in or after {name}{whose}{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::foreign::tasks::Death;
    use crate::scenario::{Client, Errno};
    use crate::trace::TcpState;

    /// A process that was killed by this signal, or exited with 1.
    fn ended(role: Role, signal: Option<i32>) -> Ended {
        let death = Death { pid: 7, inner: 7, status: Some(signal.unwrap_or(1 << 8)), sent: false };
        Ended { death, role, after: None }
    }

    fn symptoms(ends: &[Ended]) -> Vec<Symptom> {
        let mut outcome = Outcome::default();
        outcome.ends(ends, "");
        outcome.seen.iter().map(|seen| seen.identity.symptom).collect()
    }

    #[test]
    fn only_the_main_process_may_not_exit_and_none_may_be_killed() {
        use Role::{Connection, Main, Worker};
        let ends =
            [ended(Main, None), ended(Worker, None), ended(Connection, Some(libc::SIGPIPE)), ended(Worker, Some(11))];
        assert_eq!(symptoms(&ends), [Symptom::Exit, Symptom::Sigpipe, Symptom::Crash]);
    }

    #[test]
    fn of_an_end_that_nobody_has_seen_no_more_is_said_than_that_it_was() {
        let unseen = |role| {
            let ended = ended(role, None);
            Ended { death: Death { status: None, ..ended.death }, ..ended }
        };
        let mut outcome = Outcome::default();
        outcome.ends(&[unseen(Role::Main), unseen(Role::Worker), unseen(Role::Connection)], "");
        let said: Vec<_> = outcome.seen.iter().map(|seen| (seen.identity.symptom, seen.evidence.as_str())).collect();
        assert_eq!(said, [(Symptom::Exit, "the server ended, nobody knows how")]);
    }

    #[test]
    fn a_signal_that_the_server_sent_on_purpose_is_no_crash() {
        let own = |role| {
            let ended = ended(role, Some(libc::SIGTERM));
            Ended { death: Death { sent: true, ..ended.death }, ..ended }
        };
        assert_eq!(symptoms(&[own(Role::Worker)]), []);
        assert_eq!(symptoms(&[own(Role::Main)]), [Symptom::Exit]);
    }

    #[test]
    fn the_evidence_names_the_call_its_client_and_what_it_failed_with() {
        let last = |client, error| Last { name: "recv", client, state: Some(TcpState::Close), error };
        assert_eq!(in_or_after(&last(Some(Client::nth(0)), None)), ", in or after recv a");
        assert_eq!(
            in_or_after(&last(Some(Client::BYSTANDER), Some(Errno::EINTR))),
            ", in or after recv of a polite client, which failed with EINTR"
        );
    }

    const ASAN: &str = "==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602\n";

    /// What comes of a run in which a process ended with this exit code and the server wrote this.
    fn reported(code: i32, role: Role, output: &str) -> Vec<Symptom> {
        let death = Death { pid: 1, inner: 1, status: Some(code << 8), sent: false };
        let ends = [Ended { death, role, after: None }];
        let mut outcome = Outcome::default();
        outcome.ends(&ends, "");
        outcome.reported(output, &ends);
        outcome.seen.iter().map(|seen| seen.identity.symptom).collect()
    }

    #[test]
    fn a_report_is_a_crash_if_its_reporter_ended_the_process() {
        assert_eq!(reported(1, Role::Main, ASAN), [Symptom::Crash]);
        assert_eq!(reported(1, Role::Worker, ASAN), [Symptom::Crash]);
        assert_eq!(reported(2, Role::Main, "panic: x\n\ngoroutine 1 [running]:\n"), [Symptom::Crash]);
    }

    #[test]
    fn a_report_of_a_process_that_went_on_is_of_its_own_kind_and_what_was_only_logged_is_nothing() {
        assert_eq!(reported(0, Role::Worker, ASAN), [Symptom::SanitizerReport]);
        assert_eq!(reported(0, Role::Main, ASAN), [Symptom::Exit]);
        assert_eq!(reported(0, Role::Worker, "free(): invalid pointer\n"), []);
        assert_eq!(reported(1, Role::Worker, "pool_free(): ok\nentry aborted: runtime error: x\n"), []);
    }
}
