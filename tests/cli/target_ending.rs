//! A hunt of a command that is ended early leaves no process of the server.

use crate::server::{Server, hunt};
use crate::util::{Folder, LOOK_AGAIN, NOTHING_LEFT, Running, brokenpipe, wait_until};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

/// An environment variable that only the servers of one hunt have. It identifies them in any session or process group.
struct Mark(String);

impl Mark {
    fn new(dir: &Folder) -> Mark {
        Mark(format!("CLI_MARK={}", dir.path().display()))
    }

    fn servers(&self) -> Vec<String> {
        let entries = fs::read_dir("/proc").expect("/proc").filter_map(|e| e.ok()?.file_name().into_string().ok());
        let is_marked = |pid: &String| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == self.0.as_bytes())
        };
        entries.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(is_marked).collect()
    }

    /// Checks that no server is left, waiting for at most [`NOTHING_LEFT`].
    #[track_caller]
    fn is_gone(&self) {
        let start = Instant::now();
        while !self.servers().is_empty() {
            assert!(start.elapsed() < NOTHING_LEFT, "{:?} are left after {NOTHING_LEFT:?}", self.servers());
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// A hunt of 600 s, with scratch folders in `scratch` and cases in `cases`.
fn endless(dir: &Folder, mark: &Mark, server: Server, more: &[&str]) -> Command {
    fs::create_dir(dir.path().join("scratch")).expect("a scratch folder");
    let mut command =
        hunt(dir, server, &[&["--seconds", "600", "--env", &mark.0, "--out", "cases"][..], more].concat());
    command.env("TMPDIR", dir.path().join("scratch")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a hunt, and waits until it has printed the baseline. After that it plays scenarios.
fn at_play(command: &mut Command) -> (Running, BufReader<std::process::ChildStdout>) {
    let mut running = Running::start(command);
    let mut out = BufReader::new(running.child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while line != "\n" {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("a line"), 0, "it ended");
    }
    (running, out)
}

#[test]
fn ctrl_c_stops_it_with_what_was_found_and_leaves_nothing() {
    let dir = Folder::new();
    let mark = Mark::new(&dir);
    let (running, mut out) = at_play(&mut endless(&dir, &mark, Server::Careful, &[]));
    assert!(!mark.servers().is_empty(), "a server runs");
    running.signal(Signal::SIGINT);
    let said = running.end().code(130).err("interrupted");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("the rest");
    let last = rest.lines().last().unwrap_or_default();
    assert!(last.contains(", 0 findings in "), "{rest}\n{}", said.err);
    mark.is_gone();
    assert_eq!(fs::read_dir(dir.path().join("scratch")).expect("a folder").count(), 0, "no scratch folder is left");
}

#[test]
fn kill_9_leaves_no_server_and_the_next_hunt_takes_away_its_folder() {
    let dir = Folder::new();
    let mark = Mark::new(&dir);
    let (running, _out) = at_play(&mut endless(&dir, &mark, Server::Careful, &[]));
    assert!(!mark.servers().is_empty(), "a server runs");
    let group = running.with_server();
    running.signal(Signal::SIGKILL);
    assert_eq!(running.end().code, None, "it was killed");
    mark.is_gone();
    group.is_gone();
    let mut next = hunt(&dir, Server::Careful, &["--cases", "1"]);
    next.env("TMPDIR", dir.path().join("scratch")).stdout(Stdio::null());
    assert_eq!(next.status().expect("the binary runs").code(), Some(0));
    assert_eq!(fs::read_dir(dir.path().join("scratch")).expect("a folder").count(), 0, "no scratch folder is left");
}

#[test]
fn a_closed_pipe_ends_it_quietly_and_a_finding_is_in_the_exit_code() {
    // As text the first line on standard output is of the baseline. As JSON it is a finding, and the baseline goes to standard error.
    for (server, options, code) in [(Server::Careful, &[][..], 0), (Server::Greeter, &["--format", "json"], 1)] {
        let dir = Folder::new();
        let mark = Mark::new(&dir);
        let mut running = Running::start(&mut endless(&dir, &mark, server, options));
        drop(running.child.stdout.take());
        let said = running.end().code(code);
        assert!(!said.err.contains("cannot write") && options.is_empty() == said.err.is_empty(), "{}", said.err);
        mark.is_gone();
    }
}

#[test]
fn who_has_read_the_first_line_has_the_finding_in_the_exit_code() {
    let dir = Folder::new();
    let mark = Mark::new(&dir);
    let mut running = Running::start(&mut endless(&dir, &mark, Server::Greeter, &[]));
    let mut line = String::new();
    BufReader::new(running.child.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("server:   "), "{line}");
    running.end().code(1);
    mark.is_gone();
}

#[test]
fn ctrl_c_ends_the_replay_of_a_case_of_any_server() {
    let dir = Folder::new();
    let made = dir.path().join("made");
    for (args, setup) in [
        (&["replay", "a.case"][..], format!("touch {} && sleep 600", made.display())),
        (&["explain", "--run", "a.case"], format!("touch {} && sleep 600", made.display())),
    ] {
        let case = format!(
            "brokenpipe case 1\ncommand: sleep 600\nenv: PORT={{port}}\nsetup: {setup}\nexpect: exit\n\na rst\n"
        );
        fs::write(dir.path().join("a.case"), case).expect("a scratch file");
        let mut command = brokenpipe();
        command.args(args).current_dir(dir.path()).env("TMPDIR", dir.path());
        let running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        wait_until("set up", || made.exists());
        running.signal(Signal::SIGINT);
        running.end().code(130).err("interrupted");
        fs::remove_file(&made).expect("what the setup made");
        assert_eq!(dir.names(), ["a.case"], "no scratch folder is left");
    }
}
