//! The hunt for whatever is wrong with a target.

use super::baseline::{Baseline, TargetError};
use super::command::Target;
use super::lab::{Lab, REPEATS};
use super::mix::Mixer;
use super::outcome::{Outcome, Seen};
use super::shapes::shapes;
use super::symptom::Symptom;
use crate::scenario::Scenario;
use crate::search::minimise;
use crate::trace::Trace;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How often a finding must come true on a fresh server before it is told as one.
pub const CONFIRMATIONS: u32 = 3;
/// How long, and over how many scenarios, a finding is cut down.
const MINIMISING: Duration = Duration::from_secs(4);
const MOST_ASKED: u32 = 400;
/// How many scenarios a batch has that is to show whether memory grows, and how much more must be there after each, in bytes.
const BATCH: usize = 100;
const GROWTH: u64 = 256 * 1024;
/// How often a scenario is played in a row that showed something now and then.
const OFTEN: usize = 20;
/// Why a server is not tried without the gate.
const FLOODS: &str =
    "no scenario was played without the gate: the server writes so much that its output could not be kept small";
/// How many suspicions of one kind are followed up.
const MOST_OF_A_KIND: u32 = 3;
/// The same where it may take more than a minute.
const MOST_THAT_TAKE_TIME: u32 = 2;

/// How a target is hunted.
#[derive(Clone, Debug)]
pub struct TargetHunt {
    /// Scenarios to play.
    pub cases: u64,
    /// Time to play for; then the number of scenarios does not count.
    pub time: Option<Duration>,
    /// Which random scenarios.
    pub seed: u64,
    /// Most clients of a scenario.
    pub clients: usize,
    /// Most events of a scenario that is mixed of others.
    pub max_events: usize,
    /// Whether to stop at the first finding.
    pub first: bool,
    /// Set by whoever wants it to stop, while a server is still starting too.
    pub stop: Arc<AtomicBool>,
}

impl Default for TargetHunt {
    fn default() -> TargetHunt {
        TargetHunt { cases: 1000, time: None, seed: 0, clients: 3, max_events: 12, first: false, stop: Arc::default() }
    }
}

/// Something that is wrong with a target.
#[derive(Clone, Debug)]
pub struct TargetFinding {
    /// What.
    pub symptom: Symptom,
    /// The scenario that shows it, in the fewest events if it was confirmed.
    pub scenario: Scenario,
    /// What happened in it.
    pub trace: Trace,
    /// What was seen, in words.
    pub evidence: String,
    /// Whether it is the server itself; `false` for a child of its.
    pub main: bool,
    /// The call after which it showed, if it did so in one.
    pub call: Option<String>,
    /// The end of what the server wrote meanwhile.
    pub output: String,
    /// How often it came true on a fresh server, of [`CONFIRMATIONS`] times.
    pub confirmed: u32,
    /// Whether the server's calls were steered then.
    pub gate: bool,
}

impl TargetFinding {
    /// One that has not been seen yet.
    fn of(symptom: Symptom, scenario: &Scenario, gate: bool) -> TargetFinding {
        TargetFinding {
            symptom,
            scenario: scenario.clone(),
            trace: Trace::default(),
            evidence: String::new(),
            main: true,
            call: None,
            output: String::new(),
            confirmed: 0,
            gate,
        }
    }

    /// Whether it came true each time.
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed == CONFIRMATIONS
    }
}

