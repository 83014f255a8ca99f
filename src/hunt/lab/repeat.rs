//! A scenario again and again on one server: what is left behind must come to an end ([`growth`](crate::hunt::growth)).
//!
//! What as many polite clients leave on a fresh server is held against it. Where that is as much, what grows may be a large pool, and it is
//! asked once more over more repetitions.

use super::Lab;
use super::examine::{Attended, GRACE_REPEATED, PATIENCE, grace};
use crate::detect::detector::{Counted, Observation};
use crate::detect::growth::{Limits, MEMORY, Trend, growth, is_exhausting, is_explained, judge};
use crate::detect::outcome::Outcome;
use crate::detect::symptom::Symptom;
use crate::hunt::activity::Activity;
use crate::hunt::baseline::TargetError;
use crate::linux::KernelError;
use crate::linux::foreign::patience::Patience;
use crate::scenario::{Action, Event, Scenario};
use std::time::{Duration, Instant};

/// How many repetitions there are between two samples of memory.
const BATCH: usize = 50;
/// How long a batch may take.
const BATCH_BOUND: Duration = Duration::from_secs(5);
/// For how long a scenario is repeated. A server that is slow is then judged by so many repetitions, if there were as many.
const REPEATING_BOUND: Duration = Duration::from_secs(60);
const JUDGED: usize = 100;
/// After so many repetitions it is seen whether the server still serves polite clients.
const ATTENDED: usize = 8;
/// How many polite clients are asked at most to see what they leave.
const MOST_POLITE: usize = 1000;
/// So many of the samples are told.
const TOLD: usize = 8;

/// What is left by so many polite clients that came one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    clients: usize,
    grown: u64,
}

/// What is sampled after each repetition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sampled {
    Counts(Symptom, Counted),
    Memory,
}

impl Sampled {
    const fn limits(self) -> Limits {
        match self {
            Sampled::Memory => MEMORY,
            Sampled::Counts(_, counted) => counted.limits,
        }
    }

    /// The kind of finding that it is sampled for.
    const fn symptom(self) -> Symptom {
        match self {
            Sampled::Counts(symptom, _) => symptom,
            Sampled::Memory => Symptom::MemoryGrowth,
        }
    }

    const fn is_memory(self) -> bool {
        matches!(self, Sampled::Memory)
    }

    /// How many repetitions there are between two samples.
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

/// What a scenario left behind over many repetitions, if it did and kept it.
struct Grown {
    outcome: Outcome,
    samples: Vec<u64>,
}

impl Lab<'_> {
    /// Plays a scenario many times on the fresh server that is there, and sees whether it leaves more and more of something behind.
    pub(super) fn leaks(
        &mut self,
        scenario: &Scenario,
        symptom: Symptom,
        counted: Counted,
        patient: bool,
    ) -> Result<Outcome, TargetError> {
        self.grows(scenario, Sampled::Counts(symptom, counted), patient, false)
    }

    /// Plays batches of a scenario on a fresh server, and sees whether it has more memory after each; if so, and it is to be `sure`, on
    /// another over more of them: a heap that is collected may take long to fill.
    pub(in crate::hunt) fn grows_in_memory(&mut self, scenario: &Scenario, sure: bool) -> Result<Outcome, TargetError> {
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
    ) -> Result<Outcome, TargetError> {
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
        let Grown { mut outcome, samples } = grown;
        let between =
            if sampled.batch() == 1 { "each repetition".to_owned() } else { format!("each {BATCH} repetitions") };
        let told: Vec<String> = evenly(&samples, TOLD).map(|sample| sampled.told(sample)).collect();
        let left = sampled.told(control.grown);
        for seen in &mut outcome.seen {
            seen.evidence += &format!(
                "at first and after {between}, {} in all: {}; {} polite clients, one after the other, leave {left} more",
                samples.len() - 1,
                told.join(", "),
                control.clients
            );
        }
        Ok(outcome)
    }

