//! The text of a finding.

use super::command::{self, events, picture};
use super::text::{self, paragraph, verdict, wrap};
use super::{Ladder, printable, why};
use crate::detect::{CONFIRMATIONS, Compared, Finding, Gate, Kind, Severity};
use crate::scenario::{Event, Fault};
use crate::subject::{Setup, Subject, Target};
use crate::trace::Role;

/// The full report of a finding: what is wrong, scenario, server, explanation, [`Ladder`], and advice.
///
/// For a program, the first difference is shown if two traces were compared; if the kernel and the model disagree, the model's outcome,
/// explanation and diagram too. For any other server, the end of its output and notes are shown; a finding that is not confirmed gets its
/// number of reproductions, the evidence and the scenario only.
///
/// ```
/// use brokenpipe::{Model, Scenario, Setup, Trace, judge, play, report};
///
/// let scenario: Scenario = "hold; a connect; a fin; a rst; go".parse()?;
/// let (setup, mut trace) = (Setup::default(), Trace::default());
/// play(&mut Model::default(), &setup, &scenario, &mut trace)?;
/// let finding = judge(&scenario, &setup, &trace, &trace).expect("the greeter dies");
/// let text = report::finding(&finding);
/// assert!(text.starts_with("death: killed by SIGPIPE at event 4 (`go`)\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn finding(finding: &Finding) -> String {
    match &finding.subject {
        Subject::Program(setup) => of_program(finding, setup),
        Subject::Command(target) => of_command(finding, target),
    }
}

fn of_program(finding: &Finding, setup: &Setup) -> String {
    let Finding { scenario, trace, compared, .. } = finding;
    let kind = finding.kind();
    let mut text = format!("{kind}: {}\n{}.\n\n", verdict(scenario, trace), kind.what());
    if let Some(Compared { difference: Some(difference), .. }) = compared {
        text += &paragraph("first difference: ", &difference.to_string());
    }
    text += &text::body(scenario, setup, trace);
    if let (Kind::Disagreement, Some(Compared { with: model, .. })) = (kind, compared) {
        text += &format!("The model says instead: {}\n\n", verdict(scenario, model));
        text += &paragraph("", &why(scenario, setup, model));
        text += &format!("{}\n", Ladder::new(scenario, model));
    }
    text + &paragraph("advice: ", kind.advice())
}

fn of_command(finding: &Finding, target: &Target) -> String {
    let Finding { signature, scenario, trace, evidence, confirmed, gate, .. } = finding;
    let (kind, severity) = (finding.kind(), finding.severity());
    if !finding.is_confirmed() {
        let how = if *gate == Gate::Lifted { ", without the gate" } else { "" };
        let first = format!("{confirmed} of {CONFIRMATIONS} fresh servers{how}: {}", printable(evidence));
        return wrap(&format!("{severity}: {kind}: "), &first) + &wrap("scenario: ", &events(scenario));
    }
    let times = format!("{}, {confirmed} times of {CONFIRMATIONS}", kind.what());
    let mut text = wrap(&format!("{severity}: {kind}: "), &times);
    text += &command::body(target, scenario, Some(signature.role));
    text += &paragraph("", &format!("{}.", printable(evidence)));
    text += &picture(scenario, trace);
    text += &last_lines(&finding.output);
    for fault in &finding.injected {
        text += &paragraph("note:   ", &injected(*fault));
    }
    if finding.cut_short {
        text += &paragraph("note:   ", CUT_SHORT);
    }
    if severity == Severity::Warning && signature.role == Role::Connection {
        text += &paragraph("note:   ", OWN_CONNECTION);
    }
    if *gate == Gate::Lifted {
        text += &paragraph("note:   ", UNSTEERED);
    }
    if !gate.is_on() && scenario.events().iter().flat_map(Event::parts).any(|event| *event == Event::Hold) {
        text += &paragraph("note:   ", WITHOUT_GATE);
    }
    text + &paragraph("advice: ", kind.advice())
}

