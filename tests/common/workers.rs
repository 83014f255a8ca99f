//! A test's work, divided among worker processes: this program again, asked for this test alone.
//!
//! All worlds of a process are on one core, and a session whose tasks wake each other on two takes the processor from everybody else. So
//! each worker has a session and a core of its own.

use brokenpipe::Shard;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, setsid};
use std::process::{Child, Command, Stdio};

/// Names the worker's part, and before what it says of how much it has done.
const PART: &str = "BROKENPIPE_TEST_WORKER";
const DONE: &str = "worker has done ";

/// Has each worker do its part with `work`, which gives how much it has done, and gives how much that was in all.
pub(crate) fn divided(work: impl Fn(Shard) -> usize) -> usize {
    if let Ok(part) = std::env::var(PART) {
        let part: Shard = part.parse().expect("a part");
        settle_down(part);
        println!("\n{DONE}{}", work(part));
        // What the test makes of the sum is not for one part of it.
        std::process::exit(0);
    }
    let thread = std::thread::current();
    let Some(test) = thread.name().filter(|name| *name != "main") else {
        // The test harness runs its tests one at a time on the thread that it was started on, and says nothing of which it is.
        return work(Shard::WHOLE);
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<Child> = (0..count).map(|index| start(test, index, count)).collect();
    workers.into_iter().map(|worker| end(test, worker)).sum()
}

fn start(test: &str, index: usize, count: usize) -> Child {
    let own = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(own);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PART, format!("{index}/{count}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a worker")
}

/// Waits for a worker, and gives how much it has done.
fn end(test: &str, worker: Child) -> usize {
    let output = worker.wait_with_output().expect("a worker");
    let said = String::from_utf8_lossy(&output.stdout);
    let done = said.lines().find_map(|line| line.strip_prefix(DONE)?.parse().ok());
    match done.filter(|_| output.status.success()) {
        Some(done) => done,
        None => panic!("{test}: a worker: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// In a worker: goes to a session of its own and to its core, and ends with whoever has started it.
fn settle_down(part: Shard) {
    set_pdeathsig(Signal::SIGKILL).expect("a signal");
    setsid().expect("a session");
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).expect("the cores");
    let cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).expect("a core")).collect();
    let mut only = CpuSet::new();
    for core in part.part(cores).take(1) {
        only.set(core).expect("a core");
        sched_setaffinity(this, &only).expect("a core of its own");
    }
}
