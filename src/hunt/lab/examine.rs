//! Plays a scenario on a server, and records the symptoms.
//!
//! There are two ways. *Screening* plays a scenario on a server that has served others before, and checks what can be checked in almost no
//! time; most scenarios end there. *Examining* plays it on a fresh server and takes the time that the symptom needs.

use super::capacity::Asking;
use super::manner::Manner;
use super::repeat::clients;
use super::{EXAMINING, Lab, Running, SCREENING, written};
use crate::detect::detector::{Left, Observation};
use crate::detect::kind::Kind;
use crate::detect::outcome::{Outcome, Seen};
use crate::hunt::activity::Activity;
use crate::hunt::baseline::HuntError;
use crate::hunt::health_check::{Answered, PoliteClient};
use crate::linux::KernelError;
use crate::linux::foreign::patience::Patience;
use crate::linux::foreign::world::Foreign;
use crate::scenario::{Action, Client, Event, Scenario};
use crate::trace::{Role, Trace};
use crate::world::{play, play_watched};
use std::collections::BTreeSet;
use std::time::Duration;

/// A polite client may wait this many times as long as the slowest client of the warm-up, if that is longer than the fixed bound: when
/// examining, and when screening.
const SLOWER: u32 = 20;
const SLOWER_SCREENING: u32 = 4;
/// How long a server may keep resources that it then releases by itself.
const GRACE_SCREENING: Duration = Duration::from_millis(150);
const GRACE_EXAMINING: Duration = Duration::from_secs(1);
/// The same after many repetitions, each of which has left something behind.
pub(super) const GRACE_REPEATED: Duration = Duration::from_millis(500);
/// A server that waits with a timeout may release resources when the timeout expires. It is given until then, but no longer than this.
/// Timeouts of a minute and a little more are common.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// The same where the server's clock jumps, until it has done so [`MOST_JUMPS`] times: a server that wakes up again and again shows no
/// deadline but its next one.
const PATIENCE_VIRTUAL: Duration = Duration::from_secs(24 * 3600);
const MOST_JUMPS: u64 = 1000;
/// How long a server that ran short of a resource may leave its clients unserved, when examining and when screening.
const BACK_OFF: Duration = Duration::from_secs(10);
const BACK_OFF_SCREENING: Duration = Duration::from_secs(3);
/// The minimum time for which a suspected busy loop is watched. Some servers loop without blocking for the second or two for which they leave a client alone.
const CIRCLES: Duration = Duration::from_secs(3);
/// How many of the scenarios that a server has been through are kept.
const MOST_KEPT: usize = 300;
/// If a scenario has so many clients, the server must serve two polite clients at once afterwards, and not only one.
const CROWD: usize = 4;
/// A server is replaced by a fresh one when it has more than this many more processes, zombies, threads or descriptors than after its
/// warm-up.
const MOST_TOLERATED: usize = 200;

/// How much time a run gives the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long a polite client waits for its answer.
    pub(super) bound: Duration,
    /// How long the server may take to release resources.
    grace: Duration,
    /// Whether the server is also given until its own deadlines expire.
    patient: bool,
    /// Whether a busy server is watched for a while, to see whether it blocks.
    measures: bool,
    /// The minimum time for which it is watched.
    watched: Duration,
    /// Which polite clients take part.
    pub(super) polite: Attended,
}

impl Pace {
    /// The same with these polite clients.
    pub(super) fn attended(self, polite: Attended) -> Pace {
        Pace { polite, ..self }
    }

    /// The same for a server that ran short of a resource.
    fn backed_off(self) -> Pace {
        let back_off = if self.measures { BACK_OFF } else { BACK_OFF_SCREENING };
        Pace { bound: self.bound.max(back_off), ..self }
    }
}

/// Which polite clients take part besides the clients of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attended {
    /// None.
    No,
    /// One that is connected throughout, if the server serves several clients at once, and one afterwards.
    Yes,
    /// The same, and the client that comes afterwards stays connected throughout the next run.
    Stays,
}

