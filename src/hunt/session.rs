//! The hunt: plays scenarios against a target and follows up suspected failures.

mod build_up;
mod follow_up;
mod for_real;
mod history;
mod late_reaping;
mod memory;

use super::activity::ActivityLog;
use super::baseline::HuntError;
use super::bodies;
use super::how::HuntOptions;
use super::lab::Lab;
use super::mixer::{Limits, Mixer};
use super::report::{HuntEvent, HuntReport};
use super::seeds::{at_deadlines, held, prefixes, seeds, sized, unread, uploads};
use crate::detect::{Finding, Kind, Severity, Signature};
use crate::scenario::{Event, Fault, Payload, Scenario};
use crate::subject::{Polite, Subject, Target};
use follow_up::{Suspicion, Wanted, confirm};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Why a server is not hunted without the gate.
const FLOODS: &str =
    "no scenario was played without the gate: the server writes so much that its output could not be kept small";
/// How many times suspected failures of one signature are followed up.
const MOST_OF_A_KIND: u32 = 3;
/// The same if confirming the symptom takes real time, which may be more than a minute.
const MOST_THAT_TAKE_TIME: u32 = 2;

impl Target {
    /// Hunts the target on a thread of its own, and reports progress to `watch`.
    ///
    /// # Errors
    ///
    /// [`HuntError`] if the server cannot be started or does not answer a polite client, if the harness fails before the first scenario, or
    /// if there are to be worker processes. A later error is in [`HuntReport::ended`].
    pub fn hunt(&self, how: &HuntOptions, watch: impl FnMut(HuntEvent<'_>) + Send) -> Result<HuntReport, HuntError> {
        super::function::is_no_server()?;
        if how.jobs > 0 {
            return Err(HuntError::Command("only the hunt of a program has worker processes".to_owned()));
        }
        on_a_thread(|| Ok(Hunting::new(self, how, watch)?.run()))
    }

    /// Plays a scenario on fresh servers [`CONFIRMATIONS`](crate::CONFIRMATIONS) times, and counts how often it shows this symptom.
    ///
    /// # Errors
    ///
    /// Those of [`Target::hunt`].
    pub fn confirm(&self, scenario: &Scenario, kind: Kind) -> Result<Finding, HuntError> {
        self.confirm_until(scenario, kind, &Arc::default())
    }

    /// The same as [`Target::confirm`], but ends early if `stop` is set.
    ///
    /// # Errors
    ///
    /// Those of [`Target::hunt`], and [`HuntError::Stopped`].
    pub fn confirm_until(&self, scenario: &Scenario, kind: Kind, stop: &Arc<AtomicBool>) -> Result<Finding, HuntError> {
        super::function::is_no_server()?;
        on_a_thread(|| {
            let mut lab = Lab::open(self, Arc::clone(stop), ActivityLog::default())?;
            confirm(&mut lab, scenario, Wanted::Kind(kind))
        })
    }
}

/// Calls `run` on a thread of its own, which may move into namespaces, and returns its result.
pub(super) fn on_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(run);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

struct Hunting<'h, W> {
    lab: Lab<'h>,
    how: &'h HuntOptions,
    watch: W,
    report: HuntReport,
    start: Instant,
    /// Suspected failures that no fresh server has shown, to be tried with the history of the server.
    put_off: Vec<Suspicion>,
    /// What has been put off so far: each failure is tried so once.
    built_up_from: Vec<Signature>,
    /// Whether the server was seen to read a few bytes at a time.
    reads_little: bool,
    /// How often it was tried what a scenario does when it is repeated.
    built_up: u32,
    /// How many times each suspected failure was followed up.
    followed: BTreeMap<Followed, u32>,
    /// Injected errors that are known to end the server. They are not injected again, because nothing else would show.
    deadly: Vec<Fault>,
}

/// What identifies a suspected failure that was followed up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Followed {
    signature: Signature,
    injected: Vec<Fault>,
    /// A failure that is in doubt with the gate may be beyond doubt without it.
    gate: bool,
}

