//! Text reports of a program's run and of a finding.

use super::{Ladder, why};
use crate::oracle::{Finding, Kind, outcome_words};
use crate::scenario::Scenario;
use crate::subject::Setup;
use crate::trace::{At, Outcome, Signal, Trace};
use std::io::IsTerminal;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Largest width of running text, in characters.
const WIDTH: usize = 100;
/// A terminal that is narrower than this wraps the text itself.
const NARROWEST: usize = 40;

/// What to do about a finding of this kind, and the cases in which that is not enough.
pub const fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::Death | Kind::HandledDeath => {
            "pass MSG_NOSIGNAL to every send, or set SIGPIPE to SIG_IGN before the first accept. Where each is not enough: \
             write, writev, sendfile and splice take no flags, nor can a library's sends be given one; SIG_IGN can be undone \
             by any library, and children keep it through exec, where programs rely on dying of a closed pipe."
        }
        Kind::WrongEnd => {
            "look at what the server does with the result of its last call: whatever a client does may end that \
             client's connection, and nothing else."
        }
        Kind::Hygiene => {
            "close every accepted descriptor on every path, those of errors too, and go back to accept from each of them."
        }
        Kind::Disagreement | Kind::Nondeterminism | Kind::PolicyDifference => {
            "replay it. If it stays, brokenpipe or the kernel is wrong, not the server: please report the case, with what \
             `uname -r` says."
        }
    }
}

/// The full report of one run: outcome, scenario, explanation, [`Ladder`], and advice if SIGPIPE killed the server.
pub fn explain(scenario: &Scenario, setup: &Setup, trace: &Trace) -> String {
    let mut text = format!("{}\n\n", verdict(scenario, trace));
    text += &body(scenario, setup, trace);
    text += &match trace.outcome() {
        Outcome::Killed { signal: Signal::SIGPIPE, .. } => paragraph("advice: ", advice(Kind::Death)),
        _ => String::new(),
    };
    text.trim_end().to_owned() + "\n"
}

/// The full report of a finding: outcome, the first difference if two traces were compared, scenario, explanation, [`Ladder`], advice, and
/// `replay`, the command that plays it again. If the kernel and the model disagree, the model's outcome, explanation and diagram are shown
/// too.
///
/// ```
/// use brokenpipe::{Model, Scenario, Setup, Trace, judge, play, report};
///
/// let scenario: Scenario = "hold; a connect; a fin; a rst; go".parse()?;
/// let (setup, mut trace) = (Setup::default(), Trace::default());
/// play(&mut Model::default(), &setup, &scenario, &mut trace)?;
/// let finding = judge(&scenario, &setup, &trace, &trace).expect("the greeter dies");
/// let text = report::finding(&finding, "brokenpipe replay death.case");
/// assert!(text.starts_with("death: killed by SIGPIPE at event 4 (`go`)\n"));
/// assert!(text.ends_with("replay: brokenpipe replay death.case\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn finding(finding: &Finding, replay: &str) -> String {
    let Finding { kind, scenario, setup, kernel, model, difference } = finding;
    let mut text = format!("{kind}: {}\n{}.\n\n", verdict(scenario, kernel), kind.explanation());
    if let Some(difference) = difference {
        text += &paragraph("first difference: ", &difference.to_string());
    }
    text += &body(scenario, setup, kernel);
    if *kind == Kind::Disagreement {
        text += &format!("The model says instead: {}\n\n", verdict(scenario, model));
        text += &paragraph("", &why(scenario, setup, model));
        text += &format!("{}\n", Ladder::new(scenario, model));
    }
    text += &paragraph("advice: ", advice(*kind));
    // The command is not wrapped, so that it can be copied.
    text + &format!("replay: {replay}\n")
}

