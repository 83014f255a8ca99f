//! Small servers with one fault each, their honest twins, and honest servers of every usual architecture. They are tested without
//! brokenpipe and with it:
//!
//! - `fault` and `honest` play the orders of `table.rs` without brokenpipe. They check that each faulty server has its fault, and that the
//!   honest servers have none; otherwise the tests below would prove nothing;
//! - `hunt` and `nothing` check that brokenpipe finds each fault, and finds nothing in honest servers;
//! - `both` checks a server with two faults of one kind, `conversation` one whose fault shows only after a login,
//!   `upload` one whose fault takes more than one send;
//! - `copes` and `ends` check servers that misbehave, and hunts that a signal ends: the outcome is clear, and no process is left.
//!
//! `cargo test --test faulty hunt-sigpipe` runs one of these tests.

#[path = "../common/binary.rs"]
mod binary;
mod build;
#[path = "../common/compile.rs"]
mod compile;
#[path = "../common/hosts.rs"]
mod hosts;
mod hunted;
#[path = "../common/order.rs"]
mod order;
#[path = "../common/run.rs"]
mod run;
#[path = "../common/scene.rs"]
mod scene;
mod server;
mod table;
mod tasks;
#[path = "../common/tokio_server.rs"]
mod tokio_server;

use brokenpipe::Kind;
use build::{Built, SERVE_TOKIO, honest};
use hosts::Test;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use scene::Scene;
use server::{Seen, Server};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use table::{FAULTY, Faulty};

/// How many trials run at a time on each core: for part of its time a hunt only waits for a server's timeouts.
const AT_A_TIME: usize = 4;

fn main() -> ExitCode {
    // This program is the tokio server too: no other program is built with every test runner.
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(SERVE_TOKIO) {
        let served = tokio_server::run(words.next().and_then(|port| port.parse().ok()));
        eprintln!("tokio: {served:?}");
        return ExitCode::FAILURE;
    }
    let mut tests = vec![Test::new("each-kind-has-a-faulty-server".to_owned(), "kinds", each_kind_has_a_server)];
    for faulty in FAULTY {
        tests.push(Test::new(format!("fault-{}", faulty.name), faulty.name, || is_there(faulty)));
        tests.push(Test::new(format!("hunt-{}", faulty.name), faulty.name, || hunted::is_found(faulty)));
    }
    for (name, build) in honest() {
        tests.push(Test::new(format!("honest-{name}"), name.clone(), move || is_honest(build)));
        tests.push(Test::new(format!("nothing-{name}"), name, move || hunted::nothing_is_found(build)));
    }
    tests.push(Test::new("both-masked-exit".to_owned(), "both", hunted::both_are_found));
    for (name, fault) in [("upload", true), ("upload-honest", false)] {
        tests.push(Test::new(name.to_owned(), "upload", move || hunted::upload_is_found(fault)));
    }
    for (name, fault) in [("conversation", true), ("conversation-honest", false)] {
        tests.push(Test::new(name.to_owned(), "conversation", move || hunted::conversation_is_found(fault)));
    }
    for name in hunted::misbehaving_names() {
        tests.push(Test::new(format!("copes-{name}"), name, move || hunted::copes_with(name)));
    }
    for (name, processes, descriptors) in hunted::RUNNING {
        for (how, signal) in [("ctrl-c", Signal::SIGINT), ("kill-9", Signal::SIGKILL)] {
            let ends = move || hunted::ends_by(signal, name, processes, descriptors);
            tests.push(Test::new(format!("ends-{how}-{name}"), name, ends));
        }
    }
    hosts::run(tests, AT_A_TIME, String::new)
}

/// Checks that no kind of finding about a command is without a server that shows it. `throttling` is shown by a healthy server, `lives-throttles`,
/// and `request-reset` in virtual time by a server of `tests/virtual_time`.
fn each_kind_has_a_server() -> Result<(), Failed> {
    let shown: BTreeSet<&str> =
        FAULTY.iter().map(|faulty| faulty.finding).chain(["throttling", "request-reset"]).collect();
    let of_commands = Kind::ALL.into_iter().filter(|kind| !kind.is_of_programs());
    let missing: Vec<&str> = of_commands.map(Kind::name).filter(|name| !shown.contains(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no faulty server shows {missing:?}").into()) }
}

/// Checks that a faulty server's order shows its fault and the other kinds in its row, and nothing else.
fn is_there(faulty: &Faulty) -> Result<(), Failed> {
    let scene = Scene::new();
    let built = faulty.with_fault(scene.path());
    let mut server = Server::start(&built, scene.path());
    server.judges_crowds = true;
    order::play(faulty.order, &mut server);
    let seen = server.look();
    let mut kinds = BTreeSet::from([faulty.finding]);
    kinds.extend(faulty.also);
    let as_it_should = seen.kinds == kinds && faulty.process.is_none_or(|process| seen.process == Some(process));
    if as_it_should { Ok(()) } else { Err(format!("`{}` shows {seen:?}, not {kinds:?}", faulty.order).into()) }
}

/// Checks that the orders of all faulty servers, one after another, show nothing in this server.
fn is_honest(build: impl Fn(&Path) -> Built) -> Result<(), Failed> {
    let scene = Scene::new();
    let mut server = Server::start(&build(scene.path()), scene.path());
    for order in FAULTY.iter().map(|faulty| faulty.order).collect::<BTreeSet<_>>() {
        order::play(order, &mut server);
        let seen = server.look();
        if seen != Seen::default() {
            return Err(format!("`{order}` shows {seen:?}").into());
        }
    }
    Ok(())
}
