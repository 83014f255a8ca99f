//! A hunt of a command always ends, and keeps its findings: with servers that are slow, that fail once, or that always fail.

use crate::server::{CROWD, STATE, Server, hunt, hunted};
use crate::util::{Folder, Said, run};
use std::fs;
use std::process::Command;

/// The output of a hunt of a server that counts its starts.
fn counted(dir: &Folder, server: Server, options: &[&str]) -> Said {
    let state = format!("{STATE}={}", dir.path().join("started").display());
    hunted(dir, server, &[&["--env", &state], options].concat())
}

#[test]
fn a_server_that_is_late_to_listen_is_waited_for_and_it_is_said_what_is_waited_for() {
    let dir = Folder::new();
    let said = counted(&dir, Server::Late, &["--cases", "10"]).code(0);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(
        lines.first(),
        Some(&"10 s: 0 scenarios, 0/s, 0 findings; waiting for the server to listen"),
        "{}",
        said.err
    );
    assert!(lines.iter().all(|line| line.contains(" s: ")), "{}", said.err);
}

#[test]
fn a_server_that_waits_for_good_and_does_not_listen_is_refused_without_waiting() {
    let said = hunted(&Folder::new(), Server::Silent, &[]).code(3).err("does not listen").err("waits for good");
    assert!(!said.err.contains(" s: "), "it took ten seconds:\n{}", said.err);
}

#[test]
fn the_bound_of_a_start_can_be_set() {
    counted(&Folder::new(), Server::Late, &["--start-timeout", "0.5"])
        .code(3)
        .err("did not listen on a TCP port within 0.5 s")
        .err("--start-timeout");
    run(&["hunt", "--start-timeout", "-1", "--", "x"]).code(2).err("from 0 to 1e19");
    run(&["hunt", "--start-timeout", "5"]).code(2).err("<COMMAND>...");
}

#[test]
fn a_start_that_fails_once_is_tried_again() {
    for server in [Server::FailsOnce, Server::SilentOnce] {
        let dir = Folder::new();
        let said = counted(&dir, server, &["--first"]).code(1).out("finding: sigpipe");
        assert!(!said.err.contains("ended early"), "{server:?}: {}", said.err);
    }
}

#[test]
fn a_hunt_that_cannot_go_on_keeps_what_it_has_found_and_says_why_it_ended() {
    let dir = Folder::new();
    let said = counted(&dir, Server::WearsOut, &[])
        .code(1)
        .out("finding: sigpipe")
        .out(", 1 finding")
        .err("the hunt ended early: the server ended before it listened: exited with 9");
    assert!(dir.names().iter().any(|name| name.ends_with("-sigpipe.case")), "{:?}\n{}", dir.names(), said.out);
}

#[test]
fn a_server_that_serves_only_the_first_client_is_a_finding() {
    let dir = Folder::new();
    hunted(&dir, Server::Once, &[])
        .code(1)
        .out("finding: unresponsive")
        .out("scenario: a connect")
        .err("a fresh server serves one polite client and not the next");
    let case = dir.names().into_iter().find(|name| name.ends_with(".case")).expect("a case");
    let path = dir.path().join(case);
    run(&["replay", path.to_str().expect("a path")]).code(0).out("unresponsive 3 of 3");
}

#[test]
fn of_a_server_that_ended_it_is_said_that_it_did_and_how() {
    for options in [&[][..], &["--no-gate"]] {
        hunted(&Folder::new(), Server::Brittle, options)
            .code(3)
            .err("the server exited with 3 when the first polite client came");
    }
}

#[test]
fn a_server_that_closes_at_once_has_served_its_client() {
    for options in [&["--cases", "5"][..], &["--cases", "5", "--no-gate"]] {
        hunted(&Folder::new(), Server::Closer, options).code(0);
    }
}

#[test]
fn connections_in_time_wait_do_not_keep_a_server_from_its_port() {
    for fixed in [false, true] {
        let dir = Folder::new();
        // SIGPIPE kills the server, so it is started again and again.
        let mut command = hunt(&dir, Server::Possessive, &["--cases", "40"]);
        if fixed {
            command = crate::server::hunt_on(&dir, Server::Possessive, 7411, &["--cases", "40"]);
        }
        let said = Said::of(command.output().expect("the binary runs"));
        assert!(!said.err.contains("ended early") && matches!(said.code, Some(0 | 1)), "{fixed}: {said:?}");
    }
}

/// A hunt of a server with many threads, by a brokenpipe with this limit of descriptors, given as arguments of `ulimit`.
fn crowded(dir: &Folder, limit: &str) -> Said {
    let says = |file: &str| format!("ulimit -S -n > '{}'", dir.path().join(file).display());
    let hunt = hunt(dir, Server::Crowded, &["--cases", "1", "--setup", &says("setup")]);
    let args: Vec<_> = hunt.get_args().collect();
    let (options, server) = args.split_at(args.iter().position(|arg| *arg == "--").expect("a command") + 1);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh"]).arg(hunt.get_program()).args(options);
    command.args(["sh", "-c", &format!("{}; exec \"$@\"", says("server")), "sh"]).args(server);
    Said::of(command.current_dir(dir.path()).output().expect("a shell"))
}

#[test]
fn descriptors_of_many_threads_are_had_by_raising_the_limit_which_the_server_keeps() {
    // brokenpipe holds three descriptors for each thread.
    const _: () = assert!(3 * CROWD > 150);
    let dir = Folder::new();
    crowded(&dir, "-S -n 150").code(0);
    for name in ["server", "setup"] {
        assert_eq!(fs::read_to_string(dir.path().join(name)).expect("its limit"), "150\n", "{name}");
    }
}

#[test]
fn where_the_limit_cannot_be_raised_it_is_said_to_be_too_low() {
    crowded(&Folder::new(), "-n 150").code(3).err("too many open files");
}
