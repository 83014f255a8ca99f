//! The commands that a hunt starts (the server, `--setup` and `--polite`), their environment, folders and output.

use crate::server::{Server, command, hunt, hunted};
use crate::util::{BOUND, Folder, Process, Said, brokenpipe, run};
use std::fs;
use std::process::{Command, Stdio};

fn in_folder(dir: &Folder, args: &[&str]) -> Said {
    Said::of(brokenpipe().args(args).current_dir(dir.path()).output().expect("the binary runs"))
}

/// Whether a server can have a network namespace of its own on this machine, in which any port is free.
fn has_networks() -> bool {
    run(&["doctor"]).out.contains("ok       network namespace")
}

#[test]
fn a_polite_command_is_told_the_port_that_the_server_listens_on() {
    if !has_networks() {
        eprintln!("skipped: this machine has no network namespaces");
        return;
    }
    let dir = Folder::new();
    // The command has no {port}.
    let options = ["--env", "CLI_SERVER_PORT=4711", "--polite", "test {port} = 4711", "--cases", "1"];
    let mut hunt = brokenpipe();
    hunt.arg("hunt").args(options).args(Server::Careful.options()).arg("--").args(command());
    Said::of(hunt.current_dir(dir.path()).output().expect("the binary runs")).code(0);
}

#[test]
fn commands_may_write_as_much_as_they_like_to_standard_error() {
    let dir = Folder::new();
    let much = "head -c 300000 /dev/zero >&2";
    hunted(&dir, Server::Careful, &["--cases", "1", "--setup", much, "--polite", much]).code(0);
}

#[test]
fn what_a_command_wrote_last_is_shown_when_it_fails() {
    let dir = Folder::new();
    let failing = "head -c 300000 /dev/zero >&2; echo no database >&2; exit 5";
    hunted(&dir, Server::Careful, &["--setup", failing]).code(2).err("exit status: 5: ").err("no database");
    hunted(&dir, Server::Careful, &["--polite", "echo no answer; echo no luck >&2; exit 6"])
        .code(3)
        .err("it got something else: exit status: 6: no luck");
}

#[test]
fn what_a_setup_leaves_in_the_background_may_go_on_writing() {
    let dir = Folder::new();
    let here = dir.path().display();
    // The backend writes to standard error after it has read a line. If standard error were a pipe without a reader, SIGPIPE would kill
    // the backend.
    let backend = "{ read -r line < go; echo log >&2; touch done; } & echo $! > pid";
    let setup = format!("cd '{here}' && if [ ! -e go ]; then mkfifo go; {backend}; fi");
    hunted(&dir, Server::Careful, &["--cases", "1", "--setup", &setup]).code(0);
    let pid = fs::read_to_string(dir.path().join("pid")).expect("its number").trim().parse().expect("a number");
    let backend = Process::open(pid).expect("it waits");
    fs::write(dir.path().join("go"), "on\n").expect("it reads");
    assert!(backend.ends_within(BOUND), "it still runs after {BOUND:?}");
    assert!(dir.path().join("done").exists(), "it was killed");
}

#[test]
fn a_variable_that_is_set_twice_is_named() {
    let dir = Folder::new();
    let twice = ["--env", "A=1", "--env", "B=1", "--env", "A=2"];
    hunted(&dir, Server::Careful, &twice).code(2).err("--env A is given twice");
    hunted(&dir, Server::Careful, &["--env", "A=1", "--env", "B=1", "--cases", "1"]).code(0);
    let case = "brokenpipe case 1\ncommand: ./server\nenv: A=1\nenv: A=2\nexpect: exit\n\na rst\n";
    fs::write(dir.path().join("a.case"), case).expect("a scratch file");
    in_folder(&dir, &["replay", "a.case"]).code(2).err("a.case, line 4, column 6: `A` is set twice");
}

