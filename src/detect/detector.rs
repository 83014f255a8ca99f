//! The trait of detectors, and the observations that they get.

use super::Kind;
use super::growth::Limits;
use super::late_reaping::Unreaped;
use super::shut_out::Shut;
use super::signature::Signature;
use crate::linux::foreign::resources::Counts;
use crate::linux::foreign::world::{Ended, ResetRequest, Spin, Withheld};
use crate::trace::Role;
use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Recognises one kind of failure.
pub(crate) trait Detector: Sync {
    /// The description of this kind.
    fn about(&self) -> &'static About;

    /// The place and the evidence, if the observation shows a failure of this kind.
    fn see(&self, observation: &Observation<'_>) -> Option<Sighting>;
}

/// The description of a kind of finding.
#[derive(Debug)]
pub(crate) struct About {
    /// The name, as in cases and in the JSON.
    pub(crate) name: &'static str,
    /// A summary in one line.
    pub(crate) summary: &'static str,
    /// What to do about it, in a line or two.
    pub(crate) advice: &'static str,
    /// What it takes to confirm it.
    pub(crate) cost: Cost,
    /// What it does to the server.
    pub(crate) harm: Harm,
}

/// What a failure does to the server. Decides how severe a finding is, and whether scenarios still inject the error that causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The server serves no client any more.
    EndsTheServer,
    /// The server goes on. It is a finding all the same.
    GoesOn,
    /// No harm has come of it so far: a quantity that grows, a report from a process that went on, a defence that ends by itself. It is a
    /// warning.
    NoneSoFar,
}

/// What it takes to confirm a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// One run.
    Run,
    /// One run, and time in which the server may recover.
    Time,
    /// Many runs. This is counted after each, and must grow without end.
    Repetitions(Counted),
    /// Many batches of runs, in a check of its own, because no single run shows anything.
    Batches,
    /// A comparison of two traces of a program.
    Comparison,
}

/// What is counted after each run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) of: fn(&Counts) -> usize,
    /// The limits by which it is decided whether the count grows without end.
    pub(crate) limits: Limits,
}

/// Something that was observed of a server during a run or after it.
pub(crate) enum Observation<'o> {
    /// A process has ended. `when` is added to the evidence if the trace does not show it.
    Ended {
        /// The process, and how it ended.
        ended: &'o Ended,
        /// When, in words.
        when: &'o str,
    },
    /// The server runs a busy loop.
    Spins {
        /// The busy loop, and what was measured of it.
        spin: &'o Spin,
        /// Whether the server's resources were limited in the run. The limit was lifted before.
        lifted: bool,
    },
    /// The server runs a busy loop while its descriptors are limited.
    SpinsWhileShort(&'o Spin),
    /// The server lives, but no socket listens at its address any more.
    NobodyListens(SocketAddrV4),
    /// A polite client that was connected throughout is not served.
    BystanderNotServed(&'o dyn fmt::Display),
    /// A polite client that came afterwards is not served; the server waits in these calls.
    ClientNotServed {
        /// What the client got.
        answered: &'o dyn fmt::Display,
        /// The calls in which the server waits.
        waits: &'o [&'static str],
    },
    /// When all clients but one polite client had gone, another polite client was not served.
    Crowded(&'o dyn fmt::Display),
    /// The server's zombies were counted before and after clients that came at the same time.
    Unreaped(Unreaped),
    /// Nobody was served while clients were connected.
    ShutOut(&'o Shut),
    /// A client that was served got no FIN, and the connection is still held open when all clients have gone.
    FinWithheld(&'o Withheld),
    /// A request was answered with an RST because a timeout had expired.
    RequestReset(&'o ResetRequest),
    /// What the server has when all clients have gone and it was given time to release resources.
    Left(&'o Left),
    /// The server refused new clients for this long, and then served them again.
    Refused(Duration),
    /// A sanitizer wrote this line, and no process ended because of it.
    Reported(&'o str),
    /// A process has ended in the way in which the reporter of this line ends a process.
    EndedByReporter {
        /// The process, and how it ended.
        ended: &'o Ended,
        /// The line.
        line: &'o str,
    },
    /// The server's memory grows with each batch of runs.
    MemoryGrows,
}

/// What a detector has found: the place, and the evidence in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// The role, the call and the state of its socket. The caller adds the kind.
    pub(crate) place: Place,
    pub(crate) evidence: String,
}

/// Where a failure was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) role: Role,
    pub(crate) call: Option<&'static str>,
    pub(crate) state: Option<crate::trace::TcpState>,
}

impl Place {
    /// The server as a whole.
    pub(crate) const SERVER: Place = Place { role: Role::Main, call: None, state: None };

    /// The signature of a finding of this kind at this place.
    pub(crate) const fn signature(self, kind: Kind) -> Signature {
        Signature { kind, role: self.role, call: self.call, state: self.state }
    }
}

impl Sighting {
    /// A sighting about the server as a whole.
    pub(crate) const fn of_server(evidence: String) -> Sighting {
        Sighting { place: Place::SERVER, evidence }
    }
}

/// What a server still has when all clients have gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) before: Counts,
    pub(crate) now: Counts,
    /// The number of its sockets in CLOSE_WAIT.
    pub(crate) close_wait: usize,
}

impl Left {
    /// Whether there are more processes or threads than before. A leaked process or thread holds descriptors, and is reported instead of them.
    pub(crate) fn has_more_tasks(&self) -> bool {
        self.now.processes > self.before.processes || self.now.threads > self.before.threads
    }

    /// If there is more than before, both counts in words, with the number of sockets in CLOSE_WAIT if there are any. Else `None`.
    pub(crate) fn more(&self, what: &str, count: impl Fn(&Counts) -> usize) -> Option<String> {
        let (before, now) = (count(&self.before), count(&self.now));
        let sockets = match self.close_wait {
            0 => String::new(),
            n => format!("; sockets in CLOSE_WAIT: {n}"),
        };
        (now > before).then(|| format!("{what}: {before} before, {now} afterwards{sockets}"))
    }
}
