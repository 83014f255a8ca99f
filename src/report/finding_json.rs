//! The JSON of a finding about a command or a function, described in `docs/json.md`. The format is stable, including the order of the
//! fields.

use super::json::{Steps, Text};
use crate::detect::{CONFIRMATIONS, Finding, Severity, Signature};
use crate::hunt::Baseline;
use crate::scenario::Scenario;
use crate::subject::Subject;
use crate::trace::TcpState;
use serde::Serialize;
use serde::ser::{Error, Serializer};
use std::io;

/// A finding about a command or a function, as one JSON object.
#[derive(Clone, Copy, Debug)]
pub struct FindingJson<'t> {
    /// The finding.
    pub finding: &'t Finding,
    /// The server's behaviour under polite clients.
    pub baseline: &'t Baseline,
    /// The path of the case file, if one was written.
    pub case: Option<&'t str>,
}

impl FindingJson<'_> {
    /// Writes the object and a newline.
    ///
    /// # Errors
    ///
    /// An error of writing to `out`. A finding about a program has no JSON, and is an error too.
    pub fn write_line(&self, mut out: impl io::Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")
    }
}

impl Serialize for FindingJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let FindingJson { finding, baseline, case } = *self;
        let Subject::Command(target) = &finding.subject else {
            return Err(S::Error::custom("a finding about a program has no JSON"));
        };
        let Signature { kind, role, call, state } = finding.signature;
        let severity = finding.severity();
        FindingObject {
            kind: kind.name(),
            confirmed: finding.confirmed,
            of: CONFIRMATIONS,
            warning: severity == Severity::Warning,
            severity: severity.name(),
            injected: finding.is_injected(),
            scenario: Text(&finding.scenario),
            command: target.words(),
            process: if role.is_main() { "main" } else { "child" },
            role: role.name(),
            call,
            state: state.map(TcpState::name),
            evidence: &finding.evidence,
            advice: kind.advice(),
            gate: finding.gate.is_on(),
            namespace: baseline.namespace,
            sigpipe: SigpipeObject { requested: target.sigpipe.name(), effective: &baseline.sigpipe },
            case,
            steps: Steps { scenario: &finding.scenario, trace: &finding.trace },
        }
        .serialize(to)
    }
}

#[derive(Serialize)]
struct FindingObject<'t> {
    kind: &'static str,
    confirmed: u32,
    of: u32,
    warning: bool,
    severity: &'static str,
    injected: bool,
    scenario: Text<&'t Scenario>,
    command: &'t [String],
    process: &'static str,
    role: &'static str,
    call: Option<&'static str>,
    state: Option<&'static str>,
    evidence: &'t str,
    advice: &'static str,
    gate: bool,
    namespace: bool,
    sigpipe: SigpipeObject<'t>,
    case: Option<&'t str>,
    steps: Steps<'t>,
}

/// The disposition of SIGPIPE.
#[derive(Serialize)]
struct SigpipeObject<'t> {
    requested: &'static str,
    effective: &'t str,
}
