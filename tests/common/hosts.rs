//! A host for each core: a process of this program that runs trials, in a session of its own that has never run on another core.
//!
//! With `sched_autogroup` a session is a scheduling group, and the load of a group on a core counts there for up to half a second. During
//! that time a session whose tasks wake each other on two cores keeps the processor from all other sessions. So no process of a trial may
//! have to move to another core: the trial runs in the host of the core on which its child processes will run. This process runs no
//! trials; it only sends their names to the hosts.

use crate::binary;
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, setsid};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The environment variable with the core of a host.
const HOST: &str = "BROKENPIPE_TEST_HOST";
/// Prefixes of a host's output lines. The result of a trial is `DONE`, the trial's name, a tab, and the failure, empty if the trial passed.
/// At the end comes `SUMMARY` with the summary of all trials.
const DONE: &str = "@done ";
const SUMMARY: &str = "@summary ";
/// Replaces a line end within one of these lines.
const NEW_LINE: &str = "\u{1}";

/// A trial that runs in a host.
pub(crate) struct Test {
    pub(crate) name: String,
    /// Trials of one group run in one host, because they share compiled programs.
    pub(crate) group: String,
    pub(crate) run: Box<dyn Fn() -> Result<(), Failed> + Send + Sync>,
}

impl Test {
    pub(crate) fn new(
        name: String,
        group: impl Into<String>,
        run: impl Fn() -> Result<(), Failed> + Send + Sync + 'static,
    ) -> Test {
        Test { name, group: group.into(), run: Box::new(run) }
    }
}

/// Runs these trials, at most `at_a_time` of them at once per core. In a host process it runs the trials that are requested instead. At
/// the end each host calls `summary`.
pub(crate) fn run(tests: Vec<Test>, at_a_time: usize, summary: impl Fn() -> String) -> ExitCode {
    if let Ok(core) = std::env::var(HOST) {
        binary::keep_to_this_core(core.parse().expect("a core"));
        serve(tests, summary);
        return ExitCode::SUCCESS;
    }
    let mut args = Arguments::from_args();
    let cores = cores();
    let threads = *args.test_threads.get_or_insert(at_a_time * cores.len());
    let hosts: Vec<Host> = match args.list {
        true => Vec::new(),
        false => cores.iter().map(|core| Host::start(*core)).collect(),
    };
    let places =
        Mutex::new(Places { free: vec![threads.div_ceil(cores.len()); hosts.len()], of_group: BTreeMap::new() });
    let shared = Arc::new((hosts, places));
    let trials = tests.into_iter().map(|Test { name, group, .. }| {
        let shared = Arc::clone(&shared);
        Trial::test(name.clone(), move || run_somewhere(&shared.0, &shared.1, &group, &name))
    });
    let conclusion = libtest_mimic::run(&args, trials.collect());
    shared.0.iter().for_each(Host::end);
    conclusion.exit_code()
}

/// How many more trials each host may run, and in which host each group has begun.
struct Places {
    free: Vec<usize>,
    of_group: BTreeMap<String, usize>,
}

impl Places {
    /// Takes a place for a trial of this group: in the group's host if that has one, or else in the host that has most.
    fn take(&mut self, group: &str) -> usize {
        let most = (0..self.free.len()).max_by_key(|host| self.free[*host]).expect("a host");
        let own = *self.of_group.entry(group.to_owned()).or_insert(most);
        let host = if self.free[own] > 0 { own } else { most };
        // There are no more threads of trials than places.
        self.free[host] -= 1;
        host
    }
}

fn run_somewhere(hosts: &[Host], places: &Mutex<Places>, group: &str, name: &str) -> Result<(), Failed> {
    let lock = || places.lock().unwrap_or_else(PoisonError::into_inner);
    let host = lock().take(group);
    let result = hosts[host].run(name);
    lock().free[host] += 1;
    result
}

fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the cores");
    (0..CpuSet::count()).filter(|core| allowed.is_set(*core).expect("a core")).collect()
}

/// The host's side: runs each requested trial on a thread of its own, until standard input ends.
fn serve(tests: Vec<Test>, summary: impl Fn() -> String) {
    let tests: BTreeMap<String, Test> = tests.into_iter().map(|test| (test.name.clone(), test)).collect();
    std::thread::scope(|scope| {
        for name in std::io::stdin().lines() {
            let name = name.expect("the name of a trial");
            let test = &tests[&name];
            scope.spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| (test.run)()));
                let failed = match result {
                    Ok(Ok(())) => String::new(),
                    Ok(Err(failed)) => failed.message().unwrap_or("it failed").to_owned(),
                    Err(panic) => message(panic.as_ref()),
                };
                println!("{DONE}{name}\t{}", failed.replace('\n', NEW_LINE));
            });
        }
    });
    println!("{SUMMARY}{}", summary().replace('\n', NEW_LINE));
}

/// The message of a panic, which is not empty: that would be a success.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "a panic".to_owned())
}

/// The channels on which results are awaited, by the name of the trial.
type Waiting = Arc<Mutex<BTreeMap<String, Sender<String>>>>;

/// A host, from the side of the process that started it.
struct Host {
    asks: Mutex<Option<ChildStdin>>,
    waiting: Waiting,
    child: Mutex<Option<(Child, JoinHandle<()>)>>,
}

impl Host {
    fn start(core: usize) -> Host {
        let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
        command.env(HOST, core.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut only = CpuSet::new();
        only.set(core).expect("a core");
        let settle_down = move || {
            sched_setaffinity(Pid::from_raw(0), &only)?;
            setsid()?;
            Ok(set_pdeathsig(Signal::SIGKILL)?)
        };
        // SAFETY: between fork and exec the child makes three system calls. One takes a pointer, to a value that the closure owns.
        unsafe { command.pre_exec(settle_down) };
        let mut child = command.spawn().expect("a host");
        let (asks, says) = (child.stdin.take(), child.stdout.take().expect("its output"));
        let waiting = Waiting::default();
        let told = Arc::clone(&waiting);
        let reader = std::thread::spawn(move || listen(BufReader::new(says), &told));
        Host { asks: Mutex::new(asks), waiting, child: Mutex::new(Some((child, reader))) }
    }

    /// Runs the trial of this name in the host, and waits for its result.
    fn run(&self, name: &str) -> Result<(), Failed> {
        let result = self.ask(name).recv();
        match result {
            Ok(failed) if failed.is_empty() => Ok(()),
            Ok(failed) => Err(failed.into()),
            Err(_) => Err("the process that ran it has ended".into()),
        }
    }

    fn ask(&self, name: &str) -> Receiver<String> {
        let (sender, receiver) = channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), sender);
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        if asks.as_mut().is_none_or(|asks| writeln!(asks, "{name}").is_err()) {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
        receiver
    }

    /// Ends the host, after its summary has been printed.
    fn end(&self) {
        drop(self.asks.lock().unwrap_or_else(PoisonError::into_inner).take());
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, reader)) = child {
            let _ = reader.join();
            let _ = child.wait();
        }
    }
}

/// Passes on a host's output until the host has ended. A thread that still waits then sees its channel close.
fn listen(says: impl BufRead, waiting: &Waiting) {
    for line in says.lines().map_while(Result::ok) {
        if let Some((name, failed)) = line.strip_prefix(DONE).and_then(|rest| rest.split_once('\t')) {
            let waits = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
            if let Some(sender) = waits {
                let _ = sender.send(failed.replace(NEW_LINE, "\n"));
            }
        } else if let Some(summary) = line.strip_prefix(SUMMARY) {
            if !summary.is_empty() {
                println!("{}", summary.replace(NEW_LINE, "\n"));
            }
        } else {
            println!("{line}");
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
