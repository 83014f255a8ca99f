//! A fresh server: it is started and serves polite clients until what it has stays the same.
//!
//! What fails once in a hunt may be the machine's affair, so that it is tried again. The first server of a hunt shows how long a start
//! takes, and may be refused for good.

use super::{Lab, Running, SHOWN, end_of};
use crate::hunt::activity::Activity;
use crate::hunt::baseline::{Baseline, TargetError};
use crate::hunt::command::{Polite, Target};
use crate::hunt::health_check::{Answered, as_scenario};
use crate::hunt::scratch::Scratch;
use crate::linux::Pinned;
use crate::linux::foreign::resources::Counts;
use crate::linux::foreign::start::NotListening;
use crate::linux::foreign::world::Foreign;
use crate::linux::process::namespaces;
use crate::protocol::Protocol;
use crate::scenario::Scenario;
use crate::world::Ending;
use std::time::{Duration, Instant};

/// For how long the first polite clients wait for an answer: how long one takes is not known yet.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// Polite clients that a fresh server may need until what it has no longer grows: pools and caches fill at first use.
const WARM_UP: usize = 12;
/// How many of them must change nothing.
const STEADY: usize = 3;
/// How often a start is tried: the first of a hunt, and a later one.
const FIRST_ATTEMPTS: u32 = 2;
const ATTEMPTS: u32 = 3;
/// How long a later start may take: so many times as long as the longest so far, and at least so long. Each attempt may take twice as long
/// as the one before.
const SLOWER_START: u32 = 10;
const LEAST_START: Duration = Duration::from_secs(10);

/// A server that serves so many polite clients when it is fresh, and then no other.
#[derive(Clone, Debug)]
pub(super) struct Unserved {
    served: usize,
    error: TargetError,
}

/// Why a server is not there.
struct Failed {
    error: TargetError,
    /// Whether another attempt makes sense.
    again: bool,
}

impl<E: Into<TargetError>> From<E> for Failed {
    fn from(error: E) -> Failed {
        let error = error.into();
        Failed { again: !matches!(error, TargetError::Stopped | TargetError::Command(_)), error }
    }
}

