//! Repeats a scenario on one server: what it leaves behind must stop growing ([`growth`](crate::detect::growth)).
//!
//! The growth is compared with what the same number of polite clients leave on a fresh server. If they leave as much, the growth may be
//! that of a large pool, and the scenario is repeated on another fresh server, more often.

use super::Lab;
use super::pace::{Attended, GRACE_REPEATED, PATIENCE, grace};
use crate::detect::detector::{Counted, Observation};
use crate::detect::growth::{Limits, MEMORY, Trend, growth, is_exhausting, is_explained, judge};
use crate::detect::kind::Kind;
use crate::detect::outcome::Outcome;
use crate::hunt::activity::Activity;
use crate::hunt::baseline::HuntError;
use crate::linux::KernelError;
use crate::linux::foreign::descriptors;
use crate::linux::foreign::patience::Patience;
use crate::scenario::{Action, Event, Scenario};
use std::time::{Duration, Instant};

/// The number of repetitions between two samples of memory.
const BATCH: usize = 50;
/// How long a batch may take.
const BATCH_BOUND: Duration = Duration::from_secs(5);
/// How long a scenario is repeated. After that, a slow server is judged by [`JUDGED`] repetitions, if there were as many.
const REPEATING_BOUND: Duration = Duration::from_secs(60);
const JUDGED: usize = 100;
/// Polite clients take part in one of this many repetitions, and in the 1st, 2nd and 4th, to check whether the server still serves.
const ATTENDED: usize = 8;
/// Maximum number of polite clients that are served to measure what they leave.
const MOST_POLITE: usize = 1000;
/// Maximum number of samples in the evidence.
const TOLD: usize = 8;

/// What polite clients that came one after the other have left: their number, and the growth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    clients: usize,
    grown: u64,
}

/// What is sampled between repetitions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sampled {
    Counts(Kind, Counted),
    Memory,
}

impl Sampled {
    const fn limits(self) -> Limits {
        match self {
            Sampled::Memory => MEMORY,
            Sampled::Counts(_, counted) => counted.limits,
        }
    }

    /// The symptom that is reported if it grows without end.
    const fn kind(self) -> Kind {
        match self {
            Sampled::Counts(kind, _) => kind,
            Sampled::Memory => Kind::MemoryGrowth,
        }
    }

    const fn is_memory(self) -> bool {
        matches!(self, Sampled::Memory)
    }

    /// The number of repetitions between two samples.
    const fn batch(self) -> usize {
        match self {
            Sampled::Counts(..) => 1,
            Sampled::Memory => BATCH,
        }
    }

    fn told(self, sample: u64) -> String {
        match self {
            Sampled::Counts(..) => sample.to_string(),
            Sampled::Memory => format!("{} KiB", sample / 1024),
        }
    }
}

/// What a scenario has left behind over many repetitions and the server has kept.
struct Grown {
    outcome: Outcome,
    samples: Vec<u64>,
    /// What the descriptors refer to that are left, and how many they are.
    left: Vec<(String, usize)>,
    /// The event since which the first of those is there that one repetition leaves, if that is known.
    since: Option<Event>,
}

