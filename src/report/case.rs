//! The text report of a case file. It starts nothing.

use super::printable;
use super::text::wrap;
use crate::case::{Case, Expect};
use crate::subject::{Polite, Sigpipe, Subject, Target, options};
use std::fmt::Write;

/// Lists what playing this target executes, one labelled line each: the command, its environment variables, its working directory, and the
/// shell commands for setup and for the polite client. It is shown before anything is started.
pub fn commands(target: &Target) -> String {
    let mut text = String::new();
    // Commands are not wrapped, so that they can be copied.
    let mut line = |label: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{label}{}", printable(value));
    };
    line("command:  ", &target.command_line());
    for (name, value) in &target.environment {
        line("env:      ", &format!("{name}={value}"));
    }
    if let Some(cwd) = &target.cwd {
        line("cwd:      ", &cwd.to_string_lossy());
    }
    if let Some(setup) = &target.setup {
        line("setup:    ", setup);
    }
    if let Polite::Command(command) = &target.polite {
        line("polite:   ", command);
    }
    text
}

/// The full text of a case: the scenario, the server and how it is started, the expected result, the cause, and advice.
pub fn case(case: &Case) -> String {
    let Case { subject, expect, cause, scenario } = case;
    let mut text = wrap("scenario: ", &scenario.to_string());
    text += &match subject {
        Subject::Program(setup) => {
            wrap("program:  ", &setup.program.to_string()) + &wrap("policy:   ", setup.policy.name())
        }
        Subject::Command(target) => command(target),
    };
    let (what, advice) = match expect {
        Expect::Run(run) => (run.to_string(), None),
        Expect::Finding(kind) => (format!("{kind}: {}", kind.what()), Some(kind.advice())),
    };
    text += &wrap("expect:   ", &what);
    if !cause.is_empty() {
        text += &wrap("cause:    ", &printable(cause));
    }
    if let Some(advice) = advice {
        text += &format!("\n{}", wrap("advice: ", advice));
    }
    text
}

fn command(target: &Target) -> String {
    let mut text = commands(target);
    let talk = match target.polite {
        Polite::As(protocol) => format!("{}; a polite client talks {protocol}", target.protocol),
        _ => target.protocol.to_string(),
    };
    text += &wrap("protocol: ", &talk);
    if target.sigpipe != Sigpipe::Default {
        text += &wrap("sigpipe:  ", target.sigpipe.name());
    }
    let options = options(target).join(" ");
    if !options.is_empty() {
        text += &wrap("options:  ", &options);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_file_is_said_and_none_of_it_does_anything_to_a_terminal() {
        let parsed: Case = "brokenpipe case 1\ncommand: ./server 'a\x1b[2J' {port}\nenv: LANG=C\ncwd: /srv\nsetup: make {dir}\n\
                                sigpipe: ignore\nprotocol: http\npolite: ./ask {port}\noptions: no-gate listen-fd\nexpect: exit\n\
                                cause: it wrote \u{9b}31m\n\na connect\na rst\n"
            .parse()
            .unwrap();
        let text = case(&parsed);
        let head = "\
scenario: a connect; a rst
command:  ./server 'a?[2J' {port}
env:      LANG=C
cwd:      /srv
setup:    make {dir}
polite:   ./ask {port}
protocol: http
sigpipe:  ignore
options:  no-gate listen-fd
expect:   exit: the server, or one of its workers, ended by itself
cause:    it wrote ¿31m

advice: look at what";
        assert!(text.starts_with(head), "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn what_a_case_does_not_have_is_left_out() {
        let parsed: Case =
            "brokenpipe case 1\ncommand: ./server\npolite: redis\nexpect: exit\n\na rst\n".parse().unwrap();
        let Subject::Command(target) = &parsed.subject else { unreachable!("it has a command") };
        assert_eq!(commands(target), "command:  ./server\n");
        let text = case(&parsed);
        assert!(text.contains("\nprotocol: none; a polite client talks redis\nexpect:   exit: "), "{text}");
    }

    #[test]
    fn the_case_of_a_program_is_told_without_advice() {
        let parsed: Case =
            "brokenpipe case 1\nprogram: greeter\nexpect: survived\n\na connect; a rst\n".parse().unwrap();
        assert_eq!(
            case(&parsed),
            "\
scenario: a connect; a rst
program:  accept; send 26; recv-all; close
policy:   default
expect:   survived
"
        );
    }
}
