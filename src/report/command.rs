//! Text reports about a command or a function: its baseline, and single runs.

use super::text::{paragraph, wrap};
use super::{Ladder, printable};
use crate::hunt::{Baseline, ObservedRun, Replies, ShutOut, Timeout};
use crate::scenario::Scenario;
use crate::subject::Target;
use crate::trace::{Role, Trace};

/// Describes a target: its command, the disposition of SIGPIPE, whether the gate is in use, its network, how it serves clients, and its
/// processes and descriptors when idle. There is one labelled row for each.
pub fn server(target: &Target, baseline: &Baseline) -> String {
    let gate = match &baseline.gate {
        Ok(()) => "its calls are let in one by one".to_owned(),
        Err(why) => format!("none ({why}): `hold` stops its processes, and settled is when all of them sleep"),
    };
    let time = match &baseline.virtual_time {
        Ok(()) => "virtual: what the server waits for comes at once".to_owned(),
        Err(why) => format!("real ({why})"),
    };
    let network = if baseline.namespace { "its own" } else { "this machine's" };
    let clients = match (baseline.concurrent, baseline.keeps_alive) {
        (false, _) => "one after the other (iterative)",
        (true, false) => "several at once, one question each",
        (true, true) => "several at once, any number of questions each",
    };
    let times = |Timeout { silent, time }: &Timeout| format!("after {:.1} s with {silent}", time.as_secs_f64());
    let times: Vec<String> = baseline.timeouts.iter().map(times).collect();
    let timeouts = (!times.is_empty()).then(|| ("timeouts: ", format!("closes a silent client {}", times.join(", "))));
    let held = |shut: &ShutOut| {
        let clients = if shut.clients == 1 { "one client".to_owned() } else { format!("{} clients", shut.clients) };
        let time = shut.time.map(|time| format!(" for {:.1} s", time.as_secs_f64())).unwrap_or_default();
        format!("{clients} with {}{time}", shut.silent)
    };
    let asked =
        baseline.question.as_ref().map(|said| ("asked:    ", format!("a polite client says {said}, which it answers")));
    let held: Vec<String> = baseline.shut_out.iter().map(held).collect();
    let held = (!held.is_empty()).then(|| ("held:     ", format!("nobody is served beside {}", held.join(", "))));
    let replies = replies(&baseline.replies).map(|text| ("replies:  ", text));
    let rows = [
        ("server:   ", target.command_line()),
        ("sigpipe:  ", format!("requested {}, effective {}", target.sigpipe, baseline.sigpipe)),
        ("gate:     ", gate),
        ("time:     ", time),
        ("network:  ", network.to_owned()),
        ("clients:  ", clients.to_owned()),
        ("idle:     ", baseline.idle.clone()),
    ];
    rows.into_iter()
        .chain(asked)
        .chain(replies)
        .chain(held)
        .chain(timeouts)
        .map(|(label, text)| wrap(label, &printable(&text)))
        .collect()
}

/// What is known of the server's replies, if it sends any.
fn replies(Replies { largest, request, fills }: &Replies) -> Option<String> {
    request.as_ref()?;
    Some(match fills {
        Some(1) => format!("at most {largest} bytes, of which one that is not read fills the server's buffer"),
        Some(n) => format!("at most {largest} bytes, of which {n} that are not read fill the server's buffer"),
        None => format!(
            "at most {largest} bytes, which never fill the server's buffer: give a request that draws a larger one with --say"
        ),
    })
}

/// The events of a scenario, or a sentence that none is needed.
pub(super) fn events(scenario: &Scenario) -> String {
    match scenario.events() {
        [] => "(no event is needed: the polite client that comes afterwards shows it)".to_owned(),
        events => {
            let text = scenario.to_string();
            match text.char_indices().nth(LONGEST) {
                None => text,
                Some((end, _)) => format!("{}… ({} events; the case has them all)", &text[..end], events.len()),
            }
        }
    }
}

/// How many characters of a scenario are shown at most.
const LONGEST: usize = 4_000;

/// The full report of one run against a target: what is wrong, the scenario, the [`Ladder`], and advice on the first failure.
pub fn observed_run(run: &ObservedRun, target: &Target, scenario: &Scenario) -> String {
    let mut text = match run.seen.first() {
        Some(seen) => wrap(&format!("{}: ", seen.signature.kind), &printable(&seen.evidence)),
        None => "nothing was seen to be wrong\n".to_owned(),
    };
    for seen in run.seen.iter().skip(1) {
        text += &wrap(&format!("{}: ", seen.signature.kind), &printable(&seen.evidence));
    }
    text += "\n";
    text += &body(target, scenario, run.seen.first().map(|seen| seen.signature.role));
    text += &picture(scenario, &run.trace);
    if let Some(seen) = run.seen.first() {
        text += &paragraph("advice: ", seen.signature.kind.advice());
    }
    text.trim_end().to_owned() + "\n"
}

/// The scenario, the command, and the process that the result is about, if there is one.
pub(super) fn body(target: &Target, scenario: &Scenario, role: Option<Role>) -> String {
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

pub(super) fn picture(scenario: &Scenario, trace: &Trace) -> String {
    format!("{}\n", Ladder::new(scenario, trace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Kind, Seen, Signature};
    use crate::subject::Sigpipe;

    fn target() -> Target {
        Target::command(["./server", "--port", "{port}"]).sigpipe(Sigpipe::Ignore)
    }

    fn baseline(gate: Result<(), String>) -> Baseline {
        Baseline {
            concurrent: true,
            keeps_alive: false,
            answers: true,
            sigpipe: "default".to_owned(),
            virtual_time: gate.clone().map_err(|_| "its calls do not pass the gate".to_owned()),
            gate,
            timeouts: Vec::new(),
            shut_out: Vec::new(),
            replies: crate::hunt::Replies::default(),
            question: None,
            namespace: false,
            idle: "processes: 1, threads: 1, descriptors: 4".to_owned(),
        }
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
time:     real (its calls do not pass the gate)
network:  this machine's
clients:  several at once, one question each
idle:     processes: 1, threads: 1, descriptors: 4
"
        );
    }

    #[test]
    fn one_run_shows_everything_that_was_seen() {
        let seen =
            [Kind::Exit, Kind::FdLeak].map(|kind| Seen { signature: Signature::of(kind), evidence: "so".to_owned() });
        let run = |seen| ObservedRun { baseline: baseline(Ok(())), trace: Trace::default(), seen };
        let scenario = "a connect".parse().unwrap();
        let told = observed_run(&run(seen.to_vec()), &target(), &scenario);
        assert!(told.starts_with("exit: so\nfd-leak: so\n\nscenario: a connect\n"), "{told}");
        assert!(told.contains("process:  main\n") && told.contains("advice: look at what"), "{told}");
        let told = observed_run(&run(Vec::new()), &target(), &scenario);
        assert!(told.starts_with("nothing was seen to be wrong\n\nscenario: ") && !told.contains("advice:"), "{told}");
    }
}