/// What came of a hunt.
#[derive(Clone, Debug)]
pub struct TargetReport {
    /// What the server is like under polite clients.
    pub baseline: Baseline,
    /// How many scenarios were played.
    pub played: u64,
    /// How many servers were started.
    pub started: u64,
    /// What is wrong with it, in the order in which it was found; those that did not come true each time among them.
    pub findings: Vec<TargetFinding>,
    /// Scenarios that looked bad on a server that had served others before, and did not on fresh ones.
    pub unconfirmed: u64,
    /// Whether it was stopped before its time.
    pub stopped: bool,
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
            let mut lab = Lab::open(self, Arc::clone(stop))?;
            confirm(&mut lab, scenario, symptom)
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

/// Plays a scenario on fresh servers, as often as it takes to say that it always shows a symptom, or does not.
fn confirm(lab: &mut Lab<'_>, scenario: &Scenario, symptom: Symptom) -> Result<TargetFinding, TargetError> {
    let mut finding = TargetFinding::of(symptom, scenario, lab.has_gate());
    for _ in 0..CONFIRMATIONS {
        let Outcome { trace, seen, output } = once(lab, scenario, symptom, false)?;
        if let Some(Seen { evidence, main, call, .. }) = seen.into_iter().next() {
            finding.confirmed += 1;
            finding = TargetFinding { trace, evidence, main, call, output, ..finding };
        }
    }
    Ok(finding)
}

/// Plays a scenario on a fresh server, and looks for one symptom.
fn once(lab: &mut Lab<'_>, scenario: &Scenario, symptom: Symptom, patient: bool) -> Result<Outcome, TargetError> {
    if symptom == Symptom::MemoryGrowth { grown(lab, scenario) } else { lab.examine(scenario, symptom, patient) }
}

/// The scenario again and again; `None` if it has repetitions already.
fn repeated(scenario: &Scenario) -> Option<Scenario> {
    format!("repeat {OFTEN} {{ {scenario} }}").parse().ok()
}

/// Plays batches of a scenario, and sees whether the server has more memory after each.
fn grown(lab: &mut Lab<'_>, scenario: &Scenario) -> Result<Outcome, TargetError> {
    lab.fresh()?;
    let mut outcome = Outcome::default();
    let mut all = Vec::new();
    // What is filled once, in the first batch, is no leak.
    for batch in 0..=REPEATS {
        for _ in 0..BATCH {
            let run = lab.screen(scenario)?;
            if !run.seen.is_empty() {
                return Ok(Outcome::default());
            }
            outcome.trace = run.trace;
        }
        let resident = lab.resident()?;
        if batch > 0 && all.last().is_some_and(|before| resident < before + GROWTH) {
            return Ok(Outcome::default());
        }
        all.push(resident);
    }
    let all: Vec<String> = all.iter().map(|bytes| format!("{} KiB", bytes / 1024)).collect();
    let evidence = format!("resident memory after each {BATCH} repetitions: {}", all.join(", "));
    outcome.seen.push(Seen { symptom: Symptom::MemoryGrowth, evidence, main: true, call: None });
    outcome.output = lab.output();
    lab.end();
    Ok(outcome)
}

struct Hunting<'h, W> {
    lab: Lab<'h>,
    how: &'h TargetHunt,
    watch: W,
    report: TargetReport,
    start: Instant,
    /// How often each kind of suspicion was followed up.
    followed: BTreeMap<(Symptom, bool, Option<String>, bool), u32>,
}

