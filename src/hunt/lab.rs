//! Runs the servers of a target, one at a time: learns the baseline, and plays scenarios.

mod capacity;
mod control;
mod crowd;
mod examine;
mod impolite;
mod manner;
mod pace;
mod reaping;
mod recovery;
mod repeat;
mod replies;
mod run;
mod since;
mod start;
mod timeouts;

use super::activity::ActivityLog;
use super::baseline::{Baseline, HuntError, Replies};
use super::health_check::{Answered, PoliteClient};
use super::plan::OUTPUT;
use super::scratch::Scratch;
use crate::detect::{Finding, Gate, Kind, Signature};
use crate::linux::foreign::resources::Counts;
use crate::linux::foreign::world::Foreign;
use crate::linux::process::namespaces;
use crate::linux::{KernelError, Pinned};
use crate::protocol::{Exchange, Protocol};
use crate::scenario::{Client, Scenario};
use crate::subject::{Polite, Subject, Target};
use capacity::Capacity;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
pub(super) use timeouts::Mark;

/// How long a polite client waits for its answer while scenarios are screened, and when one is examined. It waits longer if the first
/// clients had to.
const SCREENING: Duration = Duration::from_millis(250);
const EXAMINING: Duration = Duration::from_secs(1);
#[derive(Debug)]
struct Running {
    world: Foreign,
    counts: Counts,
    /// The counts right after the warm-up.
    steady: Counts,
    /// A polite client that is connected and has been served.
    bystander: Option<PoliteClient>,
    scratch: Scratch,
}

/// Starts a target's servers and plays scenarios against them. Belongs to one thread.
#[derive(Debug)]
pub(super) struct Lab<'t> {
    target: &'t Target,
    port: u16,
    namespace: bool,
    pid_namespace: bool,
    no_gate: Option<String>,
    /// Whether a server of the target has been seen with more than one thread.
    parallel: bool,
    /// Whether a server has written so much output that some of it was discarded.
    floods: bool,
    /// The number of runs whose symptoms were discarded because the harness had made a call of the server's fail.
    pub(super) distrusted: u64,
    baseline: Option<Baseline>,
    /// Whether a polite client can be in the middle of its only request while others are served, and is served afterwards.
    halfway: bool,
    /// Whether the server was seen to serve a polite client beside each kind of silent client.
    serves_beside_silent: bool,
    /// What polite clients say to a server whose protocol is not known, and what they wait for.
    questions: Vec<Exchange>,
    /// How many silent clients leave another one served.
    capacity: Capacity,
    /// When the server does something about a client that is silent.
    pub(super) marks: Vec<Mark>,
    running: Option<Running>,
    /// The last scenarios that the running server has been through.
    history: VecDeque<Scenario>,
    /// The longest time that a polite client had to wait during a warm-up.
    latency: Duration,
    /// Keeps this thread and everything that it starts, the setup command too, on one core. It stays in place between two servers, because
    /// the scheduler treats a session that visits a second core as a busy one for a while.
    pinned: Option<Pinned>,
    /// Symptoms that screening ignores: they are known, or were followed up often enough.
    tolerated: BTreeSet<Kind>,
    /// Signals that the server's processes were seen to send to each other.
    signals: BTreeSet<i32>,
    /// What polite clients alone leave behind, as far as it was measured.
    controls: Vec<(Kind, repeat::Control)>,
    /// Set if a fresh server serves a few polite clients and then no more.
    unserved: Option<start::Unserved>,
    /// How long the slowest start took.
    slowest_start: Duration,
    /// The number of servers started.
    pub(super) started: u64,
    /// Set by the caller to stop the hunt.
    stop: Arc<AtomicBool>,
    /// When runs are stopped, if there is such a time. What is found out about a suspicion has all the time that it needs.
    pub(super) deadline: Option<Instant>,
    /// Where the current activity is recorded.
    pub(super) activity: ActivityLog,
}

