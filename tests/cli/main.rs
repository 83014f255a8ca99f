//! The command line: tests of the real binary, its output, its exit codes and its reaction to signals.

mod accept_queue;
#[path = "../common/binary.rs"]
mod binary;
mod commands;
mod doctor;
mod ending;
mod fuzzing;
mod hunting;
mod refused;
mod server;
mod target;
mod target_bounds;
mod target_ending;
mod untrusted;
mod util;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use util::{Folder, Running, brokenpipe, run, run_with};

const DEATH: &str = "a connect; b connect; b fin; b rst; a close";

/// The JSON object for [`DEATH`], as docs/json.md describes it.
const PROMISED: &str = concat!(
    r#"{"scenario":"a connect; b connect; b fin; b rst; a close","program":"accept; send 26; recv-all; close","#,
    r#""policy":"default","world":"kernel","outcome":{"kind":"killed","signal":"SIGPIPE","at":4},"steps":["#,
    r#"{"event":"a connect","reply":{"ok":0},"calls":[{"call":"accept","client":"a","result":0},"#,
    r#"{"call":"send","client":"a","result":26}],"sockets":{"a":"ESTABLISHED"}},"#,
    r#"{"event":"b connect","reply":{"ok":0},"calls":[],"sockets":{"a":"ESTABLISHED","b":"ESTABLISHED"}},"#,
    r#"{"event":"b fin","reply":{"ok":0},"calls":[],"sockets":{"a":"ESTABLISHED","b":"CLOSE_WAIT"}},"#,
    r#"{"event":"b rst","reply":{"ok":0},"calls":[],"sockets":{"a":"ESTABLISHED","b":"CLOSE"}},"#,
    r#"{"event":"a close","reply":{"ok":0},"calls":[{"call":"recv","client":"a","error":"ECONNRESET"},"#,
    r#"{"call":"close","client":"a","result":0},{"call":"accept","client":"b","result":0},"#,
    r#"{"call":"send","client":"b","error":"EPIPE","signal":"SIGPIPE"}],"sockets":{"a":"CLOSE","b":"CLOSE"}}"#,
    r#"],"agrees":true}"#,
    "\n"
);

#[test]
fn without_a_command_it_shows_its_help_and_calls_that_wrong_usage() {
    run(&[]).code(2).err("Usage: brokenpipe <COMMAND>").err("Exit codes:");
}

#[test]
fn every_help_is_a_success() {
    run(&["--help"]).code(0).out("Examples:\n").out("130  interrupted");
    run(&["--version"]).code(0).out("brokenpipe ");
    for command in ["hunt", "run", "replay", "explain", "enumerate", "triage", "corpus", "doctor"] {
        run(&[command, "--help"]).code(0).out(&format!("Usage: brokenpipe {command}"));
    }
    run(&["hunt", "--help"]).out("- late-greeter: accept; recv-or-close; send 26; send 26; close").out("nosignal");
}

#[test]
fn the_greeters_death_is_the_promised_object_byte_for_byte() {
    assert_eq!(run(&["run", "--format", "json", DEATH]).code(0).out, PROMISED);
    assert_eq!(run_with(&["run", "-"], DEATH.as_bytes()).code(0).out, PROMISED);
}

#[test]
fn both_worlds_show_the_same_picture() {
    let [kernel, model] = ["kernel", "model"].map(|world| run(&["run", "--world", world, DEATH]).code(0).out);
    assert_eq!(kernel, model);
    assert!(kernel.starts_with("killed by SIGPIPE at event 4 (`a close`)\n"), "{kernel}");
    let both = run(&["run", DEATH]).code(0).out;
    assert_eq!(both, format!("{kernel}\nThe kernel and the model agree.\n"));
}

