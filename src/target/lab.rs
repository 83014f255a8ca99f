//! Where a target is tried: a server at a time, what it is like under polite clients, and what a scenario makes of it.
//!
//! A scenario is looked at twice. *Screening* plays it on a server that has served others before, and asks what can be asked in no time;
//! most scenarios end there. *Examining* plays it on a fresh server and takes the time that the question needs.

use super::baseline::{Baseline, TargetError};
use super::command::{OUTPUT, Polite, Target};
use super::outcome::{Left, Outcome};
use super::polite::{Answered, PoliteClient};
use super::protocol::Protocol;
use super::scratch::Scratch;
use super::symptom::Symptom;
use crate::kernel::KernelError;
use crate::kernel::foreign::network;
use crate::kernel::foreign::residue::Counts;
use crate::kernel::foreign::start::NotListening;
use crate::kernel::foreign::world::{Circle, Foreign};
use crate::play::play;
use crate::scenario::{Client, Scenario};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// For how long a polite client waits for its answer while scenarios are screened, and when one is examined.
const SCREENING: Duration = Duration::from_millis(250);
const EXAMINING: Duration = Duration::from_secs(1);
/// The same for the first answers, before it is known how long they take.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
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
/// How much more of what is tolerated a server may have before it makes way for a fresh one.
const MOST_TOLERATED: usize = 200;
/// A server that recovers is given so long to do so, to tell how long it takes.
const RECOVERY: Duration = Duration::from_secs(20);
/// How often a scenario is repeated to see whether something grows.
pub(super) const REPEATS: usize = 5;
/// Polite clients that a fresh server may need until what it has no longer grows: pools and caches fill at first use.
const WARM_UP: usize = 12;
/// How many of them must change nothing.
const STEADY: usize = 3;

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

#[derive(Debug)]
struct Running {
    world: Foreign,
    counts: Counts,
    /// What it had when it had just been warmed up.
    steady: Counts,
    /// A polite client that is connected and has been served.
    bystander: Option<PoliteClient>,
    scratch: Scratch,
}

/// A place to try a target in. It is a thread's own.
#[derive(Debug)]
pub(super) struct Lab<'t> {
    target: &'t Target,
    port: u16,
    namespace: bool,
    pid_namespace: bool,
    no_gate: Option<String>,
    baseline: Option<Baseline>,
    running: Option<Running>,
    /// How long the slowest of the first polite clients waited.
    latency: Duration,
    /// What is known of the target, or is only let go of late.
    tolerated: BTreeSet<Symptom>,
    /// Servers that were started.
    pub(super) started: u64,
    /// Set when somebody wants it to stop.
    stop: Arc<AtomicBool>,
}

impl<'t> Lab<'t> {
    /// Moves the calling thread into a network of its own, if it may have one and is not in one already, and tries the server out.
    pub(super) fn open(target: &'t Target, stop: Arc<AtomicBool>) -> Result<Lab<'t>, TargetError> {
        let namespace = target.namespace && network::enter()?;
        if !namespace && !target.names_port() && !target.listen_fd {
            let why = "without a network of its own the server's port cannot be told from others: put {port} into the command";
            return Err(TargetError::Command(why.to_owned()));
        }
        let mut lab = Lab {
            target,
            port: network::free_port()?,
            namespace,
            pid_namespace: network::may_have_pid_namespace(),
            no_gate: (!target.gate).then(|| "it was not asked for".to_owned()),
            baseline: None,
            running: None,
            latency: Duration::ZERO,
            tolerated: BTreeSet::new(),
            started: 0,
            stop,
        };
        lab.fresh()?;
        Ok(lab)
    }

    /// What is tried.
    pub(super) const fn target(&self) -> &'t Target {
        self.target
    }

