//! The hunt for whatever is wrong with a target.

mod follow_up;
mod for_real;
mod memory;

use super::activity::ActivityLog;
use super::baseline::{Baseline, TargetError};
use super::command::Target;
use super::how::TargetHunt;
use super::lab::Lab;
use super::mixer::{Limits, Mixer};
use super::seeds::seeds;
use super::severity::Severity;
use crate::detect::identity::Identity;
use crate::detect::symptom::Symptom;
use crate::scenario::{Event, Fault, Scenario};
use crate::trace::Trace;
use follow_up::{Suspicion, Wanted, confirm};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// How often a finding must come true on a fresh server before it is told as one.
pub const CONFIRMATIONS: u32 = 3;
/// Why a server is not tried without the gate.
const FLOODS: &str =
    "no scenario was played without the gate: the server writes so much that its output could not be kept small";
/// How many suspicions of one kind are followed up.
const MOST_OF_A_KIND: u32 = 3;
/// The same where it may take more than a minute.
const MOST_THAT_TAKE_TIME: u32 = 2;

/// Something that is wrong with a target.
#[derive(Clone, Debug)]
pub struct TargetFinding {
    /// What, in which process, and where.
    pub identity: Identity,
    /// The scenario that shows it, in the fewest events if it was confirmed.
    pub scenario: Scenario,
    /// What happened in it.
    pub trace: Trace,
    /// What was seen, in words.
    pub evidence: String,
    /// The end of what the server wrote meanwhile.
    pub output: String,
    /// How often it came true on a fresh server, of [`CONFIRMATIONS`] times.
    pub confirmed: u32,
    /// Whether the server's calls were steered then.
    pub gate: bool,
    /// The errors that the harness gave in the kernel's place, without which it does not show.
    pub injected: Vec<Fault>,
    /// By what else it may have come than by a fault of the server's, where that cannot be told: then it is not confirmed, however often it
    /// came true.
    pub doubt: Option<String>,
}

impl TargetFinding {
    /// One that has not been seen yet.
    pub(super) fn of(identity: Identity, scenario: &Scenario, gate: bool) -> TargetFinding {
        TargetFinding {
            identity,
            scenario: scenario.clone(),
            trace: Trace::default(),
            evidence: String::new(),
            output: String::new(),
            confirmed: 0,
            gate,
            injected: Vec::new(),
            doubt: None,
        }
    }

    /// Whether it came true each time, and beyond doubt.
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed == CONFIRMATIONS && self.doubt.is_none()
    }
}

/// What came of a hunt.
#[derive(Clone, Debug)]
#[must_use = "what was found is in the report: `assert_clean` fails a test with it"]
pub struct TargetReport {
    /// What the server is like under polite clients.
    pub baseline: Baseline,
    /// How many scenarios were played.
    pub played: u64,
    /// How many servers were started.
    pub started: u64,
    /// What is wrong with it, in the order in which it was found; those that did not come true each time among them.
    pub findings: Vec<TargetFinding>,
    /// What was suspected on a server that had served others before, and did not show on fresh ones.
    pub unconfirmed: Vec<TargetFinding>,
    /// In how many runs something was seen that says nothing, for the harness had made a call of the server's fail with EINTR.
    pub distrusted: u64,
    /// Whether it was stopped before its time.
    pub stopped: bool,
    /// Why it ended before its time, if it could not go on. What was found until then is kept.
    pub ended: Option<TargetError>,
}

