//! What a detector is, and what it is shown.

use super::Symptom;
use super::growth::Limits;
use super::identity::Identity;
use crate::linux::foreign::resources::Counts;
use crate::linux::foreign::world::{Ended, Spin, Withheld};
use crate::trace::Role;
use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Finds one kind of fault.
pub(crate) trait Detector: Sync {
    /// What is said about this kind.
    fn about(&self) -> &'static About;

    /// What is wrong, if an observation says that something of this kind is.
    fn see(&self, observation: &Observation<'_>) -> Option<Sighting>;
}

/// What is said about a kind of finding.
#[derive(Debug)]
pub(crate) struct About {
    /// Its name, as cases and the JSON have it.
    pub(crate) name: &'static str,
    /// What it is, in one line.
    pub(crate) summary: &'static str,
    /// What to do about it, in a line or two.
    pub(crate) advice: &'static str,
    /// What it takes to be sure of it.
    pub(crate) cost: Cost,
    /// What becomes of the server.
    pub(crate) harm: Harm,
}

/// What becomes of a server that shows a fault. It decides how much a finding counts, and whether a scenario is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It serves nobody any more.
    EndsTheServer,
    /// A finding; the server goes on.
    GoesOn,
    /// Nothing has come of it so far: a quantity that grows, a report of a process that went on, a defence that ends by itself. It is a
    /// warning.
    NoneSoFar,
}

/// What it takes to be sure of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// One run.
    Run,
    /// A run, and time in which the server may come back.
    Time,
    /// Many runs, after each of which this is counted: it must grow without end.
    Repetitions(Counted),
    /// Many batches of runs, asked for by itself: no single run shows anything.
    Batches,
}

/// What is counted after each run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) of: fn(&Counts) -> usize,
    /// What decides whether it grows without end.
    pub(crate) limits: Limits,
}

/// Something that was seen of a server during a run or after it.
pub(crate) enum Observation<'o> {
    /// A process has ended. `when` is added to the evidence where the trace does not have it.
    Ended {
        /// Which one, and how.
        ended: &'o Ended,
        /// When.
        when: &'o str,
    },
    /// It works in a circle. Whether a limit on its resources was `lifted` before.
    Spins {
        /// What it did meanwhile.
        spin: &'o Spin,
        /// Whether a limit was lifted.
        lifted: bool,
    },
    /// Nobody listens at its address any more, and it lives.
    NobodyListens(SocketAddrV4),
    /// A polite client that was connected throughout is not served.
    BystanderNotServed(&'o dyn fmt::Display),
    /// A polite client that came afterwards is not served; the server waits in these calls.
    ClientNotServed {
        /// What the client got.
        answered: &'o dyn fmt::Display,
        /// What the server waits in.
        waits: &'o [&'static str],
    },
    /// A client has got no FIN although it was served, and the connection is still held open when all clients have gone.
    FinWithheld(&'o Withheld),
    /// All clients have gone, and it was given time.
    Left(&'o Left),
    /// It has refused new clients for so long, and then served them again.
    Refused(Duration),
    /// It has written the report of a sanitizer or a runtime, and no process ended by it. The line.
    Reported(&'o str),
    /// A process has ended in the way in which the reporter of this line ends one.
    EndedByReporter {
        /// Which one, and how.
        ended: &'o Ended,
        /// The line.
        line: &'o str,
    },
    /// Its memory grows with each batch of runs.
    MemoryGrows,
}

/// What a detector has seen: which process, in which call, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Role, call and state; the detector's own name is filled in by whoever asked it.
    pub(crate) place: Place,
    pub(crate) evidence: String,
}

/// Where something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) role: Role,
    pub(crate) call: Option<&'static str>,
    pub(crate) state: Option<crate::trace::TcpState>,
}

impl Place {
    /// The server as a whole.
    pub(crate) const SERVER: Place = Place { role: Role::Main, call: None, state: None };

    /// The identity of a finding of this kind there.
    pub(crate) const fn identity(self, symptom: Symptom) -> Identity {
        Identity { symptom, role: self.role, call: self.call, state: self.state }
    }
}

impl Sighting {
    /// Something about the server as a whole.
    pub(crate) const fn of_server(evidence: String) -> Sighting {
        Sighting { place: Place::SERVER, evidence }
    }
}

/// What a server still has when all clients have gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) before: Counts,
    pub(crate) now: Counts,
    /// Its sockets in CLOSE_WAIT.
    pub(crate) close_wait: usize,
}

impl Left {
    /// How many more there are of something, in words, with the sockets in CLOSE_WAIT that these hold; `None` if there are not more.
    pub(crate) fn more(&self, what: &str, count: impl Fn(&Counts) -> usize) -> Option<String> {
        let (before, now) = (count(&self.before), count(&self.now));
        let sockets = match self.close_wait {
            0 => String::new(),
            n => format!("; sockets in CLOSE_WAIT: {n}"),
        };
        (now > before).then(|| format!("{what}: {before} before, {now} afterwards{sockets}"))
    }
}