impl<'t> Lab<'t> {
    /// Moves the calling thread into a network namespace of its own, if the target is to have one and that is allowed. Then starts the
    /// first server and learns the baseline.
    pub(super) fn open(target: &'t Target, stop: Arc<AtomicBool>, activity: ActivityLog) -> Result<Lab<'t>, HuntError> {
        let namespace = target.namespace && namespaces::enter()?;
        if !namespace && !target.names_port() && !target.listen_fd {
            let why = "without a network of its own the server's port cannot be told from others: put {port} into the command";
            return Err(HuntError::Command(why.to_owned()));
        }
        let mut lab = Lab {
            target,
            port: 0,
            namespace,
            pid_namespace: namespaces::may_have_pid_namespace(),
            no_gate: (!target.gate).then(|| "it was not asked for".to_owned()),
            parallel: false,
            floods: false,
            distrusted: 0,
            baseline: None,
            halfway: false,
            serves_beside_silent: false,
            questions: match &target.polite {
                Polite::Dialogue(dialogue) => dialogue.exchanges(),
                _ => Vec::new(),
            },
            capacity: Capacity::default(),
            marks: Vec::new(),
            running: None,
            history: VecDeque::new(),
            latency: Duration::ZERO,
            pinned: None,
            tolerated: BTreeSet::new(),
            signals: BTreeSet::new(),
            controls: Vec::new(),
            unserved: None,
            slowest_start: Duration::ZERO,
            started: 0,
            stop,
            deadline: None,
            activity,
        };
        lab.fresh()?;
        Ok(lab)
    }

    /// The target.
    pub(super) const fn target(&self) -> &'t Target {
        self.target
    }