impl<'h, W: FnMut(HuntEvent<'_>) -> ControlFlow<()>> Hunting<'h, W> {
    fn new(target: &'h Target, how: &'h TargetHunt, mut watch: W) -> Result<Hunting<'h, W>, TargetError> {
        let lab = Lab::open(target, Arc::clone(&how.stop))?;
        let baseline = lab.baseline().cloned().ok_or(crate::kernel::KernelError::StillBorn)?;
        let stopped = watch(HuntEvent::Ready(&baseline)).is_break();
        let report = TargetReport { baseline, played: 0, started: 0, findings: Vec::new(), unconfirmed: 0, stopped };
        Ok(Hunting { lab, how, watch, report, start: Instant::now(), followed: BTreeMap::new() })
    }

    fn run(mut self) -> Result<TargetReport, TargetError> {
        match self.play_what_there_is() {
            Err(TargetError::Stopped) => self.report.stopped = true,
            done => done?,
        }
        self.report.started = self.lab.started;
        Ok(self.report)
    }

    fn play_what_there_is(&mut self) -> Result<(), TargetError> {
        let payloads = self.target_payloads();
        let shapes = shapes(&payloads);
        let TargetHunt { clients, max_events, seed, .. } = *self.how;
        let mixer = Mixer { shapes: &shapes, payloads: &payloads, clients, max_events, seed };
        self.play_all(&shapes)?;
        if self.lab.has_gate() && self.lab.is_parallel() && self.goes_on() {
            if self.lab.floods() {
                self.tell(HuntEvent::Skipped(FLOODS));
            } else {
                self.play_without_gate(&shapes)?;
            }
        }
        self.memory(&shapes)?;
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
            || (self.how.first && self.report.findings.iter().any(|f| f.is_confirmed() && !f.symptom.is_warning()))
    }

    fn tell(&mut self, event: HuntEvent<'_>) {
        self.report.stopped |= (self.watch)(event).is_break();
    }

    /// Plays one scenario, and follows up what looks bad.
    fn play(&mut self, scenario: &Scenario) -> Result<(), TargetError> {
        let outcome = self.lab.screen(scenario)?;
        self.report.played += 1;
        self.tell(HuntEvent::Played(self.report.played, scenario));
        let Some(seen) = outcome.seen.into_iter().next() else { return Ok(()) };
        // What was doubted with the gate may be beyond doubt without. What takes time was given it.
        let gate = self.lab.has_gate() || seen.symptom.takes_time();
        let kind = (seen.symptom, seen.main, seen.call.clone(), gate);
        let found =
            self.report.findings.iter().any(|f| f.is_confirmed() && f.symptom == seen.symptom && f.main == seen.main);
        let most = if seen.symptom.takes_time() { MOST_THAT_TAKE_TIME } else { MOST_OF_A_KIND };
        let followed = self.followed.entry(kind).or_insert(0);
        if found || *followed >= most {
            self.lab.tolerate(seen.symptom);
            return Ok(());
        }
        *followed += 1;
        let finding = self.followed_up(scenario, &seen)?;
        if finding.confirmed == 0 {
            self.report.unconfirmed += 1;
            let finding = TargetFinding { evidence: seen.evidence, ..finding };
            self.tell(HuntEvent::Unconfirmed(&finding));
            return Ok(());
        }
        self.add(finding);
        Ok(())
    }

    /// What is left of a suspicion on fresh servers, in the fewest events that always show it.
    fn followed_up(&mut self, scenario: &Scenario, seen: &Seen) -> Result<TargetFinding, TargetError> {
        // Once is enough to look for something smaller, which is then held to more.
        // A circle takes a second to be sure of, and is hardly ever a mistake.
        let sure = seen.symptom == Symptom::Spin || !once(&mut self.lab, scenario, seen.symptom, true)?.seen.is_empty();
        if !sure && seen.symptom.takes_time() {
            return Ok(TargetFinding::of(seen.symptom, scenario, self.lab.has_gate()));
        }
        let mut finding = TargetFinding::of(seen.symptom, scenario, self.lab.has_gate());
        // What is small on servers that have been played with may be too little for fresh ones.
        for fresh in [false, true] {
            if sure && !finding.is_confirmed() {
                let small = self.reduced(scenario, seen, fresh)?;
                finding = confirm(&mut self.lab, &small, seen.symptom)?;
            }
        }
        if !finding.is_confirmed() && (finding.scenario != *scenario || !sure) {
            finding = confirm(&mut self.lab, scenario, seen.symptom)?;
        }
        // A race that is won now and then is won for certain if it is run often enough.
        if !finding.is_confirmed()
            && finding.confirmed > 0
            && let Some(often) = repeated(&finding.scenario)
        {
            let often = confirm(&mut self.lab, &often, seen.symptom)?;
            if often.is_confirmed() {
                finding = often;
            }
        }
        // Who wants the first finding wants it soon.
        if finding.is_confirmed() && finding.symptom == Symptom::Unresponsive && !self.how.first {
            finding.evidence += &self.lab.recovery(&finding.scenario)?;
        }
        self.lab.end();
        Ok(finding)
    }

    fn add(&mut self, finding: TargetFinding) {
        self.report.stopped |= (self.watch)(HuntEvent::Found(&finding)).is_break();
        self.report.findings.push(finding);
    }

    /// A scenario of fewer events that looks as bad, as far as screening can tell, on fresh servers or any.
    fn reduced(&mut self, scenario: &Scenario, seen: &Seen, fresh: bool) -> Result<Scenario, TargetError> {
        let deadline = Instant::now() + MINIMISING;
        let mut asked = 0;
        let lab = &mut self.lab;
        let small = minimise(scenario, |scenario: &Scenario| -> Result<bool, TargetError> {
            asked += 1;
            if asked > MOST_ASKED || Instant::now() > deadline {
                return Ok(false);
            }
            if fresh {
                lab.end();
            }
            let outcome = lab.screen(scenario)?;
            Ok(outcome.seen.iter().any(|other| other.symptom == seen.symptom && other.main == seen.main))
        });
        lab.end();
        small
    }

    /// Whether memory grows with what clients do: asked of a few shapes, and only if nothing else was found.
    fn memory(&mut self, shapes: &[Scenario]) -> Result<(), TargetError> {
        if self.is_done() || self.report.findings.iter().any(TargetFinding::is_confirmed) {
            return Ok(());
        }
        let wanted = ["a connect; a rst", "a connect; a close"];
        let talking = shapes.iter().filter(|s| {
            let text = s.to_string();
            text.starts_with("a connect; a send") && text.ends_with("; a rst") && s.events().len() == 3
        });
        let bare = shapes.iter().filter(|s| wanted.contains(&s.to_string().as_str()));
        let chosen: Vec<Scenario> = bare.chain(talking.take(1)).cloned().collect();
        for shape in chosen {
            if self.is_done() || self.how.time.is_some_and(|time| self.start.elapsed() >= time) {
                break;
            }
            let outcome = grown(&mut self.lab, &shape)?;
            if outcome.seen.is_empty() {
                continue;
            }
            let finding = confirm(&mut self.lab, &shape, Symptom::MemoryGrowth)?;
            if finding.is_confirmed() {
                self.add(finding);
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_the_whole_scenario_and_nothing_that_has_repetitions_already() {
        let again = |text: &str| repeated(&text.parse().unwrap()).map(|scenario| scenario.to_string());
        assert_eq!(again("a connect; a rst").as_deref(), Some("repeat 20 { a connect; a rst }"));
        assert_eq!(again("hold; a connect; a rst; go").as_deref(), Some("repeat 20 { hold; a connect; a rst; go }"));
        assert_eq!(again("repeat 3 { a connect; a rst }"), None);
    }
}
