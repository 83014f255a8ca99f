//! The text report of a program's run.

use super::{Ladder, why};
use crate::detect::Kind;
use crate::oracle::outcome_words;
use crate::scenario::Scenario;
use crate::subject::Setup;
use crate::trace::{At, Outcome, Signal, Trace};
use std::io::IsTerminal;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Largest width of running text, in characters.
const WIDTH: usize = 100;
/// A terminal that is narrower than this wraps the text itself.
const NARROWEST: usize = 40;

/// The full report of one run: outcome, scenario, explanation, [`Ladder`], and advice if SIGPIPE killed the server.
pub fn explain(scenario: &Scenario, setup: &Setup, trace: &Trace) -> String {
    let mut text = format!("{}\n\n", verdict(scenario, trace));
    text += &body(scenario, setup, trace);
    text += &match trace.outcome() {
        Outcome::Killed { signal: Signal::SIGPIPE, .. } => paragraph("advice: ", Kind::Death.advice()),
        _ => String::new(),
    };
    text.trim_end().to_owned() + "\n"
}

/// The outcome in one line, with the event at which the server ended.
pub(super) fn verdict(scenario: &Scenario, trace: &Trace) -> String {
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
pub(super) fn body(scenario: &Scenario, setup: &Setup, trace: &Trace) -> String {
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
    use super::super::tests::trace;
    use super::*;

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
}
