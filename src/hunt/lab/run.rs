//! Plays a scenario on the running server, between polite clients, and records every symptom that a single run can show.

use super::capacity::Asking;
use super::manner::Manner;
use super::pace::{Attended, Pace, grace};
use super::repeat::clients;
use super::{Lab, Running, written};
use crate::detect::detector::{Left, Observation};
use crate::detect::kind::Kind;
use crate::detect::outcome::Outcome;
use crate::hunt::activity::Activity;
use crate::hunt::baseline::HuntError;
use crate::hunt::health_check::{Answered, PoliteClient};
use crate::linux::KernelError;
use crate::linux::foreign::patience::Patience;
use crate::linux::foreign::world::Foreign;
use crate::scenario::{Client, Event, Scenario};
use crate::world::play_watched;
use std::collections::BTreeSet;
use std::time::Duration;

/// If a scenario has so many clients, the server must serve two polite clients at once afterwards, and not only one.
const CROWD: usize = 4;

impl Lab<'_> {
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
        let questions = self.questions.clone();
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
        let is_there = client.connect(world)?.is_full()
            && client.converse(world, &questions)?.is_full()
            && (keeps || client.begin(world)?);
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