impl Lab<'_> {
    /// Repeats a scenario on the fresh server that is running, and checks whether it leaves more and more of a resource.
    pub(super) fn leaks(
        &mut self,
        scenario: &Scenario,
        kind: Kind,
        counted: Counted,
        patient: bool,
    ) -> Result<Outcome, HuntError> {
        self.grows(scenario, Sampled::Counts(kind, counted), patient, false)
    }

    /// Repeats batches of a scenario on a fresh server, and checks whether its memory grows with each. If so, and if `sure`, checks again
    /// on another server over more batches, because a garbage-collected heap may take long to fill.
    pub(in crate::hunt) fn grows_in_memory(&mut self, scenario: &Scenario, sure: bool) -> Result<Outcome, HuntError> {
        self.fresh()?;
        let outcome = self.grows(scenario, Sampled::Memory, false, sure)?;
        self.end();
        Ok(outcome)
    }

    fn grows(
        &mut self,
        scenario: &Scenario,
        sampled: Sampled,
        patient: bool,
        sure: bool,
    ) -> Result<Outcome, HuntError> {
        let _doing = self.activity.enter(Activity::Repeats);
        let mut limits = sampled.limits();
        let Some(mut grown) = self.repeat(scenario, sampled, &limits, patient)? else { return Ok(Outcome::default()) };
        let clients = clients(scenario).max(1) * sampled.batch();
        let control = self.control(sampled, clients * (grown.samples.len() - 1))?;
        let more = |grown: &Grown| {
            let clients = clients * (grown.samples.len() - 1);
            !is_explained(growth(&grown.samples), clients as u64, control.grown, control.clients as u64)
        };
        if sure || !more(&grown) {
            limits = limits.extended();
            self.fresh()?;
            match self.repeat(scenario, sampled, &limits, patient)? {
                Some(longer) => grown = longer,
                None => return Ok(Outcome::default()),
            }
        }
        let Grown { mut outcome, samples, left: kept, since } = grown;
        let between =
            if sampled.batch() == 1 { "each repetition".to_owned() } else { format!("each {BATCH} repetitions") };
        let told: Vec<String> = evenly(&samples, TOLD).map(|sample| sampled.told(sample)).collect();
        let left = sampled.told(control.grown);
        let kept = match sampled {
            Sampled::Counts(Kind::FdLeak | Kind::CloseWaitLeak, _) => told_left(&kept, since.as_ref()),
            _ => String::new(),
        };
        for seen in &mut outcome.seen {
            seen.evidence += &format!(
                "at first and after {between}, {} in all: {}; {} polite clients, one after the other, leave {left} more{kept}",
                samples.len() - 1,
                told.join(", "),
                control.clients
            );
        }
        Ok(outcome)
    }

    /// Repeats a scenario on the running server until it is decided whether the sampled quantity grows. `None` if it does not, if the
    /// server releases the resources when given time, or if the repetitions were cut short by another symptom.
    fn repeat(
        &mut self,
        scenario: &Scenario,
        sampled: Sampled,
        limits: &Limits,
        patient: bool,
    ) -> Result<Option<Grown>, HuntError> {
        let mut outcome = Outcome::default();
        // What the first batch fills, such as a cache, is no growth.
        if sampled.is_memory() && self.is_broken_by_batch(scenario, sampled, 0, &mut outcome)? {
            return Ok(None);
        }
        let mut samples = vec![self.sample(sampled)?];
        let before = self.running()?.world.server.described()?;
        let peers = self.running()?.world.peers_outside()?;
        let start = Instant::now();
        loop {
            let late = start.elapsed() > REPEATING_BOUND;
            let limits = if late { Limits { most: JUDGED, ..*limits } } else { *limits };
            match judge(&samples, &limits) {
                Trend::Grows => break,
                Trend::Undecided if !late => {}
                Trend::Undecided | Trend::Steady => return Ok(None),
            }
            match self.is_broken_by_batch(scenario, sampled, samples.len() - 1, &mut outcome)? {
                // Another symptom showed. If the resource grew until then, the server has used it up, and the growth is reported.
                true if !sampled.is_memory() && is_exhausting(&samples) => break,
                true => return Ok(None),
                false => samples.push(self.sample(sampled)?),
            }
        }
        outcome.output = self.output();
        if sampled.is_memory() {
            outcome.observe(&Observation::MemoryGrows);
            return Ok(Some(Grown { outcome, samples, left: Vec::new(), since: None }));
        }
        for seen in &mut outcome.seen {
            seen.evidence += "; ";
        }
        // What one repetition leaves may be collected by the next.
        let noted = [self.noted(scenario)?, self.noted(scenario)?];
        if !self.keeps(sampled, &samples, patient)? {
            return Ok(None);
        }
        outcome.doubt = self.doubt(peers)?;
        let left = descriptors::more(&before, &self.running()?.world.server.described()?);
        let now = self.running()?.world.server.sockets_and_pipes();
        let since = noted.iter().find_map(|noted| noted.since(&now));
        let since = since.and_then(|event| scenario.events().get(event).cloned());
        Ok(Some(Grown { outcome, samples, left, since }))
    }

    /// Another possible cause than a fault for what the server keeps. `peers` is the number of outside peers that it was connected to
    /// before.
    fn doubt(&mut self, peers: usize) -> Result<Option<String>, HuntError> {
        let world = &mut self.running()?.world;
        if world.peers_outside()? > peers {
            return Ok(Some("it may wait for peers that it has connected to".to_owned()));
        }
        let left = world.server.last_deadline().map(|deadline| deadline.saturating_duration_since(world.server.now()));
        let late = left.filter(|left| *left > PATIENCE);
        Ok(late.map(|left| format!("it may let go of it in {} s, until when it waits", left.as_secs())))
    }

    /// Plays a scenario as often as it is played between two samples, after `repetition` repetitions, and records in `outcome` the symptom
    /// that is sampled for. Returns true if it makes no sense to go on: another symptom showed, or a batch takes too long.
    fn is_broken_by_batch(
        &mut self,
        scenario: &Scenario,
        sampled: Sampled,
        repetition: usize,
        outcome: &mut Outcome,
    ) -> Result<bool, HuntError> {
        let start = Instant::now();
        let mut broken = false;
        for number in 1..=sampled.batch() {
            let number = repetition + number;
            // Early as well: what grows in a server that serves nobody any more has grown because of that.
            let attended = number.is_power_of_two() || number.is_multiple_of(ATTENDED);
            let polite = if attended { Attended::Yes } else { Attended::No };
            let mut run = self.run(scenario, self.repeating(polite))?;
            self.still_wanted()?;
            self.distrust_perturbed(&mut run);
            outcome.trace = run.trace;
            if !run.injected.is_empty() {
                outcome.injected = run.injected;
            }
            for seen in run.seen {
                broken |= sampled.is_memory() || !seen.signature.kind.is_left_behind();
                if sampled.kind() == seen.signature.kind {
                    outcome.seen = vec![seen];
                }
            }
            if broken || (sampled.is_memory() && start.elapsed() > BATCH_BOUND) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the server keeps what the repetitions have left, when it is given time.
    fn keeps(&mut self, sampled: Sampled, samples: &[u64], patient: bool) -> Result<bool, HuntError> {
        let half = samples.first().unwrap_or(&0) + growth(samples) / 2;
        let _doing = self.activity.enter(Activity::LetsGo);
        let mut time = Patience::new(&self.running()?.world.server);
        loop {
            if self.sample(sampled)? <= half {
                return Ok(false);
            }
            let world = &mut self.running()?.world;
            if world.has_spin() {
                // Another symptom, which has scenarios of its own.
                return Ok(false);
            }
            let bound = grace(world, &time, GRACE_REPEATED, patient);
            if world.is_at_rest() || time.is_up(&world.server, bound) {
                return Ok(true);
            }
            world.idle(time.next(&world.server, bound))?;
        }
    }

    fn sample(&mut self, sampled: Sampled) -> Result<u64, KernelError> {
        Ok(match sampled {
            Sampled::Counts(_, counted) => (counted.of)(&self.running()?.world.server.counts()) as u64,
            Sampled::Memory => self.resident()?,
        })
    }

    /// Measures what this number of polite clients leave on a fresh server, which replaces the running one. Serves at most [`MOST_POLITE`]
    /// clients. A control that was measured before with at least half as many clients is used again.
    fn control(&mut self, sampled: Sampled, clients: usize) -> Result<Control, HuntError> {
        let clients = clients.min(MOST_POLITE);
        let known = self.controls.iter().find(|(of, control)| *of == sampled.kind() && control.clients * 2 >= clients);
        if let Some((_, control)) = known {
            return Ok(*control);
        }
        self.fresh()?;
        if sampled.is_memory() {
            self.polite_clients(BATCH)?;
        }
        let before = self.sample(sampled)?;
        let clients = self.polite_clients(clients)?;
        let control = Control { clients, grown: self.sample(sampled)?.saturating_sub(before) };
        self.controls.push((sampled.kind(), control));
        Ok(control)
    }

    /// Serves polite clients one after the other. Returns how many were served.
    pub(super) fn polite_clients(&mut self, clients: usize) -> Result<usize, HuntError> {
        let (start, bound) = (Instant::now(), self.screening().bound);
        for served in 0..clients {
            if start.elapsed() > REPEATING_BOUND || !self.polite(bound, false)?.is_full() {
                return Ok(served);
            }
            self.still_wanted()?;
        }
        Ok(clients)
    }

    /// The resident memory of all processes, in bytes.
    fn resident(&mut self) -> Result<u64, KernelError> {
        let server = &mut self.running()?.world.server;
        server.survey()?;
        Ok(server.resident())
    }
}

/// How many connections a scenario makes at most.
pub(super) fn clients(scenario: &Scenario) -> usize {
    let connects = |event: &Event| {
        let times = if let Event::Repeat(repeat) = event { repeat.times() } else { 1 };
        let connects = event.parts().iter().filter(|part| matches!(part, Event::Client(_, Action::Connect)));
        connects.count() * times
    };
    scenario.events().iter().map(connects).sum()
}

/// What is left, in words to be appended to the evidence.
fn told_left(left: &[(String, usize)], since: Option<&Event>) -> String {
    /// How many kinds are told.
    const KINDS: usize = 3;
    let told: Vec<String> = left.iter().take(KINDS).map(|(what, n)| format!("{n} × {what}")).collect();
    if told.is_empty() {
        return String::new();
    }
    let since = since.map(|event| format!("; what one repetition leaves is there since `{event}`")).unwrap_or_default();
    format!("; left are: {}{since}", told.join(", "))
}

/// At most `most` of these samples, evenly spaced, including the first and the last.
fn evenly(samples: &[u64], most: usize) -> impl Iterator<Item = u64> {
    let count = samples.len().min(most);
    let last = samples.len().saturating_sub(1);
    (0..count).map(move |i| samples[i * last / count.saturating_sub(1).max(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_as_often_as_they_are_made() {
        let count = |text: &str| clients(&text.parse().unwrap());
        assert_eq!(count("a connect; b connect; a rst"), 2);
        assert_eq!(count("repeat 20 { a connect; b connect; a rst }; c connect"), 41);
        assert_eq!(count("hold; go"), 0);
    }

    #[test]
    fn some_samples_are_told_with_the_first_and_the_last() {
        let told = |samples: &[u64], most| evenly(samples, most).collect::<Vec<_>>();
        assert_eq!(told(&[1, 2, 3], 8), [1, 2, 3]);
        assert_eq!(told(&(0..=100).collect::<Vec<_>>(), 5), [0, 25, 50, 75, 100]);
        assert_eq!(told(&[7], 8), [7]);
        assert_eq!(told(&[], 8), [0; 0]);
    }
}
