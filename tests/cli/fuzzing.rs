//! From a fuzzer's bytes to cases, and back.

use super::DEATH;
use super::util::{Folder, run};
use brokenpipe::{Input, Policy, Setup};
use std::fs;

fn bytes(policy: Policy, scenario: &str) -> Vec<u8> {
    Input::new(Setup::new("greeter".parse().unwrap(), policy), scenario.parse().unwrap()).encode()
}

#[test]
fn artifacts_become_one_case_for_each_thing_they_show() {
    let dir = Folder::new();
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    write(
        "crash-1",
        bytes(Policy::Default, "a connect; c connect; c send 5; b connect; b fin; b rst; hold; a close; c close; go"),
    );
    write("crash-2", bytes(Policy::Default, "hold; a connect; a fin; a rst; go"));
    write("crash-3", bytes(Policy::Ignore, DEATH));
    let folder = dir.path().to_str().unwrap();
    let out = &format!("{folder}/cases");
    let said = run(&["triage", "--out", out, folder])
        .code(1)
        .out("crash-1: death\n")
        .out("crash-2: death\n")
        .out("holds   ")
        .out("\n== death in send, socket in CLOSE\n")
        .out("scenario: a connect; b connect; b fin; b rst; a fin\n")
        .out("\n1 finding, from 2 of 3 files\n");
    let case = format!("{out}/greeter-default-sigpipe-in-send.case");
    assert!(said.out.contains(&format!("case:   {case}\n")), "{}", said.out);
    run(&["replay", &case]).code(0);
    run(&["triage", &format!("{folder}/crash-3")]).code(0).out("holds   ");
}

#[test]
fn where_there_is_no_artifact_nothing_ran() {
    let dir = Folder::new();
    run(&["triage", dir.path().to_str().unwrap()]).code(4).err("no artifact");
    run(&["triage", "no-such-file"]).code(2).err("cannot read no-such-file");
}

#[test]
fn cases_go_to_a_corpus_and_come_back_as_they_were_played() {
    let dir = Folder::new();
    let [corpus, back] = ["corpus", "back"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    run(&["corpus", "export", &corpus, "--cases", cases]).code(0).out(" files written into ");
    let seeds = fs::read_dir(&corpus).unwrap().count();
    assert_eq!(seeds, fs::read_dir(cases).unwrap().count());
    run(&["corpus", "import", &corpus, "--cases", &back]).code(0).out(&format!("{seeds} files written"));
    run(&["replay", &back]).code(0).out(&format!("{seeds} cases: {seeds} ok, 0 failed"));
    run(&["corpus", "import", &corpus, "--cases", &back]).code(4).err("left alone: ");
}