/// What the watcher of a hunt is told.
#[derive(Debug)]
pub enum HuntEvent<'e> {
    /// The server has been tried out.
    Ready(&'e Baseline),
    /// So many scenarios have been played, of which this was the last.
    Played(u64, &'e Scenario),
    /// Something looked bad on a server that had served others before, and did not on fresh ones.
    Unconfirmed(&'e TargetFinding),
    /// Something that belongs to a hunt was left out, with the reason.
    Skipped(&'static str),
    /// Something was found.
    Found(&'e TargetFinding),
}

impl Target {
    /// Hunts it, on a thread of its own, and tells `watch` how it goes. A `Break` stops the hunt.
    ///
    /// # Errors
    ///
    /// [`TargetError`], if the server cannot be started or does not answer a polite client, or the machine cannot.
    pub fn hunt(
        &self,
        how: &TargetHunt,
        watch: impl FnMut(HuntEvent<'_>) -> ControlFlow<()> + Send,
    ) -> Result<TargetReport, TargetError> {
        super::forked::is_no_server()?;
        on_a_thread(|| Hunting::new(self, how, watch)?.run())
    }

    /// Plays a scenario on fresh servers, and says how often it showed this symptom, of [`CONFIRMATIONS`] times.
    ///
    /// # Errors
    ///
    /// As [`Target::hunt`].
    pub fn confirm(&self, scenario: &Scenario, symptom: Symptom) -> Result<TargetFinding, TargetError> {
        self.confirm_until(scenario, symptom, &Arc::default())
    }

    /// The same, until somebody sets `stop`.
    ///
    /// # Errors
    ///
    /// As [`Target::hunt`], and [`TargetError::Stopped`].
    pub fn confirm_until(
        &self,
        scenario: &Scenario,
        symptom: Symptom,
        stop: &Arc<AtomicBool>,
    ) -> Result<TargetFinding, TargetError> {
        super::forked::is_no_server()?;
        on_a_thread(|| {
            let mut lab = Lab::open(self, Arc::clone(stop), ActivityLog::default())?;
            confirm(&mut lab, scenario, Wanted::Kind(symptom))
        })
    }
}

/// Runs on a thread of its own, which may move into namespaces.
pub(super) fn on_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(run);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

struct Hunting<'h, W> {
    lab: Lab<'h>,
    how: &'h TargetHunt,
    watch: W,
    report: TargetReport,
    start: Instant,
    /// How often each suspicion was followed up.
    followed: BTreeMap<Followed, u32>,
    /// Injected errors that are known to end the server: with them nothing else would be seen.
    deadly: Vec<Fault>,
}

/// A suspicion that was followed up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Followed {
    identity: Identity,
    injected: Vec<Fault>,
    /// What was doubted with the gate may be beyond doubt without.
    gate: bool,
}

impl<'h, W: FnMut(HuntEvent<'_>) -> ControlFlow<()>> Hunting<'h, W> {
    fn new(target: &'h Target, how: &'h TargetHunt, mut watch: W) -> Result<Hunting<'h, W>, TargetError> {
        let lab = Lab::open(target, Arc::clone(&how.stop), how.activity.clone())?;
        let baseline = lab.baseline().cloned().ok_or(crate::linux::KernelError::StillBorn)?;
        let stopped = watch(HuntEvent::Ready(&baseline)).is_break();
        let report = TargetReport {
            baseline,
            played: 0,
            started: 0,
            findings: Vec::new(),
            unconfirmed: Vec::new(),
            distrusted: 0,
            stopped,
            ended: None,
        };
        let (followed, deadly) = (BTreeMap::new(), Vec::new());
        Ok(Hunting { lab, how, watch, report, start: Instant::now(), followed, deadly })
    }

    fn run(mut self) -> Result<TargetReport, TargetError> {
        match self.play_what_there_is() {
            Ok(()) => {}
            Err(TargetError::Stopped) => self.report.stopped = true,
            Err(error) => self.report.ended = Some(error),
        }
        self.report.started = self.lab.started;
        self.report.distrusted = self.lab.distrusted;
        Ok(self.report)
    }

    fn play_what_there_is(&mut self) -> Result<(), TargetError> {
        if let Some((scenario, error)) = self.lab.unserved() {
            self.play(&scenario)?;
            return Err(error);
        }
        let payloads = self.target_payloads();
        let TargetHunt { clients, max_events, seed, faults, .. } = *self.how;
        let mut seeds = seeds(&payloads);
        if !faults {
            seeds.retain(|seed| !seed.events().iter().flat_map(Event::parts).any(|e| matches!(e, Event::Fault(_))));
        }
        let mixer = Mixer::new(&seeds, &payloads, Limits { clients, max_events, faults }, seed);
        self.play_all(&seeds)?;
        if self.lab.has_gate() && self.lab.is_parallel() && self.goes_on() {
            if self.lab.floods() {
                self.tell(HuntEvent::Skipped(FLOODS));
            } else {
                self.play_without_gate(&seeds)?;
            }
        }
        self.memory(&payloads)?;
        let mut number = 0;
        while self.goes_on() {
            self.play(&mixer.scenario(number))?;
            number += 1;
        }
        Ok(())
    }

    fn target_payloads(&self) -> Vec<crate::scenario::Payload> {
        self.lab.target().payloads()
    }

    fn play_all(&mut self, scenarios: &[Scenario]) -> Result<(), TargetError> {
        for scenario in scenarios {
            if !self.goes_on() {
                break;
            }
            self.play(scenario)?;
        }
        Ok(())
    }

    /// The gate lets one call pass at a time, which takes away what threads race for.
    fn play_without_gate(&mut self, scenarios: &[Scenario]) -> Result<(), TargetError> {
        self.lab.set_gate(false);
        self.play_all(scenarios)?;
        self.lab.set_gate(true);
        Ok(())
    }

    /// Whether there is anything left to do.
    fn goes_on(&mut self) -> bool {
        let enough = match self.how.time {
            Some(time) => self.start.elapsed() >= time,
            None => self.report.played >= self.how.cases,
        };
        !enough && !self.is_done()
    }

    /// Whether it was stopped, or has found what it was to find.
    fn is_done(&self) -> bool {
        self.report.stopped
            || self.how.stop.load(Relaxed)
            || (self.how.first && self.report.findings.iter().any(|f| self.how.counts(f.severity())))
    }

    fn tell(&mut self, event: HuntEvent<'_>) {
        self.report.stopped |= (self.watch)(event).is_break();
    }

    /// Plays one scenario, and follows up what looks bad.
    fn play(&mut self, scenario: &Scenario) -> Result<(), TargetError> {
        let scenario = scenario.filtered(|event| !matches!(event, Event::Fault(fault) if self.deadly.contains(fault)));
        let outcome = match self.lab.screen(&scenario) {
            // What the machine could not do once it may do on a fresh server.
            Err(TargetError::Kernel(_)) => {
                self.lab.end();
                self.lab.screen(&scenario)?
            }
            outcome => outcome?,
        };
        self.report.played += 1;
        self.tell(HuntEvent::Played(self.report.played, &scenario));
        for seen in outcome.seen {
            if self.is_done() {
                break;
            }
            let injected = outcome.injected.clone();
            self.suspect(Suspicion { scenario: scenario.clone(), seen, injected })?;
        }
        Ok(())
    }

    /// Follows up a suspicion, unless what it is about has been found or followed up often enough.
    fn suspect(&mut self, suspicion: Suspicion) -> Result<(), TargetError> {
        let Suspicion { seen, injected, .. } = &suspicion;
        let symptom = seen.identity.symptom;
        // What takes time was given it.
        let gate = self.lab.has_gate() || symptom.takes_time();
        let followed = Followed { identity: seen.identity, injected: injected.clone(), gate };
        let most = if symptom.takes_time() { MOST_THAT_TAKE_TIME } else { MOST_OF_A_KIND };
        let often = self.followed.get(&followed).is_some_and(|times| *times >= most);
        if often || self.is_known(&suspicion) {
            if injected.is_empty() {
                // With an injected error it may have another cause than without.
                self.lab.tolerate(symptom);
            }
            return Ok(());
        }
        *self.followed.entry(followed).or_insert(0) += 1;
        let suspected = suspicion.unconfirmed(self.lab.has_gate());
        let finding = match self.followed_up(suspicion) {
            Ok(finding) => finding,
            Err(error) => {
                // What was suspected is told, though nobody knows whether it is so.
                self.add_unconfirmed(suspected);
                return Err(error);
            }
        };
        let Some(finding) = finding else { return Ok(()) };
        if finding.severity() == Severity::Unconfirmed {
            self.add_unconfirmed(finding);
        } else if !self.is_found(finding.identity, finding.is_injected()) {
            // Cut down, or shown without an injected error, it may have come to be one that was found before.
            self.add(finding);
        }
        Ok(())
    }

    /// Whether this has been found. Something that needs an injected error hides nothing that does not.
    fn is_found(&self, identity: Identity, injected: bool) -> bool {
        let mut confirmed = self.report.findings.iter().filter(|f| f.is_confirmed());
        // Without the gate it is not known in which call it was.
        let same = |f: &TargetFinding| match self.lab.has_gate() {
            true => f.identity == identity,
            false => f.identity.is_like(&identity),
        };
        confirmed.any(|f| same(f) && (injected || !f.is_injected()))
    }

    /// Whether what a suspicion is about has been found. One that needs an injected error counts only for the same error: another may be
    /// one that can be had for real.
    fn is_known(&self, Suspicion { seen, injected, .. }: &Suspicion) -> bool {
        let tried = |f: &TargetFinding| {
            f.is_injected() && f.identity == seen.identity && injected.iter().all(|fault| f.injected.contains(fault))
        };
        self.is_found(seen.identity, false)
            || (!injected.is_empty() && self.report.findings.iter().any(|f| f.is_confirmed() && tried(f)))
    }

    fn add_unconfirmed(&mut self, finding: TargetFinding) {
        self.tell(HuntEvent::Unconfirmed(&finding));
        self.report.unconfirmed.push(finding);
    }

    fn add(&mut self, finding: TargetFinding) {
        self.report.stopped |= (self.watch)(HuntEvent::Found(&finding)).is_break();
        self.report.findings.push(finding);
    }
}
