//! What a scenario makes of a server.
//!
//! A scenario is looked at twice. *Screening* plays it on a server that has served others before, and asks what can be asked in no time;
//! most scenarios end there. *Examining* plays it on a fresh server and takes the time that the question needs.

use super::{EXAMINING, Lab, Running, SCREENING, written};
use crate::kernel::KernelError;
use crate::kernel::foreign::residue::Counts;
use crate::kernel::foreign::world::{Circle, Foreign};
use crate::play::play;
use crate::scenario::{Client, Scenario};
use crate::target::baseline::TargetError;
use crate::target::identity::Identity;
use crate::target::outcome::{Left, Outcome};
use crate::target::polite::{Answered, PoliteClient};
use crate::target::protocol::Protocol;
use crate::target::symptom::Symptom;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many times as long as the first polite client a later one may have to wait, if that is longer.
const SLOWER: u32 = 20;
/// For how long a server may hold on to what it will let go of by itself.
const GRACE_SCREENING: Duration = Duration::from_millis(150);
const GRACE_EXAMINING: Duration = Duration::from_secs(1);
/// The same between repetitions, and after several of them, each of which has left something already.
const GRACE_REPEATING: Duration = Duration::from_millis(20);
const GRACE_REPEATED: Duration = Duration::from_millis(500);
/// A server that waits with a time limit does something when it is up, and may let go of things then: it is given until then, but no
/// longer than this. Timeouts of a minute and a little more are common.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a server may leave its clients alone that was told that it is short of something, and the same while scenarios are screened.
const BACK_OFF: Duration = Duration::from_secs(10);
const BACK_OFF_SCREENING: Duration = Duration::from_secs(3);
/// How much more of what is tolerated a server may have before it makes way for a fresh one.
const MOST_TOLERATED: usize = 200;
/// A server that recovers is given so long to do so, to tell how long it takes.
const RECOVERY: Duration = Duration::from_secs(20);
/// How often a scenario is repeated to see whether something grows.
pub(in crate::target) const REPEATS: usize = 5;
/// How much time a run takes for its questions.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// For a polite client's answer.
    bound: Duration,
    /// For a server to let go of what it has.
    grace: Duration,
    /// Whether the server gets the time that it has given itself, too.
    patient: bool,
    /// Whether a server at work in a circle is watched for a while.
    measures: bool,
    /// Whether the polite client afterwards stays, to be the bystander of the next run.
    stays: bool,
}

/// Of several repetitions, it is the last after which a server is given time.
const REPEATING: Pace = Pace { grace: GRACE_REPEATING, stays: false, ..SCREENING_PACE };
const SCREENING_PACE: Pace =
    Pace { bound: SCREENING, grace: GRACE_SCREENING, patient: false, measures: false, stays: true };

