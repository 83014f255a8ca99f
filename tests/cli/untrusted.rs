//! Untrusted case files: the commands that they start are shown first, and escape sequences in them and in server output are not printed.

use crate::server::{Server, command, hunted};
use crate::util::{Folder, Said, brokenpipe};
use std::fs;

fn in_folder(dir: &Folder, args: &[&str]) -> Said {
    Said::of(brokenpipe().args(args).current_dir(dir.path()).output().expect("the binary runs"))
}

/// Writes a case of a server that is this test binary. Its setup command makes a file, which shows that the case was started.
fn case(dir: &Folder, server: Server, expect: &str, scenario: &str) {
    let words: Vec<_> = command().iter().map(|word| shlex::try_quote(word).expect("a word").into_owned()).collect();
    let made = dir.path().join("made");
    let text = format!(
        "brokenpipe case 1\ncommand: {}\nenv: CLI_SERVER={server:?}\nenv: CLI_SERVER_PORT={{port}}\nsetup: touch {}\n\
         polite: true\nexpect: {expect}\ncause: it said \u{9b}31m\n\n{scenario}\n",
        words.join(" "),
        made.display()
    );
    fs::write(dir.path().join("a.case"), text).expect("a scratch file");
}

fn was_started(dir: &Folder) -> bool {
    dir.path().join("made").exists()
}

const BREAKS: &str = "hold; a connect; a fin; a rst; go";

#[test]
fn explain_starts_nothing_unless_it_is_told_to() {
    let dir = Folder::new();
    case(&dir, Server::Greeter, "sigpipe", BREAKS);
    let said = in_folder(&dir, &["explain", "a.case"])
        .code(0)
        .out(&format!("scenario: {BREAKS}\ncommand:  /"))
        .out("\nenv:      CLI_SERVER=Greeter\n")
        .out("\nsetup:    touch ")
        .out("\npolite:   true\n")
        .out("\nexpect:   sigpipe: a process of the server was killed by SIGPIPE\ncause:    it said ¿31m\n")
        .out("\nadvice: ")
        .out("nothing was started: `--run` starts the server");
    assert!(!was_started(&dir));
    assert!(!said.out.contains('\u{9b}'), "{}", said.out);
    in_folder(&dir, &["explain", "--run", "a.case"])
        .code(0)
        .out("sigpipe: the server was killed by SIGPIPE")
        .out("✗ killed by SIGPIPE")
        .err("command:  /")
        .err("\nsetup:    touch ")
        .err("\npolite:   true\n");
    assert!(was_started(&dir));
    hunted(&dir, Server::Greeter, &["--first"]).code(1);
}

#[test]
fn replay_says_first_what_it_is_about_to_start() {
    let dir = Folder::new();
    case(&dir, Server::Greeter, "sigpipe", BREAKS);
    let said = in_folder(&dir, &["replay", "a.case"]).code(0);
    assert!(said.err.starts_with("starts:   a.case\ncommand:  /"), "{}", said.err);
    said.err("\nenv:      CLI_SERVER=Greeter\n").err("\nsetup:    touch ").err("\npolite:   true\n");
    // A case whose setup fails is shown too.
    let text = fs::read_to_string(dir.path().join("a.case")).expect("the case").replace("setup: touch", "setup: false");
    fs::write(dir.path().join("a.case"), text).expect("the case");
    let said = in_folder(&dir, &["replay", "a.case"]).code(3);
    let (shown, error) = (said.err.find("setup:    false"), said.err.find("the setup command"));
    assert!(shown.is_some() && shown < error, "{}", said.err);
}

#[test]
fn what_a_server_wrote_does_nothing_to_a_terminal_at_replay() {
    let dir = Folder::new();
    case(&dir, Server::Escaping, "spin", BREAKS);
    let said = in_folder(&dir, &["replay", "a.case"]).code(1).out("?[31mSEGV");
    assert!(!said.out.contains('\x1b') && !said.err.contains('\x1b'), "{}{}", said.out, said.err);
    let said = in_folder(&dir, &["explain", "--run", "a.case"]).code(0).out("?[31mSEGV");
    assert!(!said.out.contains('\x1b') && !said.err.contains('\x1b'), "{}{}", said.out, said.err);
}
