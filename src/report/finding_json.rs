//! The JSON of a finding, described in `docs/json.md`. The format is stable, including the order of the fields.

use super::json::{OutcomeObject, Steps, Text};
use super::why;
use crate::detect::{CONFIRMATIONS, Finding, Severity, Signature};
use crate::hunt::{Baseline, ShutOut, Silent, Timeout};
use crate::oracle::Difference;
use crate::scenario::Scenario;
use crate::subject::{Program, Subject};
use crate::trace::TcpState;
use serde::Serialize;
use serde::ser::Serializer;
use std::io;

/// A finding as one JSON object.
#[derive(Clone, Copy, Debug)]
pub struct FindingJson<'t> {
    /// The finding.
    pub finding: &'t Finding,
    /// The server's behaviour under polite clients; `None` for a program. Without it, `virtual_time`, `timeouts`, `held`, `namespace` and `sigpipe` are
    /// left out.
    pub baseline: Option<&'t Baseline>,
    /// The path of the case file, if one was written.
    pub case: Option<&'t str>,
}

impl FindingJson<'_> {
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

impl Serialize for FindingJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let FindingJson { finding, baseline, case } = *self;
        let Finding { subject, scenario, trace, compared, .. } = finding;
        let Signature { kind, role, call, state } = finding.signature;
        let severity = finding.severity();
        let (server, around, of, evidence) = match subject {
            Subject::Command(target) => {
                let around = baseline.map(|baseline| Around {
                    virtual_time: baseline.virtual_time.is_ok(),
                    timeouts: baseline.timeouts.iter().map(TimeoutObject::from).collect(),
                    held: baseline.shut_out.iter().map(HeldObject::from).collect(),
                    namespace: baseline.namespace,
                    sigpipe: SigpipeObject { requested: target.sigpipe.name(), effective: &baseline.sigpipe },
                });
                (Server::Command { command: target.words() }, around, CONFIRMATIONS, finding.evidence.clone())
            }
            Subject::Program(setup) => {
                let (program, policy, outcome) = (Text(&setup.program), setup.policy.name(), trace.outcome().into());
                let difference = compared.as_ref().and_then(|compared| compared.difference.as_ref()).map(Text);
                (Server::Program { program, policy, outcome, difference }, None, 1, why(scenario, setup, trace))
            }
        };
        FindingObject {
            kind: kind.name(),
            confirmed: finding.confirmed,
            of,
            warning: severity == Severity::Warning,
            severity: severity.name(),
            injected: finding.is_injected(),
            scenario: Text(scenario),
            minimal: !finding.cut_short,
            server,
            process: if role.is_main() { "main" } else { "child" },
            role: role.name(),
            call,
            state: state.map(TcpState::name),
            evidence,
            advice: kind.advice(),
            gate: finding.gate.is_on(),
            around,
            case,
            steps: Steps { scenario, trace },
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
    /// Whether every shorter scenario was tried.
    minimal: bool,
    #[serde(flatten)]
    server: Server<'t>,
    process: &'static str,
    role: &'static str,
    call: Option<&'static str>,
    state: Option<&'static str>,
    evidence: String,
    advice: &'static str,
    gate: bool,
    #[serde(flatten)]
    around: Option<Around<'t>>,
    case: Option<&'t str>,
    steps: Steps<'t>,
}

/// The server, and for a program how its run ended.
#[derive(Serialize)]
#[serde(untagged)]
enum Server<'t> {
    Command {
        command: &'t [String],
    },
    Program {
        program: Text<&'t Program>,
        policy: &'static str,
        outcome: OutcomeObject,
        #[serde(skip_serializing_if = "Option::is_none")]
        difference: Option<Text<&'t Difference>>,
    },
}

/// What a command runs in.
#[derive(Serialize)]
struct Around<'t> {
    virtual_time: bool,
    timeouts: Vec<TimeoutObject>,
    held: Vec<HeldObject>,
    namespace: bool,
    sigpipe: SigpipeObject<'t>,
}

/// After what time the server closes the connection of a silent client, in seconds.
#[derive(Serialize)]
struct TimeoutObject {
    silent: Text<Silent>,
    after: f64,
}

impl From<&Timeout> for TimeoutObject {
    fn from(timeout: &Timeout) -> TimeoutObject {
        TimeoutObject { silent: Text(timeout.silent), after: timeout.time.as_secs_f64() }
    }
}

/// How many silent clients at once keep everybody else from being served, and after how many seconds another one is served all the same.
#[derive(Serialize)]
struct HeldObject {
    silent: Text<Silent>,
    clients: usize,
    after: Option<f64>,
}

impl From<&ShutOut> for HeldObject {
    fn from(shut: &ShutOut) -> HeldObject {
        HeldObject { silent: Text(shut.silent), clients: shut.clients, after: shut.time.map(|time| time.as_secs_f64()) }
    }
}

/// The disposition of SIGPIPE.
#[derive(Serialize)]
struct SigpipeObject<'t> {
    requested: &'static str,
    effective: &'t str,
}

#[cfg(test)]
mod tests {
    use super::super::tests::{setup, trace};
    use super::*;
    use crate::detect::judge;
    use crate::subject::{Policy, Setup};

    #[test]
    fn a_disagreement_says_where_the_kernel_first_differs() {
        let greeter = Setup::default();
        let (scenario, kernel) = trace("a connect; a close", &greeter);
        let (_, model) = trace("a connect; a close", &setup("echo", Policy::Default));
        let finding = judge(&scenario, &greeter, &kernel, &model).unwrap();
        let mut line = Vec::new();
        FindingJson { finding: &finding, baseline: None, case: None }.write_line(&mut line).unwrap();
        let object: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&object["kind"], &object["outcome"]["kind"]), (&"disagreement".into(), &"survived".into()));
        let difference = finding.compared.and_then(|compared| compared.difference).unwrap().to_string();
        assert_eq!(object["difference"], difference);
        assert!(object.get("sigpipe").is_none() && object.get("command").is_none(), "{object}");
    }
}
