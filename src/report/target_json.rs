//! The JSON of a target's finding, described in `docs/json.md`. The format is stable, including the order of the
//! fields.

use super::json::{Steps, Text};
use crate::detect::Identity;
use crate::hunt::{Baseline, CONFIRMATIONS, Severity, Sigpipe, Target, TargetFinding};
use crate::trace::TcpState;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
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
        let TargetJson { finding, target, baseline, case } = self;
        let Identity { symptom, role, call, state } = finding.identity;
        let severity = finding.severity();
        let mut object = to.serialize_struct("Finding", 19)?;
        object.serialize_field("kind", symptom.name())?;
        object.serialize_field("confirmed", &finding.confirmed)?;
        object.serialize_field("of", &CONFIRMATIONS)?;
        object.serialize_field("warning", &(severity == Severity::Warning))?;
        object.serialize_field("severity", severity.name())?;
        object.serialize_field("injected", &finding.is_injected())?;
        object.serialize_field("scenario", &Text(&finding.scenario))?;
        object.serialize_field("command", target.words())?;
        object.serialize_field("process", if role.is_main() { "main" } else { "child" })?;
        object.serialize_field("role", role.name())?;
        object.serialize_field("call", &call)?;
        object.serialize_field("state", &state.map(TcpState::name))?;
        object.serialize_field("evidence", &finding.evidence)?;
        object.serialize_field("advice", symptom.advice())?;
        object.serialize_field("gate", &finding.gate)?;
        object.serialize_field("namespace", &baseline.namespace)?;
        object.serialize_field("sigpipe", &Pipe { requested: target.sigpipe, effective: &baseline.sigpipe })?;
        object.serialize_field("case", case)?;
        object.serialize_field("steps", &Steps { scenario: &finding.scenario, trace: &finding.trace })?;
        object.end()
    }
}

struct Pipe<'t> {
    requested: Sigpipe,
    effective: &'t str,
}

impl Serialize for Pipe<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("Sigpipe", 2)?;
        object.serialize_field("requested", self.requested.name())?;
        object.serialize_field("effective", self.effective)?;
        object.end()
    }
}
