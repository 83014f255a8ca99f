//! Text reports about a target: its baseline, its findings, and single runs.

use super::text::{paragraph, wrap};
use super::{Ladder, printable};
use crate::hunt::{Baseline, CONFIRMATIONS, Severity, TargetFinding, TargetRun};
use crate::scenario::{Event, Fault, Scenario};
use crate::subject::Target;
use crate::trace::{Role, Trace};

/// Describes a target: its command, the disposition of SIGPIPE, whether the gate is in use, its network, how it serves clients, and its
/// processes and descriptors when idle. There is one labelled row for each.
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

/// The full report of a finding: kind, scenario, command, evidence, [`Ladder`], the end of the server's output, notes and advice. A finding
/// that is not confirmed gets its number of reproductions, the evidence and the scenario only.
pub fn target_finding(finding: &TargetFinding, target: &Target, baseline: &Baseline) -> String {
    let TargetFinding { identity, scenario, trace, evidence, confirmed, gate, .. } = finding;
    let (symptom, severity) = (identity.symptom, finding.severity());
    let unsteered = !gate && baseline.gate.is_ok();
    if !finding.is_confirmed() {
        let how = if unsteered { ", without the gate" } else { "" };
        let first = format!("{confirmed} of {CONFIRMATIONS} fresh servers{how}: {}", printable(evidence));
        return wrap(&format!("{severity}: {symptom}: "), &first) + &wrap("scenario: ", &events(scenario));
    }
    let times = format!("{}, {confirmed} times of {CONFIRMATIONS}", symptom.what());
    let mut text = wrap(&format!("{severity}: {symptom}: "), &times);
    text += &body(target, scenario, Some(identity.role));
    text += &paragraph("", &format!("{}.", printable(evidence)));
    text += &picture(scenario, trace);
    text += &last_lines(&finding.output);
    for fault in &finding.injected {
        text += &paragraph("note:   ", &injected(*fault));
    }
    if severity == Severity::Warning && identity.role == Role::Connection {
        text += &paragraph("note:   ", OWN_CONNECTION);
    }
    if unsteered {
        text += &paragraph("note:   ", UNSTEERED);
    }
    if !gate && scenario.events().iter().flat_map(Event::parts).any(|event| *event == Event::Hold) {
        text += &paragraph("note:   ", WITHOUT_GATE);
    }
    text + &paragraph("advice: ", symptom.advice())
}

/// One line about a suspected failure that did not reproduce on fresh servers: kind, scenario and evidence.
pub fn target_suspicion(finding: &TargetFinding) -> String {
    let TargetFinding { identity, scenario, evidence, .. } = finding;
    format!("not confirmed: {}: `{}`: {}\n", identity.symptom, events(scenario), printable(evidence))
}

/// The events of a scenario, or a sentence that none is needed.
fn events(scenario: &Scenario) -> String {
    match scenario.events() {
        [] => "(no event is needed: the polite client that comes afterwards shows it)".to_owned(),
        _ => scenario.to_string(),
    }
}

/// Number of lines of the server's output that are shown.
const LINES: usize = 5;

/// The last [`LINES`] lines of the server's output that are not blank; empty if there are none.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() {
        return String::new();
    }
    let shown: String = last.iter().map(|line| wrap("  ", &printable(line))).collect();
    format!("the end of the server's output:\n{shown}\n")
}

/// The note on a result that needs an injected error.
fn injected(fault: Fault) -> String {
    let (call, errno) = (fault.call(), fault.errno());
    format!(
        "{errno} is what brokenpipe answered {call} with. This kernel does not return it there, so this is a warning."
    )
}

/// The note on a warning about a process that serves one connection.
const OWN_CONNECTION: &str =
    "the process served this one connection and nothing else was harmed, so this is a warning.";

/// The note on a finding that was made without the gate in a hunt that has the gate.
const UNSTEERED: &str = "this was played without the gate, which lets one call pass at a time and so takes away what threads race \
                         for. The case does without it, too.";

/// The note on a finding that needs a `hold`, which without the gate is a SIGSTOP.
const WITHOUT_GATE: &str = "the scenario needs `hold`, and the server was stopped for that by a signal: a slow scheduler can produce \
                            this order of events, an idle machine may not.";

