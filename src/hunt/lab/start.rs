//! Starts a fresh server and warms it up: polite clients are served until the server's resource counts stay the same.
//!
//! A failure that occurs once in a hunt may be due to the machine, so a start is tried again. The first server of a hunt shows how long a
//! start takes. If it cannot be started, the target is refused.

use super::{Lab, Running, SHOWN, end_of};
use crate::hunt::activity::Activity;
use crate::hunt::baseline::{Baseline, HuntError, Replies};
use crate::hunt::health_check::{Answered, as_scenario};
use crate::hunt::scratch::Scratch;
use crate::linux::Pinned;
use crate::linux::foreign::resources::Counts;
use crate::linux::foreign::start::NotListening;
use crate::linux::foreign::world::Foreign;
use crate::linux::process::namespaces;
use crate::protocol::Protocol;
use crate::scenario::Scenario;
use crate::subject::{Polite, Target};
use crate::world::Ending;
use std::time::{Duration, Instant};

/// How long the first polite clients wait for an answer, because it is not known yet how long an answer takes.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// Maximum number of polite clients in a warm-up. Counts may grow at first, because pools and caches fill at first use.
const WARM_UP: usize = 12;
/// The warm-up ends when this many clients in a row have changed nothing.
const STEADY: usize = 3;
/// How many times a start is tried: the first one of a hunt, and a later one.
const FIRST_ATTEMPTS: u32 = 2;
const ATTEMPTS: u32 = 3;
/// How long a later start may take: this many times as long as the slowest start so far, and at least [`LEAST_START`]. The bound doubles
/// with each attempt.
const SLOWER_START: u32 = 10;
const LEAST_START: Duration = Duration::from_secs(10);

/// A server that serves this many polite clients when it is fresh, and then no more.
#[derive(Clone, Debug)]
pub(super) struct Unserved {
    served: usize,
    error: HuntError,
}

/// Why a server could not be started and warmed up.
struct Failed {
    error: HuntError,
    /// Whether to try again.
    again: bool,
}

impl<E: Into<HuntError>> From<E> for Failed {
    fn from(error: E) -> Failed {
        let error = error.into();
        Failed { again: !matches!(error, HuntError::Stopped | HuntError::Command(_)), error }
    }
}

/// What is added if a server that is not told its port does not listen.
const NO_PORT: &str = " (there is no {port} in the command: if the server needs to be told its port, put it there)";