/// One line about a suspected failure that did not reproduce on fresh servers: kind, scenario and evidence.
pub fn suspicion(finding: &Finding) -> String {
    let Finding { scenario, evidence, .. } = finding;
    format!("not confirmed: {}: `{}`: {}\n", finding.kind(), events(scenario), printable(evidence))
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

/// The note on a scenario that may be longer than it has to be.
const CUT_SHORT: &str =
    "not every shorter scenario was tried, because that took too long: some of these events may not be needed.";

/// The note on a warning about a process that serves one connection.
const OWN_CONNECTION: &str =
    "the process served this one connection and nothing else was harmed, so this is a warning.";

/// The note on a finding that was made without the gate in a hunt that has the gate.
const UNSTEERED: &str = "this was played without the gate, which lets one call pass at a time and so takes away what threads race \
                         for. The case does without it, too.";

/// The note on a finding that needs a `hold`, which without the gate is a SIGSTOP.
const WITHOUT_GATE: &str = "the scenario needs `hold`, and the server was stopped for that by a signal: a slow scheduler can produce \
                            this order of events, an idle machine may not.";

#[cfg(test)]
mod tests {
    use super::super::tests::{setup, trace};
    use super::*;
    use crate::detect::{Signature, judge};
    use crate::scenario::{Call, Errno};
    use crate::trace::{At, Outcome, Signal};
    use crate::{Policy, Trace};

    const DEATH: &str = "a connect; b connect; b fin; b rst; a close";

    fn judged(scenario: &str, kernel: &Setup, model: &Setup) -> Finding {
        let (scenario, kernel_trace) = trace(scenario, kernel);
        let (_, model) = trace(&scenario.to_string(), model);
        judge(&scenario, kernel, &kernel_trace, &model).expect("a finding")
    }

    #[test]
    fn the_greeters_death_reads_as_it_should() {
        let found = judged(DEATH, &Setup::default(), &Setup::default());
        let expected = "\
death: killed by SIGPIPE at event 4 (`a close`)
the clients' order of events killed the server by SIGPIPE.

scenario: a connect; b connect; b fin; b rst; a close
program:  accept; send 26; recv-all; close (greeter)
policy:   default

b half-closed, so its connection waited in the accept queue in CLOSE_WAIT; its RST there leaves
EPIPE, not ECONNRESET, so the server's very first send to b is a broken pipe, and SIGPIPE's default
action kills the server.

   a        b          server                a's socket   b's socket
─────────────────────────────────────────────────────────────────────
0  connect             accept a
   │                   send a 26             ESTABLISHED
1  │        connect                          │            ESTABLISHED
2  │        fin                              │            CLOSE_WAIT
3  │        rst                              │            CLOSE
4  close               recv a ECONNRESET     │
                       close a               │
                       accept b              │
                     ✗ send b EPIPE SIGPIPE  │
                     ✗ killed by SIGPIPE     CLOSE

advice: pass MSG_NOSIGNAL to every send, or set SIGPIPE to SIG_IGN before the first accept. Where
        each is not enough: write, writev, sendfile and splice take no flags, nor can a library's
        sends be given one; SIG_IGN can be undone by any library, and children keep it through exec,
        where programs rely on dying of a closed pipe.

";
        assert_eq!(super::finding(&found), expected);
    }

    #[test]
    fn a_disagreement_shows_where_and_both_traces() {
        let found = judged(DEATH, &Setup::default(), &setup("greeter", Policy::Ignore));
        let text = super::finding(&found);
        assert!(text.starts_with("disagreement: killed by SIGPIPE at event 4 (`a close`)\n"), "{text}");
        assert!(text.contains("\nfirst difference: at event 4, the server's call number 5 there: "), "{text}");
        assert!(text.contains("The model says instead: survived\n"), "{text}");
        assert_eq!(text.matches("a's socket").count(), 2, "{text}");
    }

    /// A finding about a command.
    fn found(scenario: &str, kind: Kind, confirmed: u32) -> Finding {
        let mut trace = Trace::default();
        trace.finish(Outcome::Killed { signal: Signal::SIGPIPE, at: At::Event(0) });
        let evidence = "the server was killed\x1b[31m".to_owned();
        let signature = Signature { role: Role::Worker, ..Signature::of(kind) };
        let subject = Subject::Command(Target::command(["./server", "--port", "{port}"]));
        let finding = Finding::of(subject, signature, &scenario.parse().unwrap(), Gate::On);
        Finding { trace, evidence, confirmed, ..finding }
    }

    #[test]
    fn a_finding_says_what_where_and_what_to_do() {
        let told = super::finding(&found("a connect; a rst", Kind::Sigpipe, 3));
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
            let finding = Finding { output: output.to_owned(), ..found("a connect", Kind::Exit, 3) };
            super::finding(&finding)
        };
        let text = told("1\n2\n3\n\n4\n5\n6\x1b[31m\n");
        assert!(text.contains("\nthe end of the server's output:\n  2\n  3\n  4\n  5\n  6?[31m\n\nadvice: "), "{text}");
        assert!(!told("\n").contains("output"));
    }

    #[test]
    fn a_scenario_without_events_says_that_none_is_needed() {
        let told = |n| super::finding(&found("", Kind::Exit, n));
        assert!(told(3).contains("\nscenario: (no event is needed: the polite client that comes"), "{}", told(3));
        assert!(told(2).contains("\nscenario: (no event is needed"));
    }

    #[test]
    fn what_was_played_without_the_gate_is_told_so_and_that_it_needs_hold() {
        let told = |scenario, gate| super::finding(&Finding { gate, ..found(scenario, Kind::Exit, 3) });
        let (held, free) = ("hold; a connect; a rst; go", "a connect; a rst");
        assert!(told(held, Gate::Off).contains("\nnote:   the scenario needs `hold`"));
        assert!(!told(free, Gate::Off).contains("note:"));
        assert!(!told(held, Gate::On).contains("note:"));
        let both = told(held, Gate::Lifted);
        assert!(both.contains("\nnote:   this was played without the gate") && both.contains("needs `hold`"), "{both}");
        assert!(!told(free, Gate::Lifted).contains("needs `hold`"));
    }

    #[test]
    fn what_is_flaky_or_a_warning_is_called_so() {
        let told = |kind, n| super::finding(&found("a connect", kind, n));
        let unsteered = Finding { gate: Gate::Lifted, ..found("a connect", Kind::Exit, 2) };
        let unsteered = super::finding(&unsteered);
        assert!(unsteered.starts_with("flaky: exit: 2 of 3 fresh servers, without the gate: "), "{unsteered}");
        assert_eq!(
            told(Kind::Sigpipe, 1),
            "flaky: sigpipe: 1 of 3 fresh servers: the server was killed?[31m\nscenario: a connect\n"
        );
        assert!(told(Kind::MemoryGrowth, 3).starts_with("warning: memory-growth: resident memory grows"));
        assert!(told(Kind::Spin, 0).starts_with("unconfirmed: spin: 0 of 3 fresh servers: "));
    }

    #[test]
    fn a_warning_says_why_it_is_no_finding() {
        let told = |finding: &Finding| super::finding(finding);
        let injected = Fault::new(Call::Accept, Errno::ECONNABORTED).into_iter().collect();
        let text = told(&Finding { injected, ..found("fault accept ECONNABORTED; a connect", Kind::Exit, 3) });
        assert!(text.starts_with("warning: exit: ") && text.contains("\nnote:   ECONNABORTED is what"), "{text}");
        let child = found("a connect; a rst", Kind::Sigpipe, 3);
        let signature = Signature { role: Role::Connection, ..child.signature };
        let text = told(&Finding { signature, ..child });
        assert!(text.starts_with("warning: sigpipe: ") && text.contains("nothing else was harmed"), "{text}");
        assert!(text.contains("\nprocess:  a child that serves one connection\n"), "{text}");
    }
}
