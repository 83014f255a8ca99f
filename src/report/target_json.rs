//! The JSON of a target's finding, described in `docs/json.md`. The format is stable, including the order of the
//! fields.

use super::json::{Steps, Text};
use crate::detect::Identity;
use crate::hunt::{Baseline, CONFIRMATIONS, Severity, TargetFinding};
use crate::scenario::Scenario;
use crate::subject::Target;
use crate::trace::TcpState;
use serde::Serialize;
use serde::ser::Serializer;
use std::io;

/// A finding of a target, as one JSON object.
#[derive(Clone, Copy, Debug)]
pub struct TargetJson<'t> {
    /// The finding.
    pub finding: &'t TargetFinding,
    /// The server.
    pub target: &'t Target,
    /// The server's behaviour under polite clients.
    pub baseline: &'t Baseline,
    /// The path of the case file, if one was written.
    pub case: Option<&'t str>,
}

impl TargetJson<'_> {
    /// Writes the object and a newline.
    ///
    /// # Errors
    ///
    /// An error of writing to `out`.
    pub fn write_line(&self, mut out: impl io::Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")
    }
}

impl Serialize for TargetJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let TargetJson { finding, target, baseline, case } = *self;
        let Identity { symptom, role, call, state } = finding.identity;
        let severity = finding.severity();
        FindingObject {
            kind: symptom.name(),
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
            advice: symptom.advice(),
            gate: finding.gate,
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