impl Lab<'_> {
    /// Plays a scenario on the running server, and checks what can be checked in almost no time. A server that shows a symptom is ended.
    pub(in crate::hunt) fn screen(&mut self, scenario: &Scenario) -> Result<Outcome, HuntError> {
        if !self.is_warm() {
            self.fresh()?;
        }
        let mut outcome = self.run(scenario, self.screening())?;
        self.still_wanted()?;
        self.distrust_perturbed(&mut outcome);
        let Some(Running { world, counts, steady, .. }) = &self.running else { return Ok(outcome) };
        self.parallel |= world.server.is_parallel();
        self.floods |= world.server.emptied() > 0;
        let much = counts.exceed(steady, MOST_TOLERATED);
        // One that has been short of descriptors is as it was before.
        let harmed = outcome.seen.iter().any(|seen| seen.signature.kind != Kind::SpinWhileShort);
        if much || harmed {
            self.end();
            outcome.before = std::mem::take(&mut self.history).into();
        } else {
            self.history.push_back(scenario.clone());
            if self.history.len() > MOST_KEPT {
                self.history.pop_front();
            }
        }
        Ok(outcome)
    }

    /// Discards the symptoms of a run in which the harness made a call of the server's return EINTR.
    pub(super) fn distrust_perturbed(&mut self, outcome: &mut Outcome) {
        if let Some(running) = &mut self.running
            && running.world.was_perturbed()
            && !outcome.seen.is_empty()
        {
            self.distrusted += 1;
            outcome.seen.clear();
        }
    }

    /// From here on, screening ignores this symptom if it is a resource left behind.
    pub(in crate::hunt) fn tolerate(&mut self, kind: Kind) {
        if kind.is_left_behind() {
            self.tolerated.insert(kind);
        }
    }

    /// Plays a scenario on a fresh server, and examines it for one symptom. If `patient`, the server is given until its own deadlines
    /// expire to release resources.
    pub(in crate::hunt) fn examine(
        &mut self,
        scenario: &Scenario,
        kind: Kind,
        patient: bool,
    ) -> Result<Outcome, HuntError> {
        self.fresh()?;
        let mut outcome = if kind == Kind::LateReaping {
            self.reaps_late(scenario)?
        } else if let Some(counted) = kind.counted() {
            self.leaks(scenario, kind, counted, patient)?
        } else {
            let mut run = self.run(scenario, Pace { patient, ..self.closely() })?;
            self.distrust_perturbed(&mut run);
            let mut run = Outcome { output: self.output(), ..run };
            if kind == Kind::Collateral
                && run.seen.iter().any(|seen| seen.signature.kind == kind)
                && (self.ends_idle_connections(run.idle, self.closely())? || self.makes_room(clients(scenario))?)
            {
                run.seen.retain(|seen| seen.signature.kind != kind);
            }
            run
        };
        let worker = |seen: &Seen| seen.signature.kind == Kind::Exit && seen.signature.role == Role::Worker;
        if kind == Kind::Exit && outcome.seen.iter().any(worker) && self.workers_end(scenario)? {
            outcome.seen.retain(|seen| !worker(seen));
        }
        if kind == Kind::SlotLeak
            && outcome.seen.iter().any(|seen| seen.signature.kind == kind)
            && !self.stays_crowded()?
        {
            outcome.seen.retain(|seen| seen.signature.kind != kind);
        }
        if kind == Kind::RequestReset && !outcome.seen.is_empty() && !self.reads_in_time(scenario)? {
            outcome.seen.retain(|seen| seen.signature.kind != kind);
        }
        self.still_wanted()?;
        if kind == Kind::Throttling && outcome.seen.iter().any(|seen| seen.signature.kind == Kind::Unresponsive) {
            outcome.seen.extend(self.recovers()?.throttling());
        }
        outcome.seen.retain(|seen| seen.signature.kind == kind);
        if kind != Kind::Spin && !kind.is_left_behind() {
            // The doubt is about another symptom.
            outcome.doubt = None;
        }
        // The scenario may have damaged the server, so it serves no further run.
        self.end();
        Ok(outcome)
    }

    /// Whether a fresh server reads everything if no time passes once it was sent.
    fn reads_in_time(&mut self, scenario: &Scenario) -> Result<bool, HuntError> {
        let events = scenario.events();
        let sends = |event: &Event| matches!(event, Event::Client(_, Action::Send(_)));
        let Some(last) = events.iter().rposition(sends) else { return Ok(false) };
        let (until, after) = events.split_at(last);
        let after = after.iter().filter(|event| !matches!(event, Event::Wait(_)));
        let in_time = Scenario::from_valid(until.iter().chain(after).cloned().collect());
        self.fresh()?;
        let world = &mut self.running()?.world;
        play(world, &(), &in_time, &mut Trace::default())?;
        Ok(world.has_read_everything())
    }

    /// Plays a scenario on a fresh server, and watches for at least [`CIRCLES`] whether a busy loop ends by itself.
    pub(in crate::hunt) fn watch(&mut self, scenario: &Scenario) -> Result<Outcome, HuntError> {
        self.fresh()?;
        let outcome = self.run(scenario, Pace { watched: CIRCLES, ..self.closely() })?;
        self.end();
        self.still_wanted()?;
        Ok(outcome)
    }

    /// Plays a scenario on a fresh server, and examines it for every symptom that a single run can show.
    pub(in crate::hunt) fn look(&mut self, scenario: &Scenario) -> Result<Outcome, HuntError> {
        self.fresh()?;
        let pace = self.closely();
        self.run(scenario, pace)
    }

    /// The pace of screening.
    pub(super) fn screening(&self) -> Pace {
        let bound = SCREENING.max(self.latency * SLOWER_SCREENING);
        Pace {
            bound,
            grace: GRACE_SCREENING,
            patient: false,
            measures: false,
            watched: Duration::ZERO,
            polite: Attended::Stays,
        }
    }

    /// The pace of repetitions. The server is given no time to release resources after each, only after the last one.
    pub(super) fn repeating(&self, polite: Attended) -> Pace {
        Pace { grace: Duration::ZERO, polite, ..self.screening() }
    }

    /// The pace of examining.
    pub(super) fn closely(&self) -> Pace {
        let bound = EXAMINING.max(self.latency * SLOWER);
        Pace {
            bound,
            grace: GRACE_EXAMINING,
            patient: false,
            measures: true,
            watched: Duration::ZERO,
            polite: Attended::Yes,
        }
    }

    /// Plays a scenario on the running server.
    pub(super) fn run(&mut self, scenario: &Scenario, pace: Pace) -> Result<Outcome, HuntError> {
        let mut outcome = Outcome::default();
        let Running { world, bystander, scratch, .. } = self.running.as_mut().ok_or(KernelError::StillBorn)?;
        let written = written(scratch);
        world.ends();
        world.spin();
        world.spin_while_short();
        world.measures = pace.measures;
        world.measured_for = pace.watched;
        world.deadline = self.deadline;
        let stayed = bystander.take();
        let connected = world.server.now();
        let keeps = self.keeps_bystander();
        // A healthy server may close the connection of a client that is silent for as long as the scenario takes.
        let bystander = match self.outlasts(scenario) {
            true => {
                let world = &mut self.running()?.world;
                stayed.map_or(Ok(()), |mut client| client.leave(world))?;
                None
            }
            false => self.bystander(stayed, pace)?,
        };
        let capacity = self.capacity;
        let manner = (pace.polite != Attended::No).then(|| self.manner());
        let asking =
            manner.clone().map(|manner| Asking { manner, bound: pace.bound, capacity, examines: pace.measures });
        let world = &mut self.running()?.world;
        let mut shut = None;
        play_watched(world, &(), scenario, &mut outcome.trace, |world| {
            if let Some(asking) = &asking {
                shut = asking.while_held(world)?;
            }
            Ok(())
        })?;
        if world.vanished() > 0 {
            if bystander.is_none() {
                self.ask_beside_vanished(pace, &mut outcome)?;
            }
            self.running()?.world.reset_vanished()?;
        }
        let world = &mut self.running()?.world;
        outcome.injected = world.injected().to_vec();
        // A healthy server that ran short of a resource may stop accepting for a while.
        let pace = if world.was_short() { pace.backed_off() } else { pace };
        let mut spin = world.spin();
        if let Some(mut bystander) = bystander
            && spin.is_none()
            && world.main_ended().is_none()
        {
            bystander.bound = pace.bound;
            outcome.idle = world.server.now().saturating_duration_since(connected);
            let crowd = keeps && !world.was_short() && (pace.measures || clients(scenario) >= CROWD);
            Self::ask_bystander(world, bystander, manner.as_ref().filter(|_| crowd), &mut outcome)?;
            world.spins_on()?;
            spin = world.spin();
        }
        if let Some(spin) = world.spin_while_short() {
            outcome.spins_while_short(&spin, pace.measures);
        }
        let mut ends = world.ends();
        outcome.ends(&ends, "");
        if world.main_ended().is_some() {
            outcome.reported(&self.output_since(written), &ends);
            return Ok(outcome.sorted());
        }
        if let Some(spin) = spin {
            outcome.spins(&spin, pace.measures, world.was_limited());
            return Ok(outcome.sorted());
        }
        if !world.is_listening()? {
            outcome.observe(&Observation::NobodyListens(world.address()));
            return Ok(outcome.sorted());
        }
        self.look_at_what_is_left(pace, &mut outcome)?;
        let world = &mut self.running()?.world;
        if let Some(spin) = world.spin() {
            outcome.spins(&spin, pace.measures, world.was_limited());
            return Ok(outcome.sorted());
        }
        outcome.shut(shut.as_ref());
        for reset in world.reset_requests() {
            outcome.observe(&Observation::RequestReset(&reset));
        }
        for withheld in world.still_withheld() {
            outcome.observe(&Observation::FinWithheld(&withheld));
        }
        world.clear(None)?;
        if pace.polite != Attended::No {
            let waits: Vec<&'static str> = world.server.waits_in().iter().map(|(_, call)| *call).collect();
            let answered = self.polite(pace.bound, pace.polite == Attended::Stays && keeps)?;
            let world = &mut self.running()?.world;
            let later = world.ends();
            outcome.ends(&later, ", when a polite client came afterwards");
            ends.extend(later);
            if !answered.is_full() && world.main_ended().is_none() {
                outcome.observe(&Observation::ClientNotServed { answered: &answered, waits: &waits });
            }
        }
        outcome.reported(&self.output_since(written), &ends);
        Ok(outcome.sorted())
    }

    /// Asks as a polite client while one client has vanished, if the server serves others beside a client that is silent: one that has
    /// vanished must not make a difference.
    fn ask_beside_vanished(&mut self, pace: Pace, outcome: &mut Outcome) -> Result<(), HuntError> {
        let beside_silent = self.serves_beside_silent;
        let world = &mut self.running()?.world;
        if !beside_silent
            || pace.polite == Attended::No
            || world.vanished() > 1
            || world.has_spin()
            || world.main_ended().is_some()
        {
            return Ok(());
        }
        let waits: Vec<&'static str> = world.server.waits_in().iter().map(|(_, call)| *call).collect();
        let start = world.server.now();
        let answered = self.polite_beside(pace.bound)?;
        if answered.is_full() || self.running()?.world.main_ended().is_some() {
            return Ok(());
        }
        // How long that lasts is of interest only where the failure is examined.
        let later = if pace.measures { self.serves_beside_vanished(start)? } else { String::new() };
        let answered = format!("{answered} while one that has vanished was connected{later}");
        outcome.observe(&Observation::ClientNotServed { answered: &answered, waits: &waits });
        Ok(())
    }

    /// Whether the waits of a scenario take longer than the server lets a silent client stay.
    fn outlasts(&self, scenario: &Scenario) -> bool {
        let waits = scenario.events().iter().flat_map(Event::parts).filter_map(|event| match event {
            Event::Wait(wait) => Some(wait.time()),
            _ => None,
        });
        let shortest = self.marks.iter().filter(|mark| !mark.is_periodic).map(|mark| mark.time).min();
        shortest.is_some_and(|shortest| waits.sum::<Duration>() >= shortest / 2)
    }

    /// Whether a client can stay connected while others are served, and is still served afterwards.
    fn keeps_bystander(&self) -> bool {
        self.baseline.as_ref().is_some_and(|baseline| baseline.concurrent && baseline.keeps_alive)
    }

    /// The polite client that is connected throughout a run: the one that stayed from the last run, or a new one. `None` if there is to be
    /// none, or if it cannot connect.
    pub(super) fn bystander(
        &mut self,
        stayed: Option<PoliteClient>,
        pace: Pace,
    ) -> Result<Option<PoliteClient>, KernelError> {
        let (protocol, keeps, halfway) = (self.protocol(), self.keeps_bystander(), self.halfway);
        let world = &mut self.running()?.world;
        if let Some(mut client) = stayed {
            if client.is_connected(world).is_ok() {
                return Ok(Some(client));
            }
            // A server may end a connection that has been idle for long.
            world.clear(None)?;
        }
        if !(keeps || halfway) || pace.polite == Attended::No {
            return Ok(None);
        }
        let mut client = PoliteClient::new(Client::BYSTANDER, protocol, pace.bound);
        // One that can ask only once is in the middle of its request meanwhile.
        let is_there = client.connect(world)?.is_full() && (keeps || client.begin(world)?);
        Ok(is_there.then_some(client))
    }

    /// Makes a request as the polite client that was connected throughout, and records if it is not served. If it is, and there is a `manner`,
    /// the same for another one beside it.
    pub(super) fn ask_bystander(
        world: &mut Foreign,
        mut bystander: PoliteClient,
        manner: Option<&Manner<'_>>,
        outcome: &mut Outcome,
    ) -> Result<(), KernelError> {
        let answered = match bystander.is_connected(world) {
            Err(how) => Answered::CutOff(how),
            Ok(()) => bystander.ask(world)?,
        };
        if world.main_ended().is_some() {
            return Ok(());
        }
        if !answered.is_full() {
            outcome.observe(&Observation::BystanderNotServed(&answered));
        } else if let Some(manner) = manner {
            let beside = manner.ask(world, bystander.bound)?;
            if !beside.is_full() && world.main_ended().is_none() && !world.has_spin() {
                outcome.observe(&Observation::Crowded(&beside));
            }
        }
        bystander.leave(world)
    }

    /// Checks which resources are left when all clients have gone. A resource that is released within the grace period is not leaked.
    fn look_at_what_is_left(&mut self, pace: Pace, outcome: &mut Outcome) -> Result<(), KernelError> {
        let Running { world, counts, .. } = self.running.as_mut().ok_or(KernelError::StillBorn)?;
        let before = *counts;
        let tolerated = if pace.measures { &BTreeSet::new() } else { &self.tolerated };
        let mut patience = Patience::new(&world.server);
        let mut doing = None;
        let left = loop {
            let left = Left::of(world, before)?;
            let bound = grace(world, &patience, pace.grace, pace.patient);
            if left.kinds().iter().all(|kind| tolerated.contains(kind))
                || world.is_at_rest()
                || world.has_spin()
                || patience.is_up(&world.server, bound)
            {
                break left;
            }
            doing.get_or_insert_with(|| self.activity.enter(Activity::LetsGo));
            world.idle(patience.next(&world.server, bound))?;
        };
        outcome.has_fewer_tasks = left.now.processes < before.processes || left.now.threads < before.threads;
        outcome.observe(&Observation::Left(&left));
        // With fewer threads or processes a server serves fewer at once, whatever it counts.
        let counts_wrong = !outcome.has_fewer_tasks;
        let is_told = |kind: Kind| !tolerated.contains(&kind) && (counts_wrong || kind != Kind::SlotLeak);
        outcome.seen.retain(|seen| is_told(seen.signature.kind));
        // The next run is compared with these counts, so that leftovers that are ignored now are not reported then.
        self.running()?.counts = left.now;
        Ok(())
    }
}

/// How long a server is given to release resources: at least `least`. If `patient`, also until its last deadline expires, but no longer
/// than [`PATIENCE`] or [`PATIENCE_VIRTUAL`].
pub(super) fn grace(world: &mut Foreign, patience: &Patience, least: Duration, patient: bool) -> Duration {
    let own = patient.then(|| world.server.last_deadline()).flatten();
    let jumps = patience.jumps(&world.server).is_some_and(|jumps| jumps < MOST_JUMPS);
    let most = if jumps && !patience.is_long() { PATIENCE_VIRTUAL } else { PATIENCE };
    // A little longer, because the server still has work to do then.
    let own = own.map(|deadline| deadline.saturating_duration_since(patience.start).min(most) + GRACE_SCREENING);
    least.max(own.unwrap_or_default())
}
