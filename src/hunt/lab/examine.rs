//! Plays a scenario on a server, and records the symptoms.
//!
//! There are two ways. *Screening* plays a scenario on a server that has served others before, and checks what can be checked in almost no
//! time; most scenarios end there. *Examining* plays it on a fresh server and takes the time that the symptom needs.

use super::pace::{CIRCLES, Pace};
use super::repeat::clients;
use super::{Lab, Running};
use crate::detect::kind::Kind;
use crate::detect::outcome::{Outcome, Seen};
use crate::hunt::baseline::HuntError;
use crate::scenario::{Action, Event, Scenario};
use crate::trace::{Role, Trace};
use crate::world::play;

/// How many of the scenarios that a server has been through are kept.
const MOST_KEPT: usize = 300;
/// A server is replaced by a fresh one when it has more than this many more processes, zombies, threads or descriptors than after its
/// warm-up.
const MOST_TOLERATED: usize = 200;

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
}