impl Lab<'_> {
    /// Plays a scenario on the server that is there, and asks what can be asked in no time. A server against which something speaks is ended.
    pub(in crate::target) fn screen(&mut self, scenario: &Scenario) -> Result<Outcome, TargetError> {
        if !self.is_warm() {
            self.fresh()?;
        }
        let mut outcome = self.run(scenario, SCREENING_PACE)?;
        self.still_wanted()?;
        self.distrust_perturbed(&mut outcome);
        let Some(Running { world, counts, steady, .. }) = &self.running else { return Ok(outcome) };
        self.parallel |= world.server.is_parallel();
        self.floods |= world.server.emptied() > 0;
        let much = counts.exceed(steady, MOST_TOLERATED);
        if much || !outcome.seen.is_empty() {
            self.end();
        }
        Ok(outcome)
    }

    /// Drops what was seen in a run in which the gate has changed what the server saw.
    fn distrust_perturbed(&mut self, outcome: &mut Outcome) {
        if let Some(running) = &mut self.running
            && running.world.was_perturbed()
        {
            outcome.seen.clear();
        }
    }

    /// From here on, screening passes over this symptom, which is known.
    pub(in crate::target) fn tolerate(&mut self, symptom: Symptom) {
        if symptom.is_left_behind() {
            self.tolerated.insert(symptom);
        }
    }

    /// Plays a scenario on a fresh server, and looks closely for one symptom. With patience, a server is given as much time to let go of
    /// something as it has given itself.
    pub(in crate::target) fn examine(
        &mut self,
        scenario: &Scenario,
        symptom: Symptom,
        patient: bool,
    ) -> Result<Outcome, TargetError> {
        self.fresh()?;
        let mut outcome = match symptom {
            Symptom::FdLeak | Symptom::ProcessLeak | Symptom::ThreadLeak | Symptom::Zombie => {
                self.grows(scenario, symptom, patient)?
            }
            _ => self.run(scenario, Pace { patient, ..self.closely() })?,
        };
        self.still_wanted()?;
        self.distrust_perturbed(&mut outcome);
        outcome.seen.retain(|seen| seen.identity.symptom == symptom);
        outcome.output = self.output();
        // What it was made into is nothing to go on with.
        self.end();
        Ok(outcome)
    }

    /// Plays a scenario on a fresh server, and looks closely for whatever a single run can show.
    pub(in crate::target) fn look(&mut self, scenario: &Scenario) -> Result<Outcome, TargetError> {
        self.fresh()?;
        let pace = self.closely();
        self.run(scenario, pace)
    }

    /// How scenarios are played that are looked at closely.
    fn closely(&self) -> Pace {
        let bound = EXAMINING.max(self.latency * SLOWER);
        Pace { bound, grace: GRACE_EXAMINING, patient: false, measures: true, stays: false }
    }

    /// Plays a scenario several times, and sees whether something is more each time, and stays so.
    fn grows(&mut self, scenario: &Scenario, symptom: Symptom, patient: bool) -> Result<Outcome, TargetError> {
        let measure = |counts: Counts| match symptom {
            Symptom::ProcessLeak => counts.processes,
            Symptom::ThreadLeak => counts.threads,
            Symptom::Zombie => counts.zombies,
            _ => counts.descriptors,
        };
        let first = measure(self.running()?.counts);
        let mut all = vec![first];
        let mut outcome = Outcome::default();
        for _ in 0..REPEATS {
            let run = self.run(scenario, REPEATING)?;
            let Some(seen) = run.seen.into_iter().find(|seen| seen.identity.symptom == symptom) else {
                return Ok(Outcome { trace: run.trace, injected: run.injected, ..Outcome::default() });
            };
            all.push(measure(self.running()?.world.server.counts()));
            outcome = Outcome { trace: run.trace, seen: vec![seen], injected: run.injected, ..Outcome::default() };
        }
        let start = Instant::now();
        loop {
            let world = &mut self.running()?.world;
            let deadline = grace(world, start, GRACE_REPEATED, patient);
            let last = measure(world.server.counts());
            let grown = all.is_sorted_by(|x, y| x < y) && last >= first + REPEATS;
            if !grown {
                outcome.seen.clear();
                break;
            }
            if world.is_at_rest() || Instant::now() >= deadline {
                break;
            }
            world.idle(deadline)?;
        }
        let all: Vec<String> = all.iter().map(usize::to_string).collect();
        for seen in &mut outcome.seen {
            seen.evidence += &format!("; over {REPEATS} repetitions: {}", all.join(", "));
        }
        Ok(outcome)
    }

    /// How long it takes after this scenario until a polite client is served again, in words.
    pub(in crate::target) fn recovery(&mut self, scenario: &Scenario) -> Result<String, TargetError> {
        self.fresh()?;
        let pace = self.closely();
        self.run(scenario, pace)?;
        let start = Instant::now();
        while start.elapsed() < RECOVERY {
            let rests = self.running()?.world.is_at_rest();
            self.still_wanted()?;
            if rests {
                return Ok("; it waits without any time limit, and will not recover".to_owned());
            }
            self.running()?.world.idle(Instant::now() + SCREENING)?;
            if self.polite(SCREENING, false)?.is_full() {
                return Ok(format!("; it recovered {:.0} s later", (pace.bound + start.elapsed()).as_secs_f64()));
            }
        }
        Ok(format!("; nor {} s later", (pace.bound + RECOVERY).as_secs()))
    }

    /// Plays a scenario on the server that is there.
    fn run(
        &mut self,
        scenario: &Scenario,
        Pace { bound, grace, patient, measures, stays }: Pace,
    ) -> Result<Outcome, TargetError> {
        let protocol = self.protocol();
        let keeps = self.baseline.as_ref().is_some_and(|b| b.concurrent && b.keeps_alive);
        let Running { world, counts: before, bystander, scratch, .. } =
            self.running.as_mut().ok_or(KernelError::StillBorn)?;
        let mut outcome = Outcome::default();
        let written = written(scratch);
        world.ends();
        world.spin();
        world.measures = measures;
        let mut stayed = bystander.take();
        if let Some(client) = &mut stayed
            && client.is_connected(world).is_err()
        {
            // A server may end a connection that has been idle for long.
            stayed = None;
            world.clear(None)?;
        }
        let mut bystands = stayed.is_some();
        let mut bystander = stayed.unwrap_or_else(|| PoliteClient::new(Client::BYSTANDER, protocol, bound));
        if !bystands {
            bystands = keeps && bystander.connect(world)?.is_full();
        }
        play(world, &(), scenario, &mut outcome.trace)?;
        outcome.injected = world.injected().to_vec();
        // An honest server that was short of something leaves its listener alone for a while.
        let bound =
            if world.was_short() { bound.max(if measures { BACK_OFF } else { BACK_OFF_SCREENING }) } else { bound };
        bystander.bound = bound;
        let spin = world.spin();
        if spin.is_none() && bystands && world.main_ended().is_none() {
            let still = match bystander.is_connected(world) {
                Err(how) => Err(Answered::CutOff(how)),
                Ok(()) if protocol == Protocol::None => Ok(()),
                Ok(()) => match bystander.ask(world)? {
                    Answered::Full { .. } => Ok(()),
                    other => Err(other),
                },
            };
            if let Err(how) = still
                && world.main_ended().is_none()
            {
                let evidence = format!("a polite client that was connected throughout: {how}");
                outcome.add(Identity::of(Symptom::Collateral), evidence);
            }
            if world.main_ended().is_none() {
                bystander.leave(world)?;
            }
        }
        let spin = spin.or_else(|| world.spin());
        let mut ends = world.ends();
        outcome.ends(&ends, "");
        if world.main_ended().is_some() {
            outcome.reported(&self.output_since(written), &ends);
            return Ok(outcome.sorted());
        }
        if let Some(spin) = spin {
            let what = match spin.call {
                Some((call, Some(fd))) => format!("{call} on descriptor {fd}, again and again"),
                Some((call, None)) => format!("{call}, again and again"),
                None => format!("task {} does not come to rest", spin.task),
            };
            let measured = spin.measured.map(|circle| {
                let Circle { calls, processor, .. } = circle;
                let time = processor.as_millis();
                format!("; while nobody asked anything of it: {calls} calls, {time} ms of processor time, and it never blocked")
            });
            let lifted = if world.was_limited() { "; the limit had been lifted" } else { "" };
            let measured = measured.unwrap_or_default() + lifted;
            let circles = spin.measured.is_some_and(|circle| !circle.rested);
            if !measures || circles {
                let (call, state) = (spin.known_by.map(|last| last.name), spin.known_by.and_then(|last| last.state));
                outcome.add(Identity { call, state, ..Identity::of(Symptom::Spin) }, what + &measured);
            }
            return Ok(outcome.sorted());
        }
        if !world.is_listening()? {
            let evidence = format!("nobody listens on {} any more", world.address());
            outcome.add(Identity::of(Symptom::NotListening), evidence);
            return Ok(outcome.sorted());
        }
        let before = *before;
        let start = Instant::now();
        let tolerated = if measures { &BTreeSet::new() } else { &self.tolerated };
        // What it lets go of in its own time is no leak.
        let left = loop {
            let deadline = self::grace(world, start, grace, patient);
            let left = Left::of(world, before)?;
            if left.symptoms().all(|symptom| tolerated.contains(&symptom))
                || Instant::now() >= deadline
                || world.is_at_rest()
            {
                break left;
            }
            world.idle(deadline)?;
        };
        outcome.left(&left);
        outcome.seen.retain(|seen| !tolerated.contains(&seen.identity.symptom));
        // What is let go of late is gone from here on, and what is tolerated is not told again.
        self.running.as_mut().ok_or(KernelError::StillBorn)?.counts = left.now;
        let Running { world, .. } = self.running.as_mut().ok_or(KernelError::StillBorn)?;
        world.clear(None)?;
        let waits: Vec<String> = world.server.waits_in().iter().map(|(_, call)| (*call).to_owned()).collect();
        let answered = self.polite(bound, stays && keeps)?;
        let Running { world, .. } = self.running.as_mut().ok_or(KernelError::StillBorn)?;
        let later = world.ends();
        outcome.ends(&later, ", when a polite client came afterwards");
        ends.extend(later);
        if !answered.is_full() && world.main_ended().is_none() {
            let waits =
                if waits.is_empty() { String::new() } else { format!("; the server waits in {}", waits.join(", ")) };
            outcome.add(Identity::of(Symptom::Unresponsive), format!("a polite client afterwards: {answered}{waits}"));
        }
        outcome.reported(&self.output_since(written), &ends);
        Ok(outcome.sorted())
    }

    /// Resident memory of all processes, in bytes.
    pub(in crate::target) fn resident(&mut self) -> Result<u64, KernelError> {
        let residue = self.running()?.world.server.residue()?;
        Ok(residue.processes.values().map(|held| held.resident).sum())
    }
}

/// Until when a server is given time that began at `start`: so much, or, with patience, until the time is up that it has given itself.
fn grace(world: &mut Foreign, start: Instant, least: Duration, patient: bool) -> Instant {
    // A little more, for what it then has to do.
    let own = |deadline: Instant| deadline.min(start + PATIENCE) + GRACE_SCREENING;
    (start + least).max(patient.then(|| world.server.last_deadline()).flatten().map_or(start, own))
}