#[test]
fn a_folder_that_is_not_there_is_named_and_is_wrong_usage() {
    let dir = Folder::new();
    hunted(&dir, Server::Careful, &["--cwd", "/no/where"]).code(2).err("/no/where");
    fs::write(dir.path().join("file"), "").expect("a scratch file");
    hunted(&dir, Server::Careful, &["--cwd", "file"]).code(2).err("file: not a directory");
    let mut command = hunt(&dir, Server::Careful, &[]);
    Said::of(command.env("TMPDIR", "/no/where").output().expect("the binary runs"))
        .code(2)
        .err("/no/where")
        .err("TMPDIR");
}

#[test]
fn a_hunt_of_no_command_at_all_is_refused() {
    let dir = Folder::new();
    const HINT: &str = "A server's command goes after `--`";
    in_folder(&dir, &["hunt", "./server", "{port}"]).code(2).err(HINT);
    let mistyped = in_folder(&dir, &["hunt", "--no-fault", "--", "./server"]).code(2).err("--no-faults");
    assert!(!mistyped.err.contains(HINT), "{}", mistyped.err);
    in_folder(&dir, &["hunt", "--"]).code(2).err("there is no command after `--`");
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}

#[test]
fn folders_of_others_are_left_alone_whatever_their_names() {
    let dir = Folder::new();
    let scratch = dir.path().join("scratch");
    // Old versions of brokenpipe named their scratch folders like this: the pid of a process that has ended, then a number.
    let mine = scratch.join("brokenpipe-4194305-0");
    fs::create_dir_all(&mine).expect("a scratch folder");
    fs::write(mine.join("thesis"), "all of it").expect("a scratch file");
    let mut command = hunt(&dir, Server::Careful, &["--cases", "1"]);
    Said::of(command.env("TMPDIR", &scratch).output().expect("the binary runs")).code(0);
    assert_eq!(fs::read_to_string(mine.join("thesis")).expect("it is there"), "all of it");
    assert_eq!(fs::read_dir(&scratch).expect("a folder").count(), 1, "no scratch folder is left");
}

#[test]
fn a_server_s_folder_begins_empty() {
    let dir = Folder::new();
    hunted(&dir, Server::Careful, &["--cases", "1", "--setup", "test -z \"$(ls -A {dir})\""]).code(0);
}

/// The voluntary context switches of a command and of the child processes that it waited for, until it ended (`ru_nvcsw`).
#[expect(clippy::zombie_processes, reason = "`wait4` reaps it")]
fn switches(command: &mut Command) -> i64 {
    let child = command.spawn().expect("the binary runs");
    // SAFETY: all zeros is a valid rusage; the call fills in the given one, and no other code waits for the child.
    let (reaped, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(child.id() as i32, std::ptr::null_mut(), 0, &mut usage), usage)
    };
    assert_eq!(reaped, child.id() as i32);
    usage.ru_nvcsw
}

#[test]
fn a_polite_command_is_waited_for_without_looking_again_and_again() {
    // The server has one thread, which is blocked in an intercepted call. A task that is blocked in another call generates no notification,
    // and would have to be polled.
    let server = "perl -e 'open(my $l, \"+<&=\", 3) or die; while (accept(my $c, $l)) { close $c }'";
    if !Command::new("perl").args(["-e", "1"]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no perl");
        return;
    }
    let dir = Folder::new();
    let case = |polite: &str| {
        let headers = format!("command: {server}\npolite: {polite}\noptions: listen-fd\nexpect: exit");
        fs::write(dir.path().join("a.case"), format!("brokenpipe case 1\n{headers}\n\na rst\n")).expect("a file");
        let mut replay = brokenpipe();
        replay.args(["replay", "a.case"]).current_dir(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
        switches(&mut replay)
    };
    let (at_once, later) = (case("true"), case("sleep 0.2"));
    // The polite command runs more than thirty times. A poll each millisecond would make six thousand more switches.
    assert!(
        later - at_once < 1_500,
        "{at_once} switches with a command that ends at once, {later} with one that takes time"
    );
}
