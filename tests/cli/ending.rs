//! How the binary ends: closed pipes, full disks, signals. No process is left behind.

use crate::util::{BOUND, Folder, Group, LOOK_AGAIN, Process, Running, Said, brokenpipe};
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A scenario after which the server is alive and can be reused.
const CLEAN: &str = "a connect; a close";

#[test]
fn a_closed_pipe_is_a_quiet_success_for_every_command() {
    let dir = Folder::new();
    let list = dir.path().join("list");
    fs::write(&list, format!("{CLEAN}\n").repeat(20_000)).expect("a scratch file");
    for args in [
        &["enumerate", "--events", "6", "--clients", "3"][..],
        &["run", "--world", "model", "-"],
        &["run", "-"],
        &["run", CLEAN],
        &["explain", CLEAN],
        &["replay", "."],
        &["hunt"],
        &["doctor"],
        &["--help"],
    ] {
        // The first run has its pipe closed before the first byte is written. The second has it closed after the first line, as by `head`.
        fs::write(dir.path().join("a.case"), "brokenpipe case 1\nprogram: echo\nexpect: survived\n\na connect\n")
            .expect("a scratch file");
        let stdin = || File::open(&list).expect("the list");
        let command = || {
            let mut command = brokenpipe();
            command.args(args).current_dir(dir.path()).stdin(stdin()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let mut closed = Running::start(&mut command());
        drop(closed.child.stdout.take());
        // A hunt with a finding exits with 1 all the same.
        let said = closed.end().code(i32::from(args == ["hunt"]));
        assert_eq!(said.err, "", "{args:?}");

        if args[0] == "enumerate" || args.contains(&"-") {
            let mut head = Running::start(&mut command());
            let mut first = String::new();
            let mut stdout = BufReader::new(head.child.stdout.take().expect("it is piped"));
            stdout.read_line(&mut first).expect("a line");
            drop(stdout);
            let said = head.end().code(0);
            assert_eq!(said.err, "", "{args:?}");
            assert!(first.ends_with('\n'), "{first}");
        }
    }
}

#[test]
fn a_full_disk_is_said_and_is_no_success() {
    for args in [&["run", CLEAN][..], &["enumerate", "--events", "4"], &["doctor"], &["--help"]] {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = brokenpipe().args(args).stdout(full).output().expect("the binary runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {err}");
        assert!(err.contains("cannot write to standard output: No space left on device"), "{err}");
    }
}

#[test]
fn with_nowhere_to_complain_it_still_ends_with_its_code() {
    let command = |redirect: &str| {
        let script = format!("\"$0\" run --world model 'a frobnicate' {redirect}");
        Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_brokenpipe")]).status().expect("a shell").code()
    };
    assert_eq!(command("2>&-"), Some(2));
    assert_eq!(command("2> /dev/full"), Some(2));
}

/// `run -` in mid-stream: its input has no end, it has answered some lines, and its server runs.
fn streaming() -> (Running, Group, std::thread::JoinHandle<()>) {
    let command = &mut brokenpipe();
    let mut running =
        Running::start(command.args(["run", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut to = running.child.stdin.take().expect("it is piped");
    let mut from = BufReader::new(running.child.stdout.take().expect("it is piped"));
    let feeder = std::thread::spawn(move || while writeln!(to, "{CLEAN}").is_ok() {});
    for _ in 0..100 {
        let mut line = String::new();
        from.read_line(&mut line).expect("an answer");
        assert!(line.ends_with("\"agrees\":true}\n"), "{line}");
    }
    let group = running.with_server();
    // The rest of its output is read to the end.
    std::thread::spawn(move || std::io::copy(&mut from, &mut std::io::sink()));
    (running, group, feeder)
}

#[test]
fn kill_9_in_mid_stream_leaves_no_server() {
    let (running, group, feeder) = streaming();
    running.signal(Signal::SIGKILL);
    let said = running.end();
    assert_eq!(said.code, None, "it was killed");
    group.is_gone();
    feeder.join().expect("the feeder ends with the pipe");
}

#[test]
fn kill_9_of_a_hunt_leaves_none_of_its_servers() {
    let command = &mut brokenpipe();
    let hunt = Running::start(command.args(["hunt", "--policy", "ignore", "--seconds", "600", "--jobs", "3"]));
    let group = hunt.with_server();
    hunt.signal(Signal::SIGKILL);
    assert_eq!(hunt.end().code, None, "it was killed");
    group.is_gone();
}

#[test]
fn ctrl_c_in_mid_stream_says_how_far_it_came_and_leaves_no_server() {
    let (running, group, feeder) = streaming();
    running.signal(Signal::SIGINT);
    running.end().code(130).err("interrupted: played ").err(" scenarios, 0 disagreements");
    group.is_gone();
    feeder.join().expect("the feeder ends with the pipe");
}

#[test]
fn ctrl_c_while_it_waits_for_input_ends_it() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let command = &mut brokenpipe();
        let mut running = Running::start(
            command.args(["run", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()),
        );
        let mut to = running.child.stdin.take().expect("it is piped");
        writeln!(to, "{CLEAN}").expect("it listens");
        let mut from = BufReader::new(running.child.stdout.take().expect("it is piped"));
        from.read_line(&mut String::new()).expect("an answer");
        let group = running.with_server();
        running.signal(signal);
        running.end().code(130).err("interrupted: played 1 scenario");
        group.is_gone();
        let mut rest = String::new();
        from.read_to_string(&mut rest).expect("the end");
        assert_eq!(rest, "");
        drop(to);
    }
}

#[test]
fn ctrl_c_ends_a_hunt_with_a_clear_word_and_leaves_nothing() {
    let dir = Folder::new();
    let command = &mut brokenpipe();
    command.args(["hunt", "--policy", "ignore", "--seconds", "600", "--jobs", "2"]).current_dir(dir.path());
    let hunt = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let group = hunt.with_server();
    hunt.signal(Signal::SIGINT);
    let said = hunt.end().code(130).err("interrupted: played ").err("of seed 0, and all of them held");
    assert_eq!(said.out, "");
    group.is_gone();
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}

#[test]
fn under_nohup_a_hangup_ends_nothing() {
    let dir = Folder::new();
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_brokenpipe")).args(["hunt", "--policy", "ignore", "--seconds", "2"]);
    let hunt = Running::start(command.current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let group = hunt.with_server();
    hunt.signal(Signal::SIGHUP);
    hunt.end().code(0).out("nothing found: played ");
    group.is_gone();
}

/// A scenario that takes minutes.
fn slow() -> String {
    ["repeat 10000 { a connect; a send 5; a rst }"; 200].join("; ")
}

#[test]
fn ctrl_c_ends_a_scenario_in_its_midst() {
    let dir = Folder::new();
    let case = format!("brokenpipe case 1\nprogram: echo\nexpect: survived\n\n{}\n", slow());
    fs::write(dir.path().join("a.case"), case).expect("a scratch file");
    for args in
        [&["run", &slow()][..], &["explain", &slow()], &["replay", "a.case"], &["run", "--world", "kernel", "-"]]
    {
        let mut command = brokenpipe();
        command.args(args).current_dir(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command);
        let mut to = running.child.stdin.take().expect("it is piped");
        // Commands that do not read standard input may have closed it.
        let _ = writeln!(to, "{}", slow());
        let group = running.with_server();
        running.signal(Signal::SIGINT);
        let said = running.end().code(130).err("interrupted");
        assert_eq!(said.out, "", "{args:?}");
        group.is_gone();
    }
}

#[test]
fn ctrl_z_stops_what_plays_and_it_goes_on_afterwards() {
    let command = &mut brokenpipe();
    let mut running =
        Running::start(command.args(["run", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut to = running.child.stdin.take().expect("it is piped");
    let mut from = BufReader::new(running.child.stdout.take().expect("it is piped"));
    let mut answer = || {
        writeln!(to, "{CLEAN}").expect("it listens");
        let mut line = String::new();
        from.read_line(&mut line).expect("an answer");
        line
    };
    let first = answer();
    running.signal(Signal::SIGTSTP);
    running.wait_for_stopped(true);
    running.signal(Signal::SIGCONT);
    running.wait_for_stopped(false);
    assert_eq!(answer(), first);
    running.signal(Signal::SIGINT);
    running.end().code(130);
}

#[test]
fn workers_of_a_hunt_that_is_stopped_come_to_a_halt_and_go_on_afterwards() {
    let command = &mut brokenpipe();
    let args = ["hunt", "--policy", "ignore", "--seconds", "600", "--jobs", "2"];
    let hunt = Running::start(command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let group = hunt.with_server();
    hunt.signal(Signal::SIGSTOP);
    // The workers are blocked until they get more scenarios.
    hunt.wait_for_call(libc::SYS_recvfrom);
    hunt.signal(Signal::SIGCONT);
    hunt.signal(Signal::SIGINT);
    hunt.end().code(130).err("interrupted: played ");
    group.is_gone();
}

#[test]
fn a_worker_that_dies_ends_the_hunt_with_a_clear_word() {
    let command = &mut brokenpipe();
    let args = ["hunt", "--policy", "ignore", "--seconds", "600", "--jobs", "2"];
    let hunt = Running::start(command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let group = hunt.with_server();
    let worker = hunt.workers()[1].pid;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker as i32), Signal::SIGKILL).expect("it is there");
    hunt.end().code(3).err("a worker of the hunt was killed by SIGKILL");
    group.is_gone();
}

#[test]
fn a_second_ctrl_c_ends_it_at_once_whatever_it_is_blocked_in() {
    let command = &mut brokenpipe();
    let list = ["enumerate", "--events", "6"].map(str::to_owned);
    let listed = brokenpipe().args(list).output().expect("the binary runs").stdout;
    let dir = Folder::new();
    fs::write(dir.path().join("list"), listed).expect("a scratch file");
    let stdin = File::open(dir.path().join("list")).expect("the list");
    let running = Running::start(command.args(["run", "-"]).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null()));
    let group = running.with_server();
    // No process reads its output, so it is soon blocked in `write`, where it does not notice the first Ctrl-C.
    running.wait_for_call(libc::SYS_write);
    let process = Process::open(running.child.id()).expect("it runs");
    let start = Instant::now();
    // Two signals sent at once may be delivered as one, so signals are sent until the process ends.
    while !process.ends_within(LOOK_AGAIN) {
        assert!(start.elapsed() < BOUND, "it still runs after {BOUND:?}");
        running.signal(Signal::SIGINT);
    }
    running.end().code(130);
    group.is_gone();
}

#[test]
fn a_machine_that_cannot_play_has_a_code_of_its_own_and_a_word_on_what_to_do() {
    let scratch = Folder::new();
    let few_files = |args: &[&str]| {
        let script = "ulimit -n 10 && exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        let output = command
            .args(["-c", script, env!("CARGO_BIN_EXE_brokenpipe")])
            .args(args)
            .env("TMPDIR", scratch.path())
            .output();
        Said::of(output.expect("a shell"))
    };
    few_files(&["run", CLEAN]).code(3).err("too many open files").err("`brokenpipe doctor`");
    few_files(&["hunt"]).code(3).err("too many open files").err("`brokenpipe doctor`");
    few_files(&["doctor"]).code(3).out("missing  a gated server (needed): ").out("remedy: ");
    few_files(&["run", "--world", "model", CLEAN]).code(0);
    // To remove a folder without descriptors is possible only if it is empty.
    assert_eq!(fs::read_dir(scratch.path()).expect("the folder").count(), 0);
}