    /// What the server is like.
    pub(super) fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_ref()
    }

    /// Whether a server is there that nothing speaks against.
    pub(super) fn is_warm(&self) -> bool {
        self.running.is_some()
    }

    /// Ends the server that is there, if one is.
    pub(super) fn end(&mut self) {
        self.running = None;
    }

    /// The end of what the server wrote.
    pub(super) fn output(&self) -> String {
        let Some(running) = &self.running else { return String::new() };
        let text = end_of(&running.scratch.path().join(OUTPUT));
        match running.world.server.emptied() {
            0 => text,
            n => format!("(what it wrote before was thrown away, {n} times, for it was too much)\n{text}"),
        }
    }

    /// Starts a fresh server in place of the one that is there, and has it serve polite clients until it is steady.
    pub(super) fn fresh(&mut self) -> Result<(), TargetError> {
        self.running = None;
        if !self.namespace {
            self.port = network::free_port()?;
        }
        let scratch = Scratch::new().map_err(|e| TargetError::Command(format!("a scratch folder: {e}")))?;
        if let Some(setup) = &self.target.setup {
            super::shell::run(&Target::filled(setup, self.port, scratch.path()), scratch.path())
                .map_err(|why| TargetError::Command(format!("the setup command: {why}")))?;
        }
        let mut plan = self.target.plan(self.port, scratch.path()).map_err(TargetError::Command)?;
        plan.gate &= self.no_gate.is_none();
        let port = (self.target.names_port() || self.target.listen_fd).then_some(self.port);
        let started = Foreign::start(&plan, port, self.pid_namespace, &self.stop);
        let world = match started {
            Err(NotListening::Ring) => {
                self.no_gate = Some("it uses io_uring, whose calls no filter sees".to_owned());
                return self.fresh();
            }
            Err(NotListening::Kernel(error)) => return Err(error.into()),
            Err(NotListening::Stopped) => return Err(TargetError::Stopped),
            Err(why) => {
                let output = end_of(&scratch.path().join(OUTPUT));
                return Err(TargetError::NotListening { why: why.to_string(), output });
            }
            Ok(world) => world,
        };
        self.started += 1;
        let none = Counts::default();
        self.running = Some(Running { world, counts: none, steady: none, bystander: None, scratch });
        self.warm_up()?;
        if self.baseline.is_none() {
            self.baseline = Some(self.learn()?);
            // Whatever it took to learn that is no part of anything else.
            return self.fresh();
        }
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Running, KernelError> {
        self.running.as_mut().ok_or(KernelError::StillBorn)
    }

    /// Has polite clients served one after the other until what the server has stays the same.
    fn warm_up(&mut self) -> Result<(), TargetError> {
        let mut steady = 0;
        for _ in 0..WARM_UP {
            let start = Instant::now();
            let answered = self.polite(FIRST_ANSWER, false)?;
            self.latency = self.latency.max(start.elapsed());
            if !answered.is_full() {
                return Err(TargetError::Impolite { why: answered.to_string(), output: self.output() });
            }
            let running = self.running()?;
            let counts = running.world.server.counts();
            steady = if counts == running.counts { steady + 1 } else { 0 };
            running.counts = counts;
            running.steady = counts;
            if steady == STEADY {
                break;
            }
        }
        Ok(())
    }

    /// Has one polite client served, which may then stay as a bystander.
    fn polite(&mut self, bound: Duration, stays: bool) -> Result<Answered, KernelError> {
        let (answers, protocol) = (self.baseline.as_ref().is_some_and(|b| b.answers), self.protocol());
        if let Polite::Command(command) = &self.target.polite {
            let command = Target::filled(command, self.port, Path::new("."));
            let running = self.running.as_mut().ok_or(KernelError::StillBorn)?;
            return super::shell::ask(&command, &mut running.world, bound.max(EXAMINING));
        }
        let running = self.running()?;
        let mut client = PoliteClient::new(Client::PROBE, protocol, bound);
        let mut answered = client.connect(&mut running.world)?;
        if answered.is_full() {
            answered = client.ask(&mut running.world)?;
        }
        if answered.is_full() && protocol == Protocol::None {
            answered = client.let_in(&mut running.world, answers)?;
        }
        let running = self.running()?;
        if stays && answered == (Answered::Full { open: true }) {
            running.bystander = Some(client.stay(Client::BYSTANDER, &mut running.world));
        } else {
            client.leave(&mut running.world)?;
        }
        running.world.clear(Some(Client::BYSTANDER))?;
        Ok(answered)
    }

    fn protocol(&self) -> Protocol {
        match self.target.polite {
            Polite::As(protocol) => protocol,
            _ => self.target.protocol,
        }
    }

    /// What the server is like under two polite clients at once.
    fn learn(&mut self) -> Result<Baseline, TargetError> {
        let protocol = self.protocol();
        let asks = !matches!(self.target.polite, Polite::Command(_));
        let mut baseline = Baseline {
            concurrent: false,
            keeps_alive: false,
            answers: false,
            sigpipe: String::new(),
            gate: self.no_gate.clone().map_or(Ok(()), Err),
            namespace: self.namespace,
            idle: String::new(),
        };
        let running = self.running()?;
        let main = running.world.main();
        baseline.sigpipe = crate::kernel::sigpipe_of(main).unwrap_or_else(|e| e.to_string());
        baseline.idle = idle(&running.counts);
        let mut holder = PoliteClient::new(Client::BYSTANDER, protocol, EXAMINING);
        let held = holder.connect(&mut running.world)?;
        if asks && protocol != Protocol::None && held.is_full() {
            holder.ask(&mut running.world)?;
        }
        baseline.answers = holder.has_something(&mut running.world);
        let other = self.polite_beside(SCREENING)?;
        baseline.concurrent = other.is_full();
        let running = self.running()?;
        if baseline.concurrent && asks {
            baseline.keeps_alive = match protocol {
                Protocol::None => holder.is_connected(&mut running.world).is_ok(),
                _ => holder.is_connected(&mut running.world).is_ok() && holder.ask(&mut running.world)?.is_full(),
            };
        }
        Ok(baseline)
    }

    /// A polite client while another is connected: nothing is cleared away.
    fn polite_beside(&mut self, bound: Duration) -> Result<Answered, KernelError> {
        if let Polite::Command(command) = &self.target.polite {
            let command = Target::filled(command, self.port, Path::new("."));
            return super::shell::ask(&command, &mut self.running()?.world, bound);
        }
        let protocol = self.protocol();
        let world = &mut self.running()?.world;
        let mut client = PoliteClient::new(Client::PROBE, protocol, bound);
        let mut answered = client.connect(world)?;
        if answered.is_full() {
            answered = client.ask(world)?;
        }
        if answered.is_full() && protocol == Protocol::None {
            answered = client.let_in(world, false)?;
        }
        client.leave(world)?;
        Ok(answered)
    }

    /// Plays a scenario on the server that is there, and asks what can be asked in no time. A server against which something speaks is ended.
    pub(super) fn screen(&mut self, scenario: &Scenario) -> Result<Outcome, TargetError> {
        if !self.is_warm() {
            self.fresh()?;
        }
        let outcome = self.run(scenario, SCREENING_PACE)?;
        let much = self.running.as_ref().is_some_and(|r| r.counts.exceed(&r.steady, MOST_TOLERATED));
        if much || !outcome.seen.is_empty() {
            self.end();
        }
        Ok(outcome)
    }

    /// From here on, screening passes over this symptom, which is known.
    pub(super) fn tolerate(&mut self, symptom: Symptom) {
        if symptom.is_left_behind() {
            self.tolerated.insert(symptom);
        }
    }

    /// Plays a scenario on a fresh server, and looks closely for one symptom. With patience, a server is given as much time to let go of
    /// something as it has given itself.
    pub(super) fn examine(
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
        outcome.seen.retain(|seen| seen.symptom == symptom);
        outcome.output = self.output();
        Ok(outcome)
    }

    /// Plays a scenario on a fresh server, and looks closely for whatever a single run can show.
    pub(super) fn look(&mut self, scenario: &Scenario) -> Result<Outcome, TargetError> {
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
            let Some(seen) = run.seen.into_iter().find(|seen| seen.symptom == symptom) else {
                return Ok(Outcome { trace: run.trace, ..Outcome::default() });
            };
            all.push(measure(self.running()?.world.server.counts()));
            outcome = Outcome { trace: run.trace, seen: vec![seen], ..Outcome::default() };
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
    pub(super) fn recovery(&mut self, scenario: &Scenario) -> Result<String, TargetError> {
        self.fresh()?;
        let pace = self.closely();
        self.run(scenario, pace)?;
        let start = Instant::now();
        while start.elapsed() < RECOVERY {
            let world = &mut self.running()?.world;
            if world.is_at_rest() {
                return Ok("; it waits without any time limit, and will not recover".to_owned());
            }
            world.idle(Instant::now() + SCREENING)?;
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
        let Running { world, counts: before, bystander, .. } = self.running.as_mut().ok_or(KernelError::StillBorn)?;
        let mut outcome = Outcome::default();
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
                outcome.add(
                    Symptom::Collateral,
                    format!("a polite client that was connected throughout: {how}"),
                    true,
                    None,
                );
            }
            if world.main_ended().is_none() {
                bystander.leave(world)?;
            }
        }
        let spin = spin.or_else(|| world.spin());
        let mut ends = world.ends();
        outcome.ends(&ends);
        if world.main_ended().is_some() {
            outcome.reported(&self.output());
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
                format!("; in a second in which nobody asked anything of it: {calls} calls, {time} ms of processor time, no rest")
            });
            let measured = measured.unwrap_or_default();
            let circles = spin.measured.is_some_and(|circle| !circle.rested);
            if !measures || circles {
                outcome.add(Symptom::Spin, what + &measured, true, spin.call.map(|call| call.0.to_owned()));
            }
            return Ok(outcome.sorted());
        }
        if !world.is_listening()? {
            outcome.add(Symptom::NotListening, format!("nobody listens on {} any more", world.address()), true, None);
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
        outcome.seen.retain(|seen| !tolerated.contains(&seen.symptom));
        // What is let go of late is gone from here on, and what is tolerated is not told again.
        self.running.as_mut().ok_or(KernelError::StillBorn)?.counts = left.now;
        let Running { world, .. } = self.running.as_mut().ok_or(KernelError::StillBorn)?;
        world.clear(None)?;
        let waits: Vec<String> = world.server.waits_in().iter().map(|(_, call)| (*call).to_owned()).collect();
        let answered = self.polite(bound, stays && keeps)?;
        let Running { world, .. } = self.running.as_mut().ok_or(KernelError::StillBorn)?;
        ends = world.ends();
        outcome.ends(&ends);
        if !answered.is_full() && world.main_ended().is_none() {
            let waits =
                if waits.is_empty() { String::new() } else { format!("; the server waits in {}", waits.join(", ")) };
            outcome.add(Symptom::Unresponsive, format!("a polite client afterwards: {answered}{waits}"), true, None);
        }
        outcome.reported(&self.output());
        Ok(outcome.sorted())
    }

    /// Resident memory of all processes, in bytes.
    pub(super) fn resident(&mut self) -> Result<u64, KernelError> {
        let residue = self.running()?.world.server.residue()?;
        Ok(residue.processes.values().map(|held| held.resident).sum())
    }
}

/// Until when a server is given time that began at `start`: so much, or, with patience, until the time is up that it has given itself.
fn grace(world: &Foreign, start: Instant, least: Duration, patient: bool) -> Instant {
    // A little more, for what it then has to do.
    let own = world.server.last_deadline().filter(|_| patient).map_or(start, |deadline| deadline + GRACE_SCREENING);
    (start + least).max(own.min(start + PATIENCE))
}

fn idle(counts: &Counts) -> String {
    format!("processes: {}, threads: {}, descriptors: {}", counts.processes, counts.threads, counts.descriptors)
}

/// The end of a file, as text.
fn end_of(path: &Path) -> String {
    use std::io::{Read, Seek, SeekFrom};
    const MOST: u64 = 8192;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