/// The full report of one run against a target: what is wrong, the scenario, the [`Ladder`], and advice on the first failure.
pub fn target_run(run: &TargetRun, target: &Target, scenario: &Scenario) -> String {
    let mut text = match run.seen.first() {
        Some(seen) => wrap(&format!("{}: ", seen.symptom), &printable(&seen.evidence)),
        None => "nothing was seen to be wrong\n".to_owned(),
    };
    for seen in run.seen.iter().skip(1) {
        text += &wrap(&format!("{}: ", seen.symptom), &printable(&seen.evidence));
    }
    text += "\n";
    text += &body(target, scenario, run.seen.first().map(|seen| seen.role));
    text += &picture(scenario, &run.trace);
    if let Some(seen) = run.seen.first() {
        text += &paragraph("advice: ", seen.symptom.advice());
    }
    text.trim_end().to_owned() + "\n"
}

/// The scenario, the command, and the process that the result is about, if there is one.
fn body(target: &Target, scenario: &Scenario, role: Option<Role>) -> String {
    let mut text = wrap("scenario: ", &events(scenario));
    // The command is not wrapped, so that it can be copied.
    text += &format!("command:  {}\n", printable(&target.command_line()));
    let process = role.map(|role| match role {
        Role::Main => "main",
        Role::Worker => "a worker",
        Role::Connection => "a child that serves one connection",
    });
    text += &process.map(|process| format!("process:  {process}\n")).unwrap_or_default();
    text + "\n"
}

