//! brokenpipe does not keep other sessions from the processor. On each core an always runnable task, in a session of its own, runs beside
//! brokenpipe and measures the longest time for which it did not run.
//!
//! With `sched_autogroup` a session is a scheduling group, and on Linux 6.18 a group whose tasks wake each other all the time on two cores
//! may take a core for seconds (`src/linux/process/session.rs`). Beside two workers in one session the longest time without the processor
//! was up to 6.3 s.
//!
//! On a busy machine other processes run on the core too, which is no fault of brokenpipe. So the tests do not limit how long the task
//! waited, but how long brokenpipe's own tasks ran on that core meanwhile, from their `/proc/PID/task/TID/schedstat`.

#[path = "common/binary.rs"]
#[allow(dead_code, reason = "this suite ends its runs by dropping them")]
mod binary;

use binary::{Folder, Running, brokenpipe};
use brokenpipe::{Kernel, Policy, Random, Setup, Shape, Trace, play};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, setsid};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

/// For how long brokenpipe may run on a core while another task waits for that core.
const LIMIT: Duration = Duration::from_millis(100);
/// The duration of the measurement.
const MEASURED: Duration = Duration::from_secs(3);
/// How often the run times of brokenpipe's tasks are read.
const NOTED: Duration = Duration::from_millis(5);
/// Deadline for brokenpipe to begin to play, and the poll interval.
const BEGINS: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // This program is also the measured server or worlds, and the task that measures.
    match words[..] {
        ["gap", core, ref tasks @ ..] => gap(number(core), tasks),
        ["worlds"] => worlds(),
        ["processes"] => processes(),
        ["world"] => world(),
        ["serve", port] => serve(number(port)),
        _ => {
            let mut args = Arguments::from_args();
            // No other test may run during a measurement.
            args.test_threads = Some(1);
            let why = why_not();
            if let Some(why) = &why {
                eprintln!("\nNOT TESTED, whether others are kept from the processor: {why}\n");
            }
            let trials: Vec<Trial> = [
                Trial::test("beside-the-hunt-of-a-program", of_a_program),
                Trial::test("beside-the-hunt-of-a-server", of_a_server),
                Trial::test("beside-worlds-on-two-threads", || holds(&mut itself("worlds"), |_| {})),
                Trial::test("beside-worlds-of-two-processes", || holds(&mut itself("processes"), |_| {})),
            ]
            .map(|trial| trial.with_ignored_flag(why.is_some()))
            .into();
            libtest_mimic::run(&args, trials).exit_code()
        }
    }
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

/// The reason if this machine does not share the processor among sessions.
fn why_not() -> Option<String> {
    match fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled") {
        Err(_) => return Some("this kernel has no sched_autogroup".to_owned()),
        Ok(text) if text.trim() == "0" => return Some("kernel.sched_autogroup_enabled is 0".to_owned()),
        Ok(_) => {}
    }
    // In a cgroup with a cpu controller, such as a container's or a service's, sessions are not scheduling groups (`autogroup_task_group`
    // in the kernel).
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let grouped = groups.lines().find(|line| {
        let (controllers, path) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':')).unwrap_or_default();
        // In cgroup version 2 only a group with the cpu controller has this file. The root group never has it.
        controllers.split(',').any(|c| c == "cpu") && path != "/"
            || controllers.is_empty() && fs::exists(format!("/sys/fs/cgroup{path}/cpu.weight")).unwrap_or(false)
    });
    grouped.map(|line| format!("this process is in a cgroup that has a share of the processor, {line}"))
}

fn of_a_program() -> Result<(), Failed> {
    holds(brokenpipe().args(["hunt", "--policy", "ignore", "--seconds", "600", "--jobs", "2"]), |_| {})
}

fn of_a_server() -> Result<(), Failed> {
    let folder = Folder::new();
    let mut command = brokenpipe();
    command.args(["hunt", "--seconds", "600", "--say", "x", "--"]).arg(env::current_exe()?).args(["serve", "{port}"]);
    holds(command.current_dir(folder.path()).stdout(Stdio::piped()), |hunt| {
        // The baseline is printed when the hunt begins to play.
        let mut line = String::new();
        let read = hunt.child.stdout.as_mut().map(|out| BufReader::new(out).read_line(&mut line));
        assert!(matches!(read, Some(Ok(1..))), "the hunt begins");
    })
}

/// For how long, in nanoseconds, tasks must have run on their core before the measurement. The load of a process on another core at its
/// start counts for its session until the scheduler updates that core, up to half a second later. In that time another task may wait once
/// for as long.
const SETTLED: u64 = 1_000_000_000;

/// A command for this program with this argument.
fn itself(what: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the path of this program"));
    command.arg(what);
    command
}

/// Checks that a command does not keep other tasks from the processor. The measurement begins when `ready` has returned.
fn holds(command: &mut Command, ready: impl FnOnce(&mut Running)) -> Result<(), Failed> {
    let mut running = Running { child: command.spawn()? };
    ready(&mut running);
    let gaps: Vec<Running> = tasks(running.child.id())?.into_iter().map(|(core, tasks)| helper(core, &tasks)).collect();
    let mut worst = Gap::default();
    for mut gap in gaps {
        let mut line = String::new();
        BufReader::new(gap.child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
        let (waited, taken) = line.trim().split_once(' ').ok_or("two numbers")?;
        let gap = Gap { taken: Duration::from_micros(taken.parse()?), waited: Duration::from_micros(waited.parse()?) };
        println!("{gap:?}");
        worst = worst.max(gap);
    }
    if let Some(status) = running.child.try_wait()? {
        return Err(format!("it ended while it was measured: {status}").into());
    }
    if worst.taken <= LIMIT { Ok(()) } else { Err(format!("a task that could always run waited: {worst:?}").into()) }
}

/// For how long the measuring task waited for its core, and for how long of that brokenpipe ran there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    taken: Duration,
    waited: Duration,
}

