//! What is said of a target: what it is like, and what is wrong with it.

use super::Ladder;
use super::text::{paragraph, wrap};
use crate::scenario::{Event, Scenario};
use crate::target::{Baseline, CONFIRMATIONS, Target, TargetFinding, TargetRun};
use crate::trace::Trace;

/// What a server is like under polite clients.
pub fn server(target: &Target, baseline: &Baseline) -> String {
    let gate = match &baseline.gate {
        Ok(()) => "its calls are let in one by one".to_owned(),
        Err(why) => format!("none ({why}): `hold` stops its processes, and settled is when all of them sleep"),
    };
    let network = if baseline.namespace { "its own" } else { "this machine's" };
    let clients = match (baseline.concurrent, baseline.keeps_alive) {
        (false, _) => "one after the other (iterative)",
        (true, false) => "several at once, one question each",
        (true, true) => "several at once, any number of questions each",
    };
    let rows = [
        ("server:   ", target.command_line()),
        ("sigpipe:  ", format!("requested {}, effective {}", target.sigpipe, baseline.sigpipe)),
        ("gate:     ", gate),
        ("network:  ", network.to_owned()),
        ("clients:  ", clients.to_owned()),
        ("idle:     ", baseline.idle.clone()),
    ];
    rows.into_iter().map(|(label, text)| wrap(label, &printable(&text))).collect()
}

/// All there is to say of what was found in a target: what, the scenario, the evidence, the [`Ladder`], and what to do. One that did not
/// come true each time has no more than the scenario and the evidence.
pub fn target_finding(finding: &TargetFinding, target: &Target, baseline: &Baseline) -> String {
    let TargetFinding { symptom, scenario, trace, evidence, main, confirmed, .. } = finding;
    if !finding.is_confirmed() {
        let first = format!("{confirmed} of {CONFIRMATIONS} fresh servers: {}", printable(evidence));
        return wrap(&format!("flaky: {symptom}: "), &first) + &wrap("scenario: ", &scenario.to_string());
    }
    let word = if symptom.is_warning() { "warning" } else { "finding" };
    let mut text =
        wrap(&format!("{word}: {symptom}: "), &format!("{}, {confirmed} times of {CONFIRMATIONS}", symptom.what()));
    text += &body(target, scenario, Some(*main));
    text += &paragraph("", &format!("{}.", printable(evidence)));
    text += &picture(scenario, trace);
    if baseline.gate.is_err() && scenario.events().iter().flat_map(Event::parts).any(|event| *event == Event::Hold) {
        text += &paragraph("note:   ", WITHOUT_GATE);
    }
    text + &paragraph("advice: ", symptom.advice())
}

/// What is to be known of a finding that rests on a `hold` by SIGSTOP.
const WITHOUT_GATE: &str = "the scenario needs `hold`, and the server was stopped for that by a signal: a slow scheduler can produce \
                            this order of events, an idle machine may not.";

/// All there is to say of one run against a target: what was seen, the scenario, the [`Ladder`], and what to do about it.
pub fn target_run(run: &TargetRun, target: &Target, scenario: &Scenario) -> String {
    let mut text = match run.seen.first() {
        Some(seen) => wrap(&format!("{}: ", seen.symptom), &printable(&seen.evidence)),
        None => "nothing was seen to be wrong\n".to_owned(),
    };
    for seen in run.seen.iter().skip(1) {
        text += &wrap(&format!("{}: ", seen.symptom), &printable(&seen.evidence));
    }
    text += "\n";
    text += &body(target, scenario, run.seen.first().map(|seen| seen.main));
    text += &picture(scenario, &run.trace);
    if let Some(seen) = run.seen.first() {
        text += &paragraph("advice: ", seen.symptom.advice());
    }
    text.trim_end().to_owned() + "\n"
}

/// The scenario, the server, and which process of it.
fn body(target: &Target, scenario: &Scenario, main: Option<bool>) -> String {
    let mut text = wrap("scenario: ", &scenario.to_string());
    // For copying: a command is never broken into lines.
    text += &format!("command:  {}\n", printable(&target.command_line()));
    if let Some(main) = main {
        text += &format!("process:  {}\n", process(main));
    }
    text + "\n"
}

/// The word for which process it is.
pub(super) const fn process(main: bool) -> &'static str {
    if main { "main" } else { "child" }
}

fn picture(scenario: &Scenario, trace: &Trace) -> String {
    format!("{}\n", Ladder::new(scenario, trace))
}

/// What servers write may have anything in it, and does nothing to a terminal here.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