/// The outcome in one line, with the event at which the server ended.
fn verdict(scenario: &Scenario, trace: &Trace) -> String {
    let outcome = trace.outcome();
    let words = outcome_words(outcome);
    let Some(at @ (At::Event(_) | At::Round { .. })) = outcome.at() else {
        return words;
    };
    let words = words.strip_suffix(&at.to_string()).unwrap_or(&words);
    match at.of(scenario) {
        Some(event) => format!("{words}event {at} (`{event}`)"),
        None => format!("{words}event {at}"),
    }
}

/// The scenario, the server, the explanation, and the diagram.
fn body(scenario: &Scenario, setup: &Setup, trace: &Trace) -> String {
    let preset = setup.program.preset().map(|name| format!(" ({name})")).unwrap_or_default();
    let mut text = wrap("scenario: ", &scenario.to_string());
    text += &wrap("program:  ", &format!("{}{preset}", setup.program));
    text += &format!("policy:   {}\n\n", setup.policy);
    text += &paragraph("", &why(scenario, setup, trace));
    text + &format!("{}\n", Ladder::new(scenario, trace))
}

/// Wrapped text, followed by an empty line.
pub(super) fn paragraph(label: &str, text: &str) -> String {
    wrap(label, text) + "\n"
}

/// `label` and `text`, wrapped at [`WIDTH`] or at the width of a narrower terminal. All lines but the first are indented by the width of the
/// label. Words are never broken, so that a scenario or a path can be copied.
pub(super) fn wrap(label: &str, text: &str) -> String {
    let indent = " ".repeat(label.len());
    // All set here: another dependency may enable features of textwrap that change the defaults.
    let options = Options::new(width())
        .initial_indent(label)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(text, options) + "\n"
}

/// The width of text: that of the terminal if standard output is one, between [`NARROWEST`] and [`WIDTH`].
fn width() -> usize {
    if std::io::stdout().is_terminal() { textwrap::termwidth().clamp(NARROWEST, WIDTH) } else { WIDTH }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{setup, trace};
    use super::*;
    use crate::{Policy, judge};

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

replay: brokenpipe replay death.case
";
        assert_eq!(finding(&found, "brokenpipe replay death.case"), expected);
    }

    #[test]
    fn a_disagreement_shows_where_and_both_traces() {
        let found = judged(DEATH, &Setup::default(), &setup("greeter", Policy::Ignore));
        let text = finding(&found, "x");
        assert!(text.starts_with("disagreement: killed by SIGPIPE at event 4 (`a close`)\n"), "{text}");
        assert!(text.contains("\nfirst difference: at event 4, the server's call number 5 there: "), "{text}");
        assert!(text.contains("The model says instead: survived\n"), "{text}");
        assert_eq!(text.matches("a's socket").count(), 2, "{text}");
    }

    #[test]
    fn a_survivor_is_explained_without_advice() {
        let (scenario, trace) = trace("a connect; a vanish", &Setup::default());
        let text = explain(&scenario, &Setup::default(), &trace);
        assert!(text.starts_with("survived waiting on a\n\nscenario: a connect; a vanish\n"), "{text}");
        assert!(!text.contains("advice:"), "{text}");
    }

    #[test]
    fn a_death_in_the_teardown_is_placed_there() {
        let (scenario, trace) = trace("hold; a connect; a fin; a rst", &Setup::default());
        let text = explain(&scenario, &Setup::default(), &trace);
        assert!(text.starts_with("killed by SIGPIPE at teardown go\n"), "{text}");
        assert!(text.contains("advice: pass MSG_NOSIGNAL"), "{text}");
    }

    #[test]
    fn running_text_is_at_most_so_wide_and_loses_no_word() {
        let words = "word ".repeat(60);
        let text = wrap("label: ", words.trim());
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("       word")), "{text}");
        assert_eq!(text.split_whitespace().count(), 61);
    }

    #[test]
    fn every_kind_has_its_advice() {
        for kind in Kind::ALL {
            assert!(advice(kind).ends_with('.'), "{kind}");
        }
    }
}