impl Lab<'_> {
    /// Starts a fresh server in place of the running one, and warms it up. The first time, also learns the baseline.
    pub(in crate::hunt) fn fresh(&mut self) -> Result<(), HuntError> {
        self.begin()?;
        if self.baseline.is_none() {
            self.baseline = Some(if self.unserved.is_some() { self.unlearnt()? } else { self.learn()? });
            // Learning the baseline may have changed the server. So it is warmed up again. If that fails, or if the server serves no more
            // clients, it is replaced; also if hours have passed for it.
            if self.unserved.is_some() || self.has_jumped()? || self.warm_up().is_err() {
                self.still_wanted()?;
                self.begin()?;
            }
        }
        Ok(())
    }

    /// Whether the clock of the running server has been put forward.
    fn has_jumped(&mut self) -> Result<bool, HuntError> {
        Ok(self.running()?.world.server.jumps() > 0)
    }

    /// For a server that serves only a few polite clients: the scenario with just as many clients, and the error that reports it. `None`
    /// for any other server.
    pub(in crate::hunt) fn unserved(&self) -> Option<(Scenario, HuntError)> {
        let Unserved { served, error } = self.unserved.as_ref()?;
        Some((as_scenario(self.protocol(), *served), error.clone()))
    }

    /// Starts a server and warms it up, in several attempts.
    pub(super) fn begin(&mut self) -> Result<(), HuntError> {
        let is_first = self.baseline.is_none();
        let attempts = if is_first { FIRST_ATTEMPTS } else { ATTEMPTS };
        let mut attempt = 0;
        let mut least_served = None;
        loop {
            self.end();
            let began = self.start(attempt).and_then(|()| self.warm_up());
            self.still_wanted()?;
            let Err(Failed { error, again }) = began else { return Ok(()) };
            attempt += 1;
            let served = if let HuntError::Unserved { served, .. } = error { served } else { 0 };
            least_served = Some(least_served.map_or(served, |least: usize| least.min(served)));
            if again && attempt < attempts {
                continue;
            }
            self.end();
            match least_served {
                // Each attempt served some clients, so the request itself is right. The server is started again, with a warm-up that leaves
                // the clients to the scenario.
                Some(served @ 1..) if is_first && self.unserved.is_none() => {
                    self.unserved = Some(Unserved { served, error });
                    attempt = 0;
                    least_served = None;
                }
                _ => return Err(error),
            }
        }
    }

    /// Starts a server in place of the running one.
    fn start(&mut self, attempt: u32) -> Result<(), Failed> {
        let is_first = self.started == 0;
        self.make_way()?;
        self.pinned = self.pinned.take().or_else(Pinned::here);
        let scratch = Scratch::new().map_err(HuntError::Command)?;
        if let Some(setup) = &self.target.setup {
            let _doing = self.activity.enter(Activity::SetsUp);
            let command = Target::filled(setup, self.port, scratch.path());
            let done = crate::hunt::shell::run(&command, scratch.path(), &self.stop);
            self.still_wanted()?;
            done.map_err(|why| Failed {
                error: HuntError::Command(format!("the setup command failed: {why}")),
                again: !is_first,
            })?;
        }
        let mut plan = self.target.plan(self.port, scratch.path()).map_err(HuntError::Command)?;
        plan.gate &= self.no_gate.is_none();
        let port = (self.target.names_port() || self.target.listen_fd).then_some(self.port);
        let start = Instant::now();
        let slowest = (self.started > 0).then_some(self.slowest_start);
        let bound = start_bound(self.target.start_timeout, slowest, attempt);
        let doing = self.activity.enter(Activity::Starts);
        let started = Foreign::start(&plan, port, self.pid_namespace, &self.stop, bound);
        drop(doing);
        let world = match started {
            Err(NotListening::Ring) => {
                self.no_gate = Some("it uses io_uring, whose calls no filter sees".to_owned());
                return self.start(attempt);
            }
            Err(NotListening::Kernel(error)) => return Err(error.into()),
            Err(NotListening::Stopped) => return Err(HuntError::Stopped.into()),
            Err(why) => {
                // On the first start, only a server that has ended is started again: another process may have taken its port. Any other
                // failure would repeat.
                let again = !is_first || matches!(why, NotListening::Ended(_));
                let output = end_of(&scratch, 0, SHOWN);
                let hint = if port.is_none() { NO_PORT } else { "" };
                let why = format!("{why}{hint}");
                return Err(Failed { error: HuntError::NotListening { why, output }, again });
            }
            Ok(mut world) => {
                world.server.expect_signals(&self.signals);
                world
            }
        };
        self.history.clear();
        self.slowest_start = self.slowest_start.max(start.elapsed());
        self.started += 1;
        let none = Counts::default();
        self.running = Some(Running { world, counts: none, steady: none, bystander: None, scratch });
        Ok(())
    }

    /// Makes sure that nothing keeps the next server from listening. Connections that the last server closed first are in TIME_WAIT, and a
    /// server that does not set SO_REUSEADDR cannot bind their port.
    fn make_way(&mut self) -> Result<(), HuntError> {
        // The command does not name the port, so the next server may choose the same one. A new network namespace keeps that port free.
        if self.namespace && self.started > 0 && !self.target.names_port() && !self.target.listen_fd {
            namespaces::enter()?;
        }
        self.port = namespaces::free_port()?;
        Ok(())
    }

    /// Serves polite clients one after the other until the server's counts stay the same.
    fn warm_up(&mut self) -> Result<(), Failed> {
        let _doing = self.activity.enter(Activity::WarmsUp);
        let most = match (&self.unserved, &self.target.polite) {
            (None, _) => WARM_UP,
            // What a command does cannot be written as a scenario, so these clients come before it.
            (Some(unserved), Polite::Command(_)) => unserved.served,
            (Some(_), _) => 0,
        };
        self.take_counts()?;
        let mut steady = 0;
        for served in 0..most {
            let start = self.running()?.world.server.now();
            let answered = self.polite(FIRST_ANSWER, false)?;
            self.still_wanted()?;
            let took = self.running()?.world.server.now().saturating_duration_since(start);
            self.latency = self.latency.max(took);
            if !answered.is_full() || (served == 0 && self.is_all_that_came_an_end()?) {
                return Err(Failed { error: self.not_served(served, &answered)?, again: true });
            }
            steady = if self.take_counts()? { steady + 1 } else { 0 };
            if steady == STEADY {
                break;
            }
        }
        Ok(())
    }

    /// Whether the server has ended with its first client, and the protocol does not say that it should have answered.
    fn is_all_that_came_an_end(&mut self) -> Result<bool, HuntError> {
        let is_asked = self.protocol() != Protocol::None || matches!(self.target.polite, Polite::Command(_));
        Ok(!is_asked && self.running()?.world.main_ended().is_some())
    }

    /// Records the server's counts. Returns whether they are the same as before.
    fn take_counts(&mut self) -> Result<bool, HuntError> {
        let running = self.running()?;
        let counts = running.world.server.counts();
        let same = counts == running.counts;
        running.counts = counts;
        running.steady = counts;
        Ok(same)
    }

    /// The error for a fresh server that served this many polite clients, and not the next one.
    fn not_served(&mut self, served: usize, answered: &Answered) -> Result<HuntError, HuntError> {
        if served == 0 && self.target.listen_fd {
            return Ok(self.impolite(answered)?);
        }
        let world = &mut self.running()?.world;
        // A server that is about to end refuses connections before its process has ended.
        world.settle()?;
        let ended = world.main_ended().map(|ending| match ending {
            Ending::Killed(signal) => format!("the server was killed by {signal}"),
            Ending::Exited(code) => format!("the server exited with {code}"),
            Ending::Ended | Ending::Stuck => "the server ended".to_owned(),
        });
        let output = self.output();
        Ok(match (served, ended) {
            (0, Some(how)) => HuntError::Ended { how, output },
            (0, None) => HuntError::Impolite { why: answered.to_string(), output },
            (_, ended) => HuntError::Unserved { served, why: ended.unwrap_or_else(|| answered.to_string()), output },
        })
    }

    /// The baseline of a server that serves no further client, so that little can be learnt.
    fn unlearnt(&mut self) -> Result<Baseline, HuntError> {
        let running = self.running()?;
        let sigpipe = crate::linux::sigpipe_of(running.world.serving_process()).unwrap_or_else(|e| e.to_string());
        let idle = super::idle(&running.counts);
        Ok(Baseline {
            concurrent: false,
            keeps_alive: false,
            answers: false,
            sigpipe,
            gate: self.no_gate.clone().map_or(Ok(()), Err),
            virtual_time: self.running()?.world.server.has_virtual_time(),
            timeouts: Vec::new(),
            shut_out: Vec::new(),
            replies: Replies::default(),
            question: None,
            namespace: self.namespace,
            idle,
        })
    }
}

