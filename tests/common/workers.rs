//! Divides a test's work among worker processes. A worker is this program, started again with the name of the test.
//!
//! All worlds of a process run on one core, and a session whose tasks wake each other on two cores keeps the processor from all other
//! sessions. So each worker has a session and a core of its own before its program begins: the load of a session on a core counts there for
//! up to half a second.

use brokenpipe::Shard;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, setsid};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// The environment variable with the worker's part, and the prefix of the line on which a worker reports how much it has done.
const PART: &str = "BROKENPIPE_TEST_WORKER";
const DONE: &str = "worker has done ";

/// Runs `work` in as many workers as there are cores, each with its part. `work` returns how much it has done. Returns the sum.
#[allow(dead_code, reason = "not every suite that includes this file has work to divide")]
pub(crate) fn divided(work: impl Fn(Shard) -> usize) -> usize {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    worked(count, work)
}

/// Runs `work` in one worker.
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
        // The rest of the test checks the sum, which a worker does not have.
        std::process::exit(0);
    }
    let thread = std::thread::current();
    let Some(test) = thread.name().filter(|name| *name != "main") else {
        // With one test thread the test harness runs tests on the main thread, and the thread's name is not that of the test.
        return work(Shard::WHOLE);
    };
    let workers: Vec<Child> = (0..count).map(|index| start(test, index, count)).collect();
    workers.into_iter().map(|worker| end(test, worker)).sum()
}

/// Starts a worker. It is killed when the thread that started it ends.
fn start(test: &str, index: usize, count: usize) -> Child {
    let own = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(own);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PART, format!("{index}/{count}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let core = (count > 1).then(|| core(index));
    let settle_down = move || {
        // A single worker stays on the core where the scheduler has put it.
        let mut only = CpuSet::new();
        only.set(core.map_or_else(sched_getcpu, Ok)?)?;
        sched_setaffinity(Pid::from_raw(0), &only)?;
        setsid()?;
        Ok(set_pdeathsig(Signal::SIGKILL)?)
    };
    // SAFETY: between fork and exec the child makes four system calls, and allocates no memory.
    unsafe { command.pre_exec(settle_down) };
    command.spawn().expect("a worker")
}

/// The core of the worker with this index.
fn core(index: usize) -> usize {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the cores");
    let cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).expect("a core")).collect();
    cores[index % cores.len()]
}

/// Waits for a worker, and returns how much it has done.
fn end(test: &str, worker: Child) -> usize {
    let output = worker.wait_with_output().expect("a worker");
    let said = String::from_utf8_lossy(&output.stdout);
    let done = said.lines().find_map(|line| line.strip_prefix(DONE)?.parse().ok());
    match done.filter(|_| output.status.success()) {
        Some(done) => done,
        None => panic!("{test}: a worker: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}