    /// Repeats a scenario on the server that is there until it is clear whether something grows. `None` if it does not, or is let go of
    /// when the server is given time.
    fn repeat(
        &mut self,
        scenario: &Scenario,
        sampled: Sampled,
        limits: &Limits,
        patient: bool,
    ) -> Result<Option<Grown>, TargetError> {
        let mut outcome = Outcome::default();
        // What is filled by the first batch is no growth.
        if sampled.is_memory() && self.is_broken_by_batch(scenario, sampled, 0, &mut outcome)? {
            return Ok(None);
        }
        let mut samples = vec![self.sample(sampled)?];
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
                // What it had is used up: that, too, is told by other names.
                true if !sampled.is_memory() && is_exhausting(&samples) => break,
                true => return Ok(None),
                false => samples.push(self.sample(sampled)?),
            }
        }
        outcome.output = self.output();
        if sampled.is_memory() {
            outcome.observe(&Observation::MemoryGrows);
            return Ok(Some(Grown { outcome, samples }));
        }
        for seen in &mut outcome.seen {
            seen.evidence += "; ";
        }
        if !self.keeps(sampled, &samples, patient)? {
            return Ok(None);
        }
        outcome.doubt = self.doubt(peers)?;
        Ok(Some(Grown { outcome, samples }))
    }

    /// What else than a fault may have the server keep what it keeps. It was connected to so many peers outside before.
    fn doubt(&mut self, peers: usize) -> Result<Option<String>, TargetError> {
        let world = &mut self.running()?.world;
        if world.peers_outside()? > peers {
            return Ok(Some("it may wait for peers that it has connected to".to_owned()));
        }
        let left = world.server.last_deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let late = left.filter(|left| *left > PATIENCE);
        Ok(late.map(|left| format!("it may let go of it in {} s, until when it waits", left.as_secs())))
    }

    /// Plays a scenario as often as it is played between two samples, after so many repetitions, and keeps in `outcome` what was seen of what
    /// is sampled. Whether something else went wrong, or the server is so slow that it would take too long, so that it makes no sense to
    /// go on.
    fn is_broken_by_batch(
        &mut self,
        scenario: &Scenario,
        sampled: Sampled,
        repetition: usize,
        outcome: &mut Outcome,
    ) -> Result<bool, TargetError> {
        let start = Instant::now();
        let mut broken = false;
        for number in 1..=sampled.batch() {
            let polite = if (repetition + number).is_multiple_of(ATTENDED) { Attended::Yes } else { Attended::No };
            let mut run = self.run(scenario, self.repeating(polite))?;
            self.still_wanted()?;
            self.distrust_perturbed(&mut run);
            outcome.trace = run.trace;
            if !run.injected.is_empty() {
                outcome.injected = run.injected;
            }
            for seen in run.seen {
                broken |= sampled.is_memory() || !seen.identity.symptom.is_left_behind();
                if sampled.symptom() == seen.identity.symptom {
                    outcome.seen = vec![seen];
                }
            }
            if broken || (sampled.is_memory() && start.elapsed() > BATCH_BOUND) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the server keeps what it has been left with when it is given time.
    fn keeps(&mut self, sampled: Sampled, samples: &[u64], patient: bool) -> Result<bool, TargetError> {
        let half = samples.first().unwrap_or(&0) + growth(samples) / 2;
        let _doing = self.activity.enter(Activity::LetsGo);
        let mut time = Patience::new();
        loop {
            if self.sample(sampled)? <= half {
                return Ok(false);
            }
            let world = &mut self.running()?.world;
            let bound = grace(world, &time, GRACE_REPEATED, patient);
            if world.is_at_rest() || time.is_up(&world.server, bound) {
                return Ok(true);
            }
            world.idle(time.next(bound))?;
        }
    }

    fn sample(&mut self, sampled: Sampled) -> Result<u64, KernelError> {
        Ok(match sampled {
            Sampled::Counts(_, counted) => (counted.of)(&self.running()?.world.server.counts()) as u64,
            Sampled::Memory => self.resident()?,
        })
    }

    /// What so many polite clients leave on a fresh server, which takes the place of the one that is there. Of many, only some come, and
    /// what is known already is not asked again.
    fn control(&mut self, sampled: Sampled, clients: usize) -> Result<Control, TargetError> {
        let clients = clients.min(MOST_POLITE);
        let known =
            self.controls.iter().find(|(of, control)| *of == sampled.symptom() && control.clients * 2 >= clients);
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
        self.controls.push((sampled.symptom(), control));
        Ok(control)
    }

    /// Has so many polite clients served, one after the other, and gives how many were.
    fn polite_clients(&mut self, clients: usize) -> Result<usize, TargetError> {
        let (start, bound) = (Instant::now(), self.screening().bound);
        for served in 0..clients {
            if start.elapsed() > REPEATING_BOUND || !self.polite(bound, false)?.is_full() {
                return Ok(served);
            }
            self.still_wanted()?;
        }
        Ok(clients)
    }

    /// Resident memory of all processes, in bytes.
    fn resident(&mut self) -> Result<u64, KernelError> {
        let residue = self.running()?.world.server.residue()?;
        Ok(residue.processes.values().map(|held| held.resident).sum())
    }
}

/// How many connections a scenario makes at most.
fn clients(scenario: &Scenario) -> usize {
    let connects = |event: &Event| {
        let times = if let Event::Repeat(repeat) = event { repeat.times() } else { 1 };
        let connects = event.parts().iter().filter(|part| matches!(part, Event::Client(_, Action::Connect)));
        connects.count() * times
    };
    scenario.events().iter().map(connects).sum()
}

/// So many of these samples, at even distances, the first and the last among them.
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
