//! Findings: what is wrong with a server, and the run that shows the failure. Programs, commands and functions have the same type.

use super::kind::Kind;
use super::signature::Signature;
use crate::oracle::Difference;
use crate::scenario::{Fault, Scenario};
use crate::subject::Subject;
use crate::trace::Trace;

/// How many times a failure must reproduce on a fresh server to be confirmed.
pub const CONFIRMATIONS: u32 = 3;

/// A finding: a failure of a server, the scenario that shows it, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The server.
    pub subject: Subject,
    /// The kind of failure, and where it showed.
    pub signature: Signature,
    /// The scenario that shows the failure, minimised if the failure was confirmed.
    pub scenario: Scenario,
    /// The trace of a run that showed it.
    pub trace: Trace,
    /// For a program: what the trace was compared with. `None` for a command or a function.
    pub compared: Option<Compared>,
    /// What was seen, in words. Empty for a program: its traces show the failure.
    pub evidence: String,
    /// The end of the server's output in that run. A program has none.
    pub output: String,
    /// How many times the failure reproduced on a fresh server, 0 to [`CONFIRMATIONS`]. Every run of a scenario
    /// against a program has the same trace, so one run is enough.
    pub confirmed: u32,
    /// Whether the server's calls passed the gate.
    pub gate: Gate,
    /// The injected errors without which the failure does not show. A program's are in its scenario.
    pub injected: Vec<Fault>,
    /// Another possible cause than a fault of the server, if it cannot be ruled out. The finding is then not confirmed, however often it
    /// reproduced.
    pub doubt: Option<String>,
    /// Whether minimising the scenario was stopped before every shorter one was tried.
    pub cut_short: bool,
}

/// What the trace of a program was compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The trace that the model predicts; for a [`Kind::Nondeterminism`], that of the second run.
    pub with: Trace,
    /// The first place where two traces differ: the kernel's and the model's for a [`Kind::Disagreement`], those of two runs for a
    /// [`Kind::Nondeterminism`], those of two policies for a [`Kind::PolicyDifference`]. `None` for the other kinds.
    pub difference: Option<Difference>,
}

/// Whether the calls of a server pass the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The calls pass the gate.
    On,
    /// The calls pass no gate in the whole hunt: the gate was not asked for, or is not possible.
    Off,
    /// The calls passed no gate in the runs of this finding, so that threads could race. In the rest of the hunt they pass the gate.
    Lifted,
}

impl Gate {
    /// Whether the calls pass the gate.
    pub fn is_on(self) -> bool {
        self == Gate::On
    }
}

impl Finding {
    /// A finding about a command or a function that has not been reproduced yet.
    pub(crate) fn of(subject: Subject, signature: Signature, scenario: &Scenario, gate: Gate) -> Finding {
        Finding {
            subject,
            signature,
            scenario: scenario.clone(),
            trace: Trace::default(),
            compared: None,
            evidence: String::new(),
            output: String::new(),
            confirmed: 0,
            gate,
            injected: Vec::new(),
            doubt: None,
            cut_short: false,
        }
    }

    /// What is wrong.
    pub const fn kind(&self) -> Kind {
        self.signature.kind
    }

    /// Whether the failure reproduced each time, without [doubt](Finding::doubt).
    pub fn is_confirmed(&self) -> bool {
        (self.confirmed == CONFIRMATIONS || self.compared.is_some()) && self.doubt.is_none()
    }

    /// Whether the finding needs an injected error.
    pub fn is_injected(&self) -> bool {
        !self.injected.is_empty()
    }
}