/// How long start attempt number `attempt` (from 0) may take. `asked` is the bound of the first start, and `slowest` the duration of the
/// slowest start so far.
fn start_bound(asked: Duration, slowest: Option<Duration>, attempt: u32) -> Duration {
    let Some(slowest) = slowest else { return asked };
    let shown = slowest.saturating_mul(SLOWER_START);
    shown.max(LEAST_START).saturating_mul(1 << attempt).min(asked.max(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_start_is_given_time_by_the_ones_before() {
        let bound = |asked, slowest: Option<f64>, attempt| {
            let slowest = slowest.map(Duration::from_secs_f64);
            start_bound(Duration::from_secs(asked), slowest, attempt).as_secs_f64()
        };
        assert_eq!(bound(120, None, 0), 120.0);
        assert_eq!(bound(120, None, 1), 120.0);
        // A fast start gets the minimum bound, doubled with each attempt.
        assert_eq!([0, 1, 2].map(|attempt| bound(120, Some(0.1), attempt)), [10.0, 20.0, 40.0]);
        assert_eq!([0, 1, 2].map(|attempt| bound(120, Some(3.0), attempt)), [30.0, 60.0, 120.0]);
        assert_eq!(bound(120, Some(60.0), 0), 600.0);
        // After fast starts, the configured bound is the maximum.
        assert_eq!(bound(5, Some(0.1), 2), 5.0);
    }
}
