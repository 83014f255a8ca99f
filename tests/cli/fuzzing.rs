//! `triage` and `corpus`: from a fuzzer's bytes to cases, and back.

use super::DEATH;
use super::util::{Folder, Running, brokenpipe, run};
use brokenpipe::{Input, Policy, Setup};
use nix::sys::signal::Signal;
use std::fs;
use std::process::Stdio;

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

#[test]
fn what_no_fuzzer_makes_is_refused_before_anything_is_played() {
    let dir = Folder::new();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut random = 1u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    fs::write(path("large"), (0..2_000_000).map(|_| next()).collect::<Vec<u8>>()).unwrap();
    run(&["triage", &path("large")]).code(2).err("large is no artifact: it has more than 4096 bytes");
    run(&["corpus", "import", &path(""), "--cases", &path("cases")]).code(2).err("large is no artifact");
    fs::remove_file(path("large")).unwrap();
    fs::write(path("long"), bytes(Policy::Ignore, "repeat 10000 { a connect; a rst }")).unwrap();
    run(&["triage", &path("")])
        .code(2)
        .err("long is no artifact: it comes to 20000 events, and at most 10000 are played");
}

#[test]
fn a_pipe_is_no_artifact() {
    let dir = Folder::new();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    run(&["triage", pipe.to_str().unwrap()]).code(2).err("pipe is neither a regular file nor a folder");
    run(&["triage", dir.path().to_str().unwrap()]).code(4).err("no artifact");
}

#[test]
fn ctrl_c_ends_triage_in_the_midst_of_its_artifacts() {
    let dir = Folder::new();
    for number in 0..500 {
        let slow = bytes(Policy::Ignore, "repeat 3000 { a connect; a send 5; a rst }");
        fs::write(dir.path().join(format!("slow-{number}")), slow).unwrap();
    }
    let mut command = brokenpipe();
    command.args(["triage", "."]).current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(&mut command);
    let group = running.with_server();
    running.signal(Signal::SIGINT);
    running.end().code(130).err("interrupted: 0 cases were written");
    group.is_gone();
}