fn helper(core: usize, tasks: &[String]) -> Running {
    let mut command = itself("gap");
    command.arg(core.to_string()).args(tasks).stdout(Stdio::piped());
    Running { child: command.spawn().expect("a helper") }
}

/// The `schedstat` files of all threads of this process and its descendants that are pinned to one core, by core. Waits until each such
/// core has at least two processes, a world and its server, and each task has run for [`SETTLED`].
fn tasks(root: u32) -> Result<BTreeMap<usize, Vec<String>>, Failed> {
    let start = Instant::now();
    while start.elapsed() < BEGINS {
        let mut tasks: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut processes: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        let mut below = vec![root];
        while let Some(pid) = below.pop() {
            for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                below.extend(children.split_whitespace().flat_map(str::parse::<u32>));
                let thread = task.file_name().to_str().and_then(|name| name.parse().ok()).unwrap_or_default();
                if let Ok([core]) = cores_of(Pid::from_raw(thread)).as_deref() {
                    tasks.entry(*core).or_default().push(task.path().join("schedstat").display().to_string());
                    processes.entry(*core).or_default().insert(pid);
                }
            }
        }
        let has_run = |tasks: &Vec<String>| tasks.iter().map(|path| nanoseconds(path)).sum::<u64>() >= SETTLED;
        let in_full_swing = processes.values().all(|on_core| on_core.len() > 1) && tasks.values().all(has_run);
        if !tasks.is_empty() && in_full_swing {
            return Ok(tasks);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Err(format!("no world with its server on one core after {BEGINS:?}").into())
}

/// The cores on which a thread may run.
fn cores_of(thread: Pid) -> nix::Result<Vec<usize>> {
    let allowed = sched_getaffinity(thread)?;
    Ok((0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect())
}

/// Moves this process to a core and then to a session of its own. In this order the session has never run on another core, where its load
/// would count.
fn alone_on(core: usize) {
    let mut only = CpuSet::new();
    only.set(core).expect("a core");
    sched_setaffinity(Pid::from_raw(0), &only).expect("the core");
    setsid().expect("a session");
}

/// As `alone_on`, on the core that worlds choose in such a session. Threads and child processes may leave the core again.
fn alone() {
    let cores = cores_of(Pid::from_raw(0)).expect("the cores");
    alone_on(cores[std::process::id() as usize % cores.len()]);
}

/// Allows this thread to run on all cores again.
fn leave_the_core() {
    let mut all = CpuSet::new();
    (0..CpuSet::count()).for_each(|core| all.set(core).expect("a core"));
    sched_setaffinity(Pid::from_raw(0), &all).expect("all cores");
}

/// Runs all the time. Prints, for the gap in which these tasks ran longest, the length of the gap and the run time of the tasks, in
/// microseconds.
fn gap(core: usize, tasks: &[&str]) -> ExitCode {
    alone_on(core);
    // A task that has ended adds nothing. The run time of a task that has started meanwhile is not known.
    let ran = || tasks.iter().map(|path| nanoseconds(path)).collect::<Vec<_>>();
    let start = Instant::now();
    let (mut last, mut noted_at, mut noted, mut worst) = (start, start, ran(), Gap::default());
    while last - start < MEASURED {
        let now = Instant::now();
        let waited = now - last;
        if waited > NOTED {
            let taken = noted.iter().zip(ran()).map(|(before, now)| now.saturating_sub(*before)).sum();
            worst = worst.max(Gap { taken: Duration::from_nanos(taken), waited });
        }
        last = now;
        if now - noted_at > NOTED {
            noted = ran();
            // The time for reading the files is not a gap.
            last = Instant::now();
            noted_at = last;
        }
    }
    println!("{} {}", worst.waited.as_micros(), worst.taken.as_micros());
    ExitCode::SUCCESS
}

/// The run time of a task; 0 if the task has ended.
fn nanoseconds(schedstat: &str) -> u64 {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// Two worlds on two threads of a process, as in a test program with two tests.
fn worlds() -> ExitCode {
    alone();
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(world)));
        // The scheduler may put the worlds on another core than the one that this thread began on. This thread is no world.
        leave_the_core();
    });
    ExitCode::SUCCESS
}

/// Two processes of a session with a world each, as with a test runner that starts a process for each test.
fn processes() -> ExitCode {
    alone();
    let mut children = [(); 2].map(|()| itself("world").spawn().expect("a process"));
    let ended = children.iter_mut().all(|child| child.wait().is_ok_and(|status| status.success()));
    if ended { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A world that plays until the parent process has ended. It is one world throughout: between two worlds the scheduler may move this thread
/// to another core, and the time that the session then runs there counts for up to half a second.
fn world() -> ExitCode {
    leave_the_core();
    let mut kernel = Kernel::new().expect("a world");
    let setup = Setup::new("greeter".parse().expect("a preset"), Policy::Ignore);
    let (parent, mut trace) = (nix::unistd::getppid(), Trace::default());
    for scenario in Random::new(0, Shape::default()) {
        play(&mut kernel, &setup, &scenario, &mut trace).expect("a run");
        if nix::unistd::getppid() != parent {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// A server with a thread for each connection.
fn serve(port: usize) -> ExitCode {
    let listener = TcpListener::bind(("127.0.0.1", port as u16)).expect("the port");
    for mut client in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let _ = client.write_all(b"hello\n");
            std::io::copy(&mut client, &mut std::io::sink())
        });
    }
    ExitCode::SUCCESS
}
