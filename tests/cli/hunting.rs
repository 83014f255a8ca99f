//! `hunt` of a described program: its findings, case files and output.

use crate::util::{Folder, Running, Said, brokenpipe};
use std::fs;
use std::process::{Command, Stdio};

const CASE: &str = "greeter-default-sigpipe-in-send.case";

fn hunt(dir: &Folder, args: &[&str]) -> Said {
    Said::of(brokenpipe().arg("hunt").args(args).current_dir(dir.path()).output().expect("the binary runs"))
}

/// The report without its last line, which depends on the clock.
fn report(said: &Said) -> &str {
    let (report, rest) = said.out.split_once("\nfound: ").expect("a finding");
    assert!(rest.contains("; played ") && rest.ends_with(" s\n"), "{rest}");
    report
}

#[test]
fn it_finds_the_greeters_death_in_five_events_and_the_printed_command_replays_it() {
    let dir = Folder::new();
    let said = hunt(&dir, &[])
        .code(1)
        .out("death: killed by SIGPIPE at event 4 (`a fin`)\n")
        .out("scenario: a connect; b connect; b fin; b rst; a fin\n")
        .out("✗ send b EPIPE SIGPIPE");
    assert_eq!(said.err, "", "off a terminal no progress is shown");
    assert_eq!(dir.names(), [CASE]);

    let command = said.out.lines().find_map(|line| line.strip_prefix("replay: ")).expect("a command");
    let output = Command::new("sh").args(["-c", command]).current_dir(dir.path()).output().expect("a shell");
    Said::of(output).code(0).out("ok      ./greeter-default-sigpipe-in-send.case: killed by SIGPIPE at 4");
}

#[test]
fn the_case_is_one_that_people_can_read() {
    let dir = Folder::new();
    hunt(&dir, &["--out", "cases/of mine"])
        .code(1)
        .out("replay 'cases/of mine/greeter-default-sigpipe-in-send.case'\n");
    let case = fs::read_to_string(dir.path().join("cases/of mine").join(CASE)).expect("a case");
    let (headers, events) = case.split_once("\n\n").expect("headers and events");
    assert!(headers.starts_with("brokenpipe case 1\nprogram: greeter\npolicy: default\n"), "{case}");
    assert!(headers.contains("\nexpect: killed by SIGPIPE at 4; send b EPIPE SIGPIPE\ncause: b half-closed"), "{case}");
    assert_eq!(events, "a connect\nb connect\nb fin\nb rst\na fin\n");
}

#[test]
fn the_finding_does_not_depend_on_the_number_of_jobs() {
    for seed in ["0", "1", "5"] {
        let dir = Folder::new();
        let said = ["1", "2", "5"].map(|jobs| hunt(&dir, &["--seed", seed, "--jobs", jobs]).code(1));
        let number = |said: &Said| said.out.split_once("found: ").and_then(|f| Some(f.1.split_once(';')?.0.to_owned()));
        for other in &said[1..] {
            assert_eq!(report(other), report(&said[0]));
            assert_eq!(number(other), number(&said[0]));
        }
        assert_eq!(dir.names(), [CASE]);
    }
}

#[test]
fn what_is_in_the_place_of_the_case_is_not_overwritten() {
    let dir = Folder::new();
    fs::write(dir.path().join(CASE), "mine").expect("a scratch file");
    for _ in 0..2 {
        hunt(&dir, &[]).code(1).out("case:   ./greeter-default-sigpipe-in-send-2.case\n");
    }
    assert_eq!(fs::read_to_string(dir.path().join(CASE)).expect("the file"), "mine");
    assert_eq!(dir.names(), ["greeter-default-sigpipe-in-send-2.case", CASE]);
}

#[test]
fn two_at_once_find_the_same_and_keep_it_once() {
    let dir = Folder::new();
    let start = || {
        let command = &mut brokenpipe();
        Running::start(command.arg("hunt").current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    };
    let (one, other) = (start(), start());
    let (one, other) = (one.end().code(1), other.end().code(1));
    assert_eq!(report(&one), report(&other));
    assert_eq!(dir.names(), [CASE]);
}

#[test]
fn as_json_a_finding_is_one_line_and_the_summary_is_not_on_standard_output() {
    let dir = Folder::new();
    let said = hunt(&dir, &["--format", "json"]).code(1).err("found:  scenario ");
    let object: serde_json::Value = serde_json::from_str(said.out.trim_end()).expect("one object");
    assert_eq!(object["kind"], "death");
    assert_eq!(
        (&object["program"], &object["policy"]),
        (&"accept; send 26; recv-all; close".into(), &"default".into())
    );
    assert_eq!((&object["outcome"]["at"], &object["severity"]), (&4.into(), &"finding".into()));
    assert_eq!(object["case"], format!("./{CASE}"));
    assert!(object["evidence"].as_str().is_some_and(|text| text.starts_with("b half-closed")), "{object}");
    assert_eq!(object["steps"][4]["calls"][3]["error"], "EPIPE");
    let said = hunt(&dir, &["--format", "json", "--policy", "ignore", "--cases", "20"]).code(0).err("nothing found");
    assert_eq!(said.out, "");
}

#[test]
fn a_server_that_takes_care_survives_and_that_is_a_success() {
    let dir = Folder::new();
    for policy in ["ignore", "handler", "nosignal", "blocked"] {
        hunt(&dir, &["--policy", policy, "--cases", "300"]).code(0).out("nothing found: played 300 scenarios in ");
    }
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}

#[test]
fn one_event_can_kill_nobody_and_that_is_a_success() {
    hunt(&Folder::new(), &["--max-events", "1", "--clients", "1", "--cases", "50"]).code(0).out("nothing found");
}

#[test]
fn where_no_case_can_be_written_the_finding_is_shown_all_the_same() {
    let dir = Folder::new();
    fs::write(dir.path().join("file"), "").expect("a scratch file");
    let said =
        hunt(&dir, &["--out", "file/cases"]).code(3).err("cannot write a case file into file/cases").err("--out");
    let command = said.out.lines().find_map(|line| line.strip_prefix("replay: ")).expect("a command");
    let output = Command::new("sh").args(["-c", command]).current_dir(dir.path()).output().expect("a shell");
    Said::of(output).code(0).out("killed by SIGPIPE at event 4 (`a fin`)");
}