impl<'h, W: FnMut(HuntEvent<'_>)> Hunting<'h, W> {
    fn new(target: &'h Target, how: &'h HuntOptions, mut watch: W) -> Result<Hunting<'h, W>, HuntError> {
        let mut lab = Lab::open(target, Arc::clone(&how.stop), how.activity.clone())?;
        let baseline = lab.baseline().cloned().ok_or(crate::linux::KernelError::StillBorn)?;
        watch(HuntEvent::Ready(&baseline));
        let report = HuntReport::of(Subject::Command(target.clone()), Some(baseline));
        let start = Instant::now();
        lab.deadline = how.time.and_then(|time| start.checked_add(time));
        let (followed, deadly) = (BTreeMap::new(), Vec::new());
        Ok(Hunting {
            lab,
            how,
            watch,
            report,
            start,
            put_off: Vec::new(),
            built_up_from: Vec::new(),
            reads_little: false,
            built_up: 0,
            followed,
            deadly,
        })
    }

    fn run(mut self) -> HuntReport {
        match self.play_what_there_is() {
            Ok(()) | Err(HuntError::Stopped) => {}
            Err(error) => self.report.ended = Some(error),
        }
        self.report.stopped = self.how.stop.load(Relaxed);
        self.report.started = self.lab.started;
        self.report.distrusted = self.lab.distrusted;
        self.report
    }

    fn play_what_there_is(&mut self) -> Result<(), HuntError> {
        if let Some((scenario, error)) = self.lab.unserved() {
            self.play(&scenario)?;
            return Err(error);
        }
        let payloads = self.target_payloads();
        let HuntOptions { clients, max_events, seed, faults, .. } = *self.how;
        let mut seeds = seeds(&payloads);
        if !faults {
            seeds.retain(|seed| !seed.events().iter().flat_map(Event::parts).any(|e| matches!(e, Event::Fault(_))));
        }
        let mixer = Mixer::new(&seeds, &payloads, Limits { clients, max_events, faults }, seed);
        if let Polite::Dialogue(dialogue) = &self.lab.target().polite {
            self.play_all(&prefixes(dialogue))?;
        }
        self.play_all(&seeds)?;
        self.play_all(&sized(self.lab.target().protocol.frames()))?;
        for upload in &self.lab.target().uploads {
            self.play_all(&uploads(upload))?;
        }
        self.play_all(&self.unread())?;
        self.play_all(&self.held(payloads.first()))?;
        let timed = at_deadlines(&self.lab.marks, payloads.first());
        self.play_all(&timed)?;
        if self.lab.has_gate() && self.lab.is_parallel() && self.goes_on() {
            if self.lab.floods() {
                self.tell(HuntEvent::Skipped(FLOODS));
            } else {
                self.play_without_gate(&seeds)?;
            }
        }
        self.try_histories()?;
        self.memory(&payloads)?;
        let mut number = 0;
        while self.goes_on() {
            self.play(&mixer.scenario(number))?;
            self.try_histories()?;
            number += 1;
        }
        Ok(())
    }

    /// Scenarios in which the server's buffer is full, if that is possible.
    fn unread(&self) -> Vec<Scenario> {
        let replies = self.lab.baseline().map(|baseline| &baseline.replies);
        let full = replies.and_then(|replies| Some((replies.request.as_ref()?, replies.fills?)));
        full.map(|(request, times)| unread(request, times)).unwrap_or_default()
    }

    /// For each kind of silent client of which few keep others from being served: just as many of them. If others are served in the end, several
    /// clients are no fault.
    fn held(&self, payload: Option<&Payload>) -> Vec<Scenario> {
        let shut_out = self.lab.baseline().map(|baseline| baseline.shut_out.as_slice()).unwrap_or_default();
        let judged = shut_out.iter().filter(|shut| shut.clients == 1 || shut.time.is_none());
        judged.filter_map(|shut| held(shut.silent, shut.clients, payload)).collect()
    }

    fn target_payloads(&self) -> Vec<Payload> {
        self.lab.target().payloads()
    }

    fn play_all(&mut self, scenarios: &[Scenario]) -> Result<(), HuntError> {
        for scenario in scenarios {
            if !self.goes_on() {
                break;
            }
            self.play(scenario)?;
        }
        Ok(())
    }

    /// Plays scenarios without the gate. The gate lets one call pass at a time, so it prevents races between threads.
    fn play_without_gate(&mut self, scenarios: &[Scenario]) -> Result<(), HuntError> {
        self.lab.set_gate(false);
        self.play_all(scenarios)?;
        self.lab.set_gate(true);
        Ok(())
    }

    /// Whether another scenario is to be played.
    fn goes_on(&mut self) -> bool {
        let enough = match self.how.time {
            Some(time) => self.start.elapsed() >= time,
            None => self.report.played >= self.how.cases,
        };
        !enough && !self.is_done()
    }

    /// Whether the hunt was stopped, or was to stop at the first finding and has one.
    fn is_done(&self) -> bool {
        self.how.stop.load(Relaxed)
            || (self.how.first && self.report.findings.iter().any(|f| self.how.counts(f.severity())))
    }

    fn tell(&mut self, event: HuntEvent<'_>) {
        (self.watch)(event);
    }

    /// Plays one scenario, and follows up each symptom.
    fn play(&mut self, scenario: &Scenario) -> Result<(), HuntError> {
        if self.reads_little && bodies::is_large(scenario) {
            return Ok(());
        }
        let scenario = scenario.filtered(|event| !matches!(event, Event::Fault(fault) if self.deadly.contains(fault)));
        let outcome = match self.lab.screen(&scenario) {
            // A system call of the harness that failed once may succeed with a fresh server.
            Err(HuntError::Kernel(_)) => {
                self.lab.end();
                self.lab.screen(&scenario)?
            }
            outcome => outcome?,
        };
        self.report.played += 1;
        if !self.reads_little && bodies::reads_little(&scenario, outcome.trace.calls().len()) {
            self.reads_little = true;
            self.tell(HuntEvent::Skipped(bodies::SKIPPED));
        }
        self.tell(HuntEvent::Played(self.report.played, Some(&scenario)));
        if outcome.has_fewer_tasks && outcome.injected.is_empty() {
            self.build_up(&scenario)?;
        }
        for seen in outcome.seen {
            if self.is_done() {
                break;
            }
            let injected = outcome.injected.clone();
            let before = outcome.before.clone();
            self.suspect(Suspicion { scenario: scenario.clone(), seen, injected, before })?;
        }
        Ok(())
    }

    /// Follows up a suspected failure, unless it is known or was followed up often enough.
    fn suspect(&mut self, suspicion: Suspicion) -> Result<(), HuntError> {
        let Suspicion { seen, injected, .. } = &suspicion;
        let kind = seen.signature.kind;
        // A symptom that takes time was given that time with the gate, so it is not followed up again without it.
        let gate = self.lab.has_gate() || kind.takes_time();
        let followed = Followed { signature: seen.signature, injected: injected.clone(), gate };
        let most = if kind.takes_time() { MOST_THAT_TAKE_TIME } else { MOST_OF_A_KIND };
        let often = self.followed.get(&followed).is_some_and(|times| *times >= most);
        if often || self.is_known(&suspicion) {
            if injected.is_empty() {
                // With an injected error, the symptom may have another cause than without.
                self.lab.tolerate(kind);
            }
            return Ok(());
        }
        *self.followed.entry(followed).or_insert(0) += 1;
        let suspected = suspicion.unconfirmed(&self.lab);
        let finding = match self.unhurried(|hunting| hunting.followed_up(suspicion)) {
            Ok(finding) => finding,
            Err(error) => {
                // The suspected failure is reported, although it was not checked to the end.
                self.add_unconfirmed(suspected);
                return Err(error);
            }
        };
        let Some(finding) = finding else { return Ok(()) };
        if finding.severity() == Severity::Unconfirmed && kind == Kind::Zombie && self.late_reaping()? {
            return Ok(());
        }
        if finding.severity() == Severity::Unconfirmed {
            self.add_unconfirmed(finding);
        } else if !self.is_found(finding.signature, finding.is_injected()) {
            // Once minimised, or shown without an injected error, the failure may be one that was found before.
            self.add(finding);
        }
        Ok(())
    }

    /// Calls `act`, which may go on after the hunt's time is over.
    fn unhurried<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let deadline = self.lab.deadline.take();
        let result = act(self);
        self.lab.deadline = deadline;
        result
    }

    /// Whether this failure has been found. A finding that needs an injected error does not hide a failure that needs none.
    fn is_found(&self, signature: Signature, injected: bool) -> bool {
        let mut confirmed = self.report.findings.iter().filter(|f| f.is_confirmed());
        // Without the gate, the call is not known.
        let same = |f: &Finding| match self.lab.has_gate() {
            true => f.signature == signature,
            false => f.signature.is_like(&signature),
        };
        confirmed.any(|f| same(f) && (injected || !f.is_injected()))
    }

    /// Whether a suspected failure has been found. A finding that needs an injected error counts only for the same error, because another
    /// error may have a real cause.
    fn is_known(&self, Suspicion { seen, injected, .. }: &Suspicion) -> bool {
        let tried = |f: &Finding| {
            f.is_injected() && f.signature == seen.signature && injected.iter().all(|fault| f.injected.contains(fault))
        };
        self.is_found(seen.signature, false)
            || (!injected.is_empty() && self.report.findings.iter().any(|f| f.is_confirmed() && tried(f)))
    }

    fn add_unconfirmed(&mut self, finding: Finding) {
        self.tell(HuntEvent::Unconfirmed(&finding));
        self.report.unconfirmed.push(finding);
    }

    fn add(&mut self, finding: Finding) {
        self.tell(HuntEvent::Found(&finding));
        self.report.findings.push(finding);
    }
}