    /// The baseline, once it has been learnt.
    pub(super) fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_ref()
    }

    /// Whether the server's calls pass the gate.
    pub(super) const fn has_gate(&self) -> bool {
        self.no_gate.is_none()
    }

    /// A finding that has not been reproduced yet.
    pub(super) fn finding(&self, signature: Signature, scenario: &Scenario) -> Finding {
        let gate = match &self.baseline {
            _ if self.has_gate() => Gate::On,
            Some(Baseline { gate: Ok(()), .. }) => Gate::Lifted,
            _ => Gate::Off,
        };
        Finding::of(Subject::Command(self.target.clone()), signature, scenario, gate)
    }

    /// Whether a server has been seen with more than one thread, in one process or several.
    pub(super) const fn is_parallel(&self) -> bool {
        self.parallel
    }

    /// Whether a server has written so much output that some of it was discarded.
    pub(super) const fn floods(&self) -> bool {
        self.floods
    }

    /// Fails if the hunt was stopped. Anything observed meanwhile must then be discarded.
    fn still_wanted(&self) -> Result<(), HuntError> {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.stop.load(Relaxed) { Err(HuntError::Stopped) } else { Ok(()) }
    }

    /// Ends the running server, and sets whether the calls of later servers pass the gate.
    pub(super) fn set_gate(&mut self, gate: bool) {
        self.end();
        self.controls.clear();
        self.no_gate = (!gate).then(|| "it is tried without".to_owned());
    }

    /// Whether a warmed-up server is running. A server that is no longer trusted has been ended.
    pub(super) fn is_warm(&self) -> bool {
        self.running.is_some()
    }

    /// Ends the running server, if there is one.
    pub(super) fn end(&mut self) {
        if let Some(running) = self.running.take() {
            self.signals.extend(running.world.server.sent_to_others());
        }
    }

    /// The end of the server's output.
    pub(super) fn output(&self) -> String {
        let Some(running) = &self.running else { return String::new() };
        let text = end_of(&running.scratch, 0, SHOWN);
        match running.world.server.emptied() {
            0 => text,
            n => format!("(what it wrote before was thrown away, {n} times, for it was too much)\n{text}"),
        }
    }

    /// The server's output from byte `written` on. If output was discarded meanwhile, everything that is there.
    fn output_since(&self, written: u64) -> String {
        self.running.as_ref().map_or_else(String::new, |running| end_of(&running.scratch, written, SEARCHED))
    }

    fn running(&mut self) -> Result<&mut Running, KernelError> {
        self.running.as_mut().ok_or(KernelError::StillBorn)
    }

    /// Makes one request as a polite client. If the answer is full and `stays`, the client stays connected as the bystander.
    fn polite(&mut self, bound: Duration, stays: bool) -> Result<Answered, KernelError> {
        let greets = self.baseline.as_ref().is_some_and(|baseline| baseline.answers);
        let manner = self.manner();
        if matches!(self.target.polite, Polite::Command(_)) {
            let world = &mut self.running.as_mut().ok_or(KernelError::StillBorn)?.world;
            return manner.ask(world, bound);
        }
        let mut client = PoliteClient::new(Client::PROBE, self.protocol(), bound);
        let running = self.running()?;
        let answered = manner.ask_as(&mut client, &mut running.world, greets)?;
        let stays = stays && manner.may_stay();
        if stays && answered == (Answered::Full { open: true }) {
            running.bystander = Some(client.stay(Client::BYSTANDER, &mut running.world));
        } else {
            client.leave(&mut running.world)?;
        }
        running.world.clear(stays.then_some(Client::BYSTANDER))?;
        Ok(answered)
    }

    fn protocol(&self) -> Protocol {
        match self.target.polite {
            Polite::As(protocol) => protocol,
            Polite::Dialogue(_) => Protocol::None,
            _ => self.target.protocol,
        }
    }

    /// Learns the baseline, with two polite clients at once.
    fn learn(&mut self) -> Result<Baseline, HuntError> {
        let protocol = self.protocol();
        let asks = !matches!(self.target.polite, Polite::Command(_));
        let mut baseline = Baseline {
            concurrent: false,
            keeps_alive: false,
            answers: false,
            sigpipe: String::new(),
            gate: self.no_gate.clone().map_or(Ok(()), Err),
            virtual_time: Ok(()),
            timeouts: Vec::new(),
            shut_out: Vec::new(),
            replies: Replies::default(),
            question: None,
            namespace: self.namespace,
            idle: String::new(),
        };
        baseline.question = self.learn_question()?;
        let questions = self.questions.clone();
        let running = self.running()?;
        let serves = running.world.serving_process();
        baseline.sigpipe = crate::linux::sigpipe_of(serves).unwrap_or_else(|e| e.to_string());
        baseline.idle = idle(&running.counts);
        let mut holder = PoliteClient::new(Client::BYSTANDER, protocol, EXAMINING);
        let start = running.world.server.now();
        let held = holder.connect(&mut running.world)?;
        if asks && protocol != Protocol::None && held.is_full() {
            holder.ask(&mut running.world)?;
        }
        let begun = holder.converse(&mut running.world, &questions)?;
        baseline.answers = holder.has_something(&mut running.world)?;
        // Later clients wait for what it says by itself.
        let waited = running.world.server.now().saturating_duration_since(start);
        self.latency = self.latency.max(waited);
        let other = self.polite_beside(EXAMINING)?;
        baseline.concurrent = other.is_full();
        let running = self.running()?;
        if baseline.concurrent && asks {
            baseline.keeps_alive = match protocol {
                Protocol::None => {
                    let connected = begun.is_full() && holder.is_connected(&mut running.world).is_ok();
                    connected && holder.ask(&mut running.world)?.is_full()
                }
                _ => holder.is_connected(&mut running.world).is_ok() && holder.ask(&mut running.world)?.is_full(),
            };
        }
        holder.leave(&mut running.world)?;
        running.world.clear(None)?;
        self.halfway = baseline.concurrent && !baseline.keeps_alive && asks && self.serves_halfway()?;
        let running = self.running()?;
        baseline.virtual_time = running.world.server.has_virtual_time();
        baseline.replies = self.learn_replies()?;
        baseline.shut_out = self.learn_capacity(baseline.concurrent)?;
        (baseline.timeouts, self.marks) = self.timeouts()?;
        Ok(baseline)
    }

    /// Whether a polite client that is in the middle of its request while another one is served is served afterwards.
    fn serves_halfway(&mut self) -> Result<bool, HuntError> {
        let mut client = PoliteClient::new(Client::BYSTANDER, self.protocol(), EXAMINING);
        let world = &mut self.running()?.world;
        let begun = client.connect(world)?.is_full() && client.begin(world)?;
        let beside = begun && self.polite_beside(EXAMINING)?.is_full();
        let world = &mut self.running()?.world;
        let served = beside && client.is_connected(world).is_ok() && client.ask(world)?.is_full();
        client.leave(world)?;
        world.clear(None)?;
        Ok(served)
    }

    /// Makes one request as a polite client while another one is connected. Other connections are kept.
    fn polite_beside(&mut self, bound: Duration) -> Result<Answered, KernelError> {
        let manner = self.manner();
        manner.ask(&mut self.running()?.world, bound)
    }
}

fn idle(counts: &Counts) -> String {
    format!("processes: {}, threads: {}, descriptors: {}", counts.processes, counts.threads, counts.descriptors)
}

/// The maximum number of bytes of a server's output that are shown, and that are searched for the report of a crash.
const SHOWN: u64 = 8 << 10;
const SEARCHED: u64 = 1 << 20;

/// The size of the output file in a server's folder, in bytes.
fn written(scratch: &Scratch) -> u64 {
    std::fs::metadata(scratch.path().join(OUTPUT)).map_or(0, |output| output.len())
}

/// The end of a server's output as text: at most its last `most` bytes, starting at byte `from` at the earliest. A `from` beyond the end of
/// the file counts as 0.
fn end_of(scratch: &Scratch, from: u64, most: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(scratch.path().join(OUTPUT))?;
        let length = file.metadata()?.len();
        let from = if from > length { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(most))))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