impl Lab<'_> {
    /// Starts a fresh server in place of the one that is there, and has it serve polite clients until it is steady.
    pub(in crate::hunt) fn fresh(&mut self) -> Result<(), TargetError> {
        self.begin()?;
        if self.baseline.is_none() {
            self.baseline = Some(if self.unserved.is_some() { self.unlearnt()? } else { self.learn()? });
            // Whatever it took to learn that is no part of anything else: the server is warmed up once more, or makes way.
            if self.unserved.is_some() || self.warm_up().is_err() {
                self.still_wanted()?;
                self.begin()?;
            }
        }
        Ok(())
    }

    /// The scenario in which as many polite clients come as a fresh server serves, if it then serves no other, and what that is called.
    pub(in crate::hunt) fn unserved(&self) -> Option<(Scenario, TargetError)> {
        let Unserved { served, error } = self.unserved.as_ref()?;
        Some((as_scenario(self.protocol(), *served), error.clone()))
    }

    /// Starts a server and warms it up, in several attempts.
    fn begin(&mut self) -> Result<(), TargetError> {
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
            let served = if let TargetError::Unserved { served, .. } = error { served } else { 0 };
            least_served = Some(least_served.map_or(served, |least: usize| least.min(served)));
            if again && attempt < attempts {
                continue;
            }
            self.end();
            match least_served {
                // It is not the way of asking that is wrong: it was served each time.
                Some(served @ 1..) if is_first && self.unserved.is_none() => {
                    self.unserved = Some(Unserved { served, error });
                    attempt = 0;
                    least_served = None;
                }
                _ => return Err(error),
            }
        }
    }

    /// Starts a server in place of the one that is there.
    fn start(&mut self, attempt: u32) -> Result<(), Failed> {
        let is_first = self.started == 0;
        self.make_way()?;
        self.pinned = self.pinned.take().or_else(Pinned::here);
        let scratch = Scratch::new().map_err(TargetError::Command)?;
        if let Some(setup) = &self.target.setup {
            let _doing = self.activity.enter(Activity::SetsUp);
            let command = Target::filled(setup, self.port, scratch.path());
            let done = crate::hunt::shell::run(&command, scratch.path(), &self.stop);
            self.still_wanted()?;
            done.map_err(|why| Failed {
                error: TargetError::Command(format!("the setup command: {why}")),
                again: !is_first,
            })?;
        }
        let mut plan = self.target.plan(self.port, scratch.path()).map_err(TargetError::Command)?;
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
            Err(NotListening::Stopped) => return Err(TargetError::Stopped.into()),
            Err(why) => {
                // A port may have been taken by somebody else; everything else would be the same again.
                let again = !is_first || matches!(why, NotListening::Ended(_));
                let output = end_of(&scratch, 0, SHOWN);
                return Err(Failed { error: TargetError::NotListening { why: why.to_string(), output }, again });
            }
            Ok(mut world) => {
                world.server.expect_signals(&self.signals);
                world
            }
        };
        self.slowest_start = self.slowest_start.max(start.elapsed());
        self.started += 1;
        let none = Counts::default();
        self.running = Some(Running { world, counts: none, steady: none, bystander: None, scratch });
        Ok(())
    }

    /// Sees to it that nothing is in the way of the next server's listener. Connections that the last one closed first are in TIME_WAIT, and
    /// keep a server that does not set SO_REUSEADDR from its port.
    fn make_way(&mut self) -> Result<(), TargetError> {
        // The command says nothing about the port, and it may be the same again: the network is another one then.
        if self.namespace && self.started > 0 && !self.target.names_port() && !self.target.listen_fd {
            namespaces::enter()?;
        }
        self.port = namespaces::free_port()?;
        Ok(())
    }

    /// Has polite clients served one after the other until what the server has stays the same.
    fn warm_up(&mut self) -> Result<(), Failed> {
        let _doing = self.activity.enter(Activity::WarmsUp);
        let most = match (&self.unserved, &self.target.polite) {
            (None, _) => WARM_UP,
            // What they do cannot be written as a scenario, and comes before it.
            (Some(unserved), Polite::Command(_)) => unserved.served,
            (Some(_), _) => 0,
        };
        self.take_counts()?;
        let mut steady = 0;
        for served in 0..most {
            let start = Instant::now();
            let answered = self.polite(FIRST_ANSWER, false)?;
            self.still_wanted()?;
            self.latency = self.latency.max(start.elapsed());
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

    /// Whether the server has ended with its first client, where nothing is known that it would have answered.
    fn is_all_that_came_an_end(&mut self) -> Result<bool, TargetError> {
        let is_asked = self.protocol() != Protocol::None || matches!(self.target.polite, Polite::Command(_));
        Ok(!is_asked && self.running()?.world.main_ended().is_some())
    }

    /// Takes note of what the server has. Whether it is as before.
    fn take_counts(&mut self) -> Result<bool, TargetError> {
        let running = self.running()?;
        let counts = running.world.server.counts();
        let same = counts == running.counts;
        running.counts = counts;
        running.steady = counts;
        Ok(same)
    }

    /// What it is called that a fresh server serves so many polite clients, and not the next.
    fn not_served(&mut self, served: usize, answered: &Answered) -> Result<TargetError, TargetError> {
        if served == 0 && self.target.listen_fd {
            return Ok(self.impolite(answered)?);
        }
        let world = &mut self.running()?.world;
        // A connection is refused as soon as a server is about to end.
        world.settle()?;
        let ended = world.main_ended().map(|ending| match ending {
            Ending::Killed(signal) => format!("the server was killed by {signal}"),
            Ending::Exited(code) => format!("the server exited with {code}"),
            Ending::Ended | Ending::Stuck => "the server ended".to_owned(),
        });
        let output = self.output();
        Ok(match (served, ended) {
            (0, Some(how)) => TargetError::Ended { how, output },
            (0, None) => TargetError::Impolite { why: answered.to_string(), output },
            (_, ended) => TargetError::Unserved { served, why: ended.unwrap_or_else(|| answered.to_string()), output },
        })
    }

    /// What is to be said of a server of which nothing can be learnt, for it serves nobody else.
    fn unlearnt(&mut self) -> Result<Baseline, TargetError> {
        let running = self.running()?;
        let sigpipe = crate::linux::sigpipe_of(running.world.serving_process()).unwrap_or_else(|e| e.to_string());
        let idle = super::idle(&running.counts);
        Ok(Baseline {
            concurrent: false,
            keeps_alive: false,
            answers: false,
            sigpipe,
            gate: self.no_gate.clone().map_or(Ok(()), Err),
            namespace: self.namespace,
            idle,
        })
    }
}

/// How long a start may take of which this is the attempt, from 0. `asked` is the bound of the first; `slowest` how long the slowest so far
/// has taken.
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
        // One that takes no time is given what is always given, twice as long each time.
        assert_eq!([0, 1, 2].map(|attempt| bound(120, Some(0.1), attempt)), [10.0, 20.0, 40.0]);
        assert_eq!([0, 1, 2].map(|attempt| bound(120, Some(3.0), attempt)), [30.0, 60.0, 120.0]);
        assert_eq!(bound(120, Some(60.0), 0), 600.0);
        // What was asked for is enough.
        assert_eq!(bound(5, Some(0.1), 2), 5.0);
    }
}
