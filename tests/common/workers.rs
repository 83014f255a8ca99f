//! A test's work in worker processes: this program again, asked for this test alone.
//!
//! All worlds of a process are on one core, and a session whose tasks wake each other on two takes the processor from everybody else. So
//! each worker has a session and a core of its own, from before its program begins: what a session has once run on a core counts there
//! for a third of a second.

use brokenpipe::Shard;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, setsid};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Names the worker's part, and before what it says of how much it has done.
const PART: &str = "BROKENPIPE_TEST_WORKER";
const DONE: &str = "worker has done ";

/// Has each of as many workers as there are cores do its part with `work`, which gives how much it has done, and gives how much that was in
/// all.
#[allow(dead_code, reason = "not every suite that includes this file has work to divide")]
pub(crate) fn divided(work: impl Fn(Shard) -> usize) -> usize {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    worked(count, work)
}

/// Has one worker do all of it.
#[allow(dead_code, reason = "not every suite that includes this file has work for one")]
pub(crate) fn alone(work: impl Fn()) {
    worked(1, |_| {
        work();
        1
    });
}

fn worked(count: usize, work: impl Fn(Shard) -> usize) -> usize {
    if let Ok(part) = std::env::var(PART) {
        let part: Shard = part.parse().expect("a part");
        println!("\n{DONE}{}", work(part));
        // What the test makes of the sum is not for one part of it.
        std::process::exit(0);
    }
    let thread = std::thread::current();
    let Some(test) = thread.name().filter(|name| *name != "main") else {
        // The test harness runs its tests one at a time on the thread that it was started on, and says nothing of which it is.
        return work(Shard::WHOLE);
    };
    let workers: Vec<Child> = (0..count).map(|index| start(test, index, count)).collect();
    workers.into_iter().map(|worker| end(test, worker)).sum()
}

/// Starts a worker, which ends with the thread that has started it.
fn start(test: &str, index: usize, count: usize) -> Child {
    let own = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(own);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PART, format!("{index}/{count}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let core = (count > 1).then(|| core(index));
    let settle_down = move || {
        // One alone stays where the scheduler has put it.
        let mut only = CpuSet::new();
        only.set(core.map_or_else(sched_getcpu, Ok)?)?;
        sched_setaffinity(Pid::from_raw(0), &only)?;
        setsid()?;
        Ok(set_pdeathsig(Signal::SIGKILL)?)
    };
    // SAFETY: between fork and exec it makes four system calls, and takes no memory but its stack.
    unsafe { command.pre_exec(settle_down) };
    command.spawn().expect("a worker")
}

/// The core of the worker of this number.
fn core(index: usize) -> usize {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the cores");
    let cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).expect("a core")).collect();
    cores[index % cores.len()]
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