#[test]
fn standard_input_is_answered_in_order_without_its_comments() {
    let input = "# two of them\n\n  \na connect  # the first\n\tb rst\r\n";
    let said = run_with(&["run", "--world", "model", "-"], input.as_bytes()).code(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", said.out);
    assert!(lines[0].starts_with(r#"{"scenario":"a connect","#) && lines[1].starts_with(r#"{"scenario":"b rst","#));
    assert!(!said.out.contains("agrees"), "one world cannot agree with itself");
}

#[test]
fn each_line_is_answered_before_the_next_is_there() {
    let command = &mut brokenpipe();
    let mut running = Running::start(command.args(["run", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut to = running.child.stdin.take().expect("it is piped");
    let mut from = BufReader::new(running.child.stdout.take().expect("it is piped"));
    for scenario in ["a connect; a close", "a rst", "hold; a connect"] {
        writeln!(to, "{scenario}").expect("it listens");
        let mut line = String::new();
        from.read_line(&mut line).expect("it answers");
        assert!(line.starts_with(&format!(r#"{{"scenario":"{scenario}","#)), "{line}");
    }
    drop(to);
    running.end().code(0);
}

#[test]
fn a_bad_line_is_named_after_all_before_it_were_answered() {
    let said = run_with(&["run", "--world", "model", "-"], b"a connect\n\na connect; b conect\na rst\n").code(2);
    assert_eq!(said.out.lines().count(), 1);
    said.err("standard input, line 3, column 14: unknown client action `conect`")
        .err("[standard input:3:14]")
        .err("did you mean `connect`?");
}

#[test]
fn garbage_is_refused_without_a_panic_or_a_control_character() {
    let garbage: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let long = [b'x'; 1 << 20];
    for input in [&garbage[..], b"\xff\n", b"a connect\x1b[31m\n", b"\0", b"a send \"", &long] {
        let said = run_with(&["run", "--world", "model", "-"], input).code(2).err("standard input, line 1");
        assert!(!said.err.contains("panicked") && !said.err.contains('\x1b'), "{}", said.err);
        assert!(said.err.len() < 2_000, "{} bytes of error", said.err.len());
    }
}

#[test]
fn values_that_are_none_are_shown_with_the_place_and_the_nearest() {
    run(&["run", "--program", "accept; sned 3; close", "a rst"])
        .code(2)
        .err("--program, line 1, column 9: `sned` is nothing a server does")
        .err("did you mean `send`?");
    run(&["hunt", "--policy", "ignor"]).code(2).err("`ignor` is no policy").err("did you mean `ignore`?");
    run(&["run", "b frobnicate"]).code(2).err("the scenario, line 1, column 3: unknown client action `frobnicate`");
    run(&["run", "-", "a rst"]).code(2).err("does not go with");
    run(&["explain", "death.cas"]).code(2).err("there is no file of that name either");
    run(&["enumerate", "--events", "2", "--shard", "2/2"]).code(2).err("there is no shard 2 of 2");
    run(&["hunt", "--seconds", "-1"]).code(2).err("from 0 to 1e19");
    run(&["hunt", "--jobs", "0"]).code(2).err("1..=1024");
    run(&["hunt", "--clients", "99"]).code(2);
    run(&["hnt"]).code(2).err("'hunt'");
}

#[test]
fn nothing_to_play_has_a_code_of_its_own() {
    run(&["run", "-"]).code(4).err("nothing ran");
    run_with(&["run", "-"], b"# only words\n\n").code(4).err("nothing ran");
    run(&["run", "--world", "model", "--shard", "1/2", "a rst"]).code(4).err("nothing ran");
    run(&["hunt", "--cases", "0"]).code(4).err("nothing ran");
    run(&["hunt", "--seconds", "0"]).code(4).err("nothing ran");
    run(&["replay", Folder::new().path().to_str().expect("a path")]).code(4).err("nothing ran");
}

#[test]
fn replay_says_of_each_case_whether_it_is_as_it_was() {
    let dir = Folder::new();
    let case = |expect: &str| {
        format!("brokenpipe case 1\nprogram: greeter\nexpect: {expect}\n\n{}\n", DEATH.replace("; ", "\n"))
    };
    let path = |name: &str| dir.path().join(name).to_str().expect("a path").to_owned();
    fs::create_dir(path("more")).expect("a scratch folder");
    fs::write(path("b.case"), case("killed by SIGPIPE at 4; send b EPIPE SIGPIPE")).expect("a scratch file");
    fs::write(path("more/a.case"), case("killed by SIGPIPE at 4")).expect("a scratch file");
    fs::write(path("notes.txt"), "no case").expect("a scratch file");
    let said = run(&["replay", &path("")]).code(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("ok ") && lines[0].contains("b.case: killed by SIGPIPE at 4"), "{}", said.out);
    assert!(lines[1].starts_with("ok ") && lines[1].contains("more/a.case"), "{}", said.out);
    assert_eq!(lines[2..], ["2 cases: 2 ok, 0 failed"]);

    fs::write(path("c.case"), case("survived")).expect("a scratch file");
    run(&["replay", &path("")])
        .code(1)
        .out("FAILED  ")
        .out("expected: survived\n             got: killed by SIGPIPE at 4; accept a; send a 26")
        .out("3 cases: 2 ok, 1 failed\n");

    fs::write(path("d.case"), case("survive")).expect("a scratch file");
    run(&["replay", &path("")])
        .code(2)
        .err("d.case, line 3, column 9: `survive` is no outcome")
        .err("did you mean `survived`?")
        .out("4 cases: 2 ok, 1 failed, 1 unreadable\n");
    run(&["replay", &path("nowhere")]).code(2).err("No such file");
}

#[test]
fn explain_takes_a_scenario_or_a_case_and_a_case_is_of_its_own_server() {
    let dir = Folder::new();
    let path = dir.path().join("ignored.case");
    let case = format!("brokenpipe case 1\nprogram: greeter\npolicy: ignore\nexpect: survived\n\n{DEATH}\n");
    fs::write(&path, case).expect("a scratch file");
    let path = path.to_str().expect("a path");
    run(&["explain", path]).code(0).out("policy:   ignore").out("survived");
    run(&["explain", "--policy", "default", path]).code(0).out("policy:   default").out("killed by SIGPIPE at event 4");
    run(&["explain", "--world", "both", DEATH]).code(0).out("b half-closed").out("The kernel and the model agree.");
}

#[test]
fn enumerate_lists_what_run_can_read_and_its_shards_are_the_whole() {
    let list = |shard: &str| run(&["enumerate", "--events", "3", "--clients", "2", "--shard", shard]).code(0).out;
    let whole = list("0/1");
    assert!(whole.starts_with("a connect\na connect; a connect\n"), "{whole}");
    let mut parts: Vec<String> =
        (0..3).flat_map(|i| list(&format!("{i}/3")).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let mut lines: Vec<&str> = whole.lines().collect();
    parts.sort();
    lines.sort();
    assert_eq!(parts, lines);
    let said = run_with(&["run", "--world", "model", "-"], whole.as_bytes()).code(0);
    assert_eq!(said.out.lines().count(), lines.len());
    let part = run_with(&["run", "--world", "model", "--shard", "1/3", "-"], whole.as_bytes()).code(0);
    assert!(part.out.lines().eq(said.out.lines().skip(1).step_by(3)), "{}", part.out);
}