fn picture(scenario: &Scenario, trace: &Trace) -> String {
    format!("{}\n", Ladder::new(scenario, trace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Identity;
    use crate::hunt::TargetSeen;
    use crate::scenario::{Call, Errno};
    use crate::subject::Sigpipe;
    use crate::trace::{Outcome, Signal};
    use crate::{At, Symptom};

    fn target() -> Target {
        Target::command(["./server", "--port", "{port}"]).sigpipe(Sigpipe::Ignore)
    }

    fn baseline(gate: Result<(), String>) -> Baseline {
        Baseline {
            concurrent: true,
            keeps_alive: false,
            answers: true,
            sigpipe: "default".to_owned(),
            gate,
            namespace: false,
            idle: "processes: 1, threads: 1, descriptors: 4".to_owned(),
        }
    }

    fn finding(scenario: &str, symptom: Symptom, confirmed: u32) -> TargetFinding {
        let scenario: Scenario = scenario.parse().unwrap();
        let mut trace = Trace::default();
        trace.finish(Outcome::Killed { signal: Signal::SIGPIPE, at: At::Event(0) });
        let evidence = "the server was killed\x1b[31m".to_owned();
        let output = String::new();
        let identity = Identity { symptom, role: Role::Worker, call: None, state: None };
        let injected = Vec::new();
        TargetFinding { identity, scenario, trace, evidence, output, confirmed, gate: true, injected, doubt: None }
    }

    #[test]
    fn a_server_is_told_in_as_many_lines_as_there_is_to_know() {
        assert_eq!(
            server(&target(), &baseline(Err("it uses io_uring, whose calls no filter sees".to_owned()))),
            "\
server:   ./server --port {port}
sigpipe:  requested ignore, effective default
gate:     none (it uses io_uring, whose calls no filter sees): `hold` stops its processes, and
          settled is when all of them sleep
network:  this machine's
clients:  several at once, one question each
idle:     processes: 1, threads: 1, descriptors: 4
"
        );
    }

    #[test]
    fn a_finding_says_what_where_and_what_to_do() {
        let told = target_finding(&finding("a connect; a rst", Symptom::Sigpipe, 3), &target(), &baseline(Ok(())));
        let head = "\
finding: sigpipe: a process of the server was killed by SIGPIPE, 3 times of 3
scenario: a connect; a rst
command:  ./server --port {port}
process:  a worker

the server was killed?[31m.

";
        assert!(told.starts_with(head), "{told}");
        assert!(told.contains("\nadvice: pass MSG_NOSIGNAL") && !told.contains("note:"), "{told}");
    }

    #[test]
    fn a_finding_shows_the_last_lines_of_the_servers_output() {
        let told = |output: &str| {
            let finding = TargetFinding { output: output.to_owned(), ..finding("a connect", Symptom::Exit, 3) };
            target_finding(&finding, &target(), &baseline(Ok(())))
        };
        let text = told("1\n2\n3\n\n4\n5\n6\x1b[31m\n");
        assert!(text.contains("\nthe end of the server's output:\n  2\n  3\n  4\n  5\n  6?[31m\n\nadvice: "), "{text}");
        assert!(!told("\n").contains("output"));
    }

    #[test]
    fn a_scenario_without_events_says_that_none_is_needed() {
        let told = |n| target_finding(&finding("", Symptom::Exit, n), &target(), &baseline(Ok(())));
        assert!(told(3).contains("\nscenario: (no event is needed: the polite client that comes"), "{}", told(3));
        assert!(told(2).contains("\nscenario: (no event is needed"));
    }

    #[test]
    fn what_was_played_without_the_gate_is_told_so_and_that_it_needs_hold() {
        let without = baseline(Err("it was not asked for".to_owned()));
        let told = |scenario, gate, baseline| {
            let finding = TargetFinding { gate, ..finding(scenario, Symptom::Exit, 3) };
            target_finding(&finding, &target(), baseline)
        };
        let (held, free, with) = ("hold; a connect; a rst; go", "a connect; a rst", baseline(Ok(())));
        assert!(told(held, false, &without).contains("\nnote:   the scenario needs `hold`"));
        assert!(!told(free, false, &without).contains("note:"));
        assert!(!told(held, true, &with).contains("note:"));
        let both = told(held, false, &with);
        assert!(both.contains("\nnote:   this was played without the gate") && both.contains("needs `hold`"), "{both}");
        assert!(!told(free, false, &with).contains("needs `hold`"));
    }

    #[test]
    fn what_is_flaky_or_a_warning_is_called_so() {
        let told = |symptom, n| target_finding(&finding("a connect", symptom, n), &target(), &baseline(Ok(())));
        let unsteered = TargetFinding { gate: false, ..finding("a connect", Symptom::Exit, 2) };
        let unsteered = target_finding(&unsteered, &target(), &baseline(Ok(())));
        assert!(unsteered.starts_with("flaky: exit: 2 of 3 fresh servers, without the gate: "), "{unsteered}");
        assert_eq!(
            told(Symptom::Sigpipe, 1),
            "flaky: sigpipe: 1 of 3 fresh servers: the server was killed?[31m\nscenario: a connect\n"
        );
        assert!(told(Symptom::MemoryGrowth, 3).starts_with("warning: memory-growth: resident memory grows"));
        assert!(told(Symptom::Spin, 0).starts_with("unconfirmed: spin: 0 of 3 fresh servers: "));
    }

    #[test]
    fn a_warning_says_why_it_is_no_finding() {
        let told = |finding: &TargetFinding| target_finding(finding, &target(), &baseline(Ok(())));
        let injected = Fault::new(Call::Accept, Errno::ECONNABORTED).into_iter().collect();
        let text =
            told(&TargetFinding { injected, ..finding("fault accept ECONNABORTED; a connect", Symptom::Exit, 3) });
        assert!(text.starts_with("warning: exit: ") && text.contains("\nnote:   ECONNABORTED is what"), "{text}");
        let child = finding("a connect; a rst", Symptom::Sigpipe, 3);
        let identity = Identity { role: Role::Connection, ..child.identity };
        let text = told(&TargetFinding { identity, ..child });
        assert!(text.starts_with("warning: sigpipe: ") && text.contains("nothing else was harmed"), "{text}");
        assert!(text.contains("\nprocess:  a child that serves one connection\n"), "{text}");
    }

    #[test]
    fn one_run_shows_everything_that_was_seen() {
        let seen = [Symptom::Exit, Symptom::FdLeak].map(|symptom| TargetSeen {
            symptom,
            evidence: "so".to_owned(),
            role: Role::Main,
        });
        let run = |seen| TargetRun { baseline: baseline(Ok(())), trace: Trace::default(), seen };
        let scenario = "a connect".parse().unwrap();
        let told = target_run(&run(seen.to_vec()), &target(), &scenario);
        assert!(told.starts_with("exit: so\nfd-leak: so\n\nscenario: a connect\n"), "{told}");
        assert!(told.contains("process:  main\n") && told.contains("advice: look at what"), "{told}");
        let told = target_run(&run(Vec::new()), &target(), &scenario);
        assert!(told.starts_with("nothing was seen to be wrong\n\nscenario: ") && !told.contains("advice:"), "{told}");
    }

    #[test]
    fn every_symptom_is_told_and_has_its_advice() {
        for symptom in Symptom::ALL {
            assert!(symptom.advice().ends_with('.') && !symptom.what().ends_with('.'), "{symptom}");
        }
    }
}
