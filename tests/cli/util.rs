//! Runs the binary with arguments in a folder of its own, and observes its processes from outside.

pub(crate) use crate::binary::{BOUND, Folder, LOOK_AGAIN, NOTHING_LEFT, Process, Running, brokenpipe};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::time::Instant;

/// The output of the binary with these arguments.
pub(crate) fn run(args: &[&str]) -> Said {
    Said::of(brokenpipe().args(args).output().expect("the binary runs"))
}

/// The output of the binary with these arguments and this standard input.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Said {
    let dir = Folder::new();
    let path = dir.path().join("input");
    fs::write(&path, input).expect("a scratch file");
    let stdin = fs::File::open(path).expect("a scratch file");
    Said::of(brokenpipe().args(args).stdin(stdin).output().expect("the binary runs"))
}

/// The exit code and the output of a run of the binary.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Said {
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text on standard output"),
            err: String::from_utf8(output.stderr).expect("text on standard error"),
        }
    }

    /// Asserts the exit code. The failure message has the whole output.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// Asserts that standard error contains this.
    #[track_caller]
    pub(crate) fn err(self, part: &str) -> Said {
        assert!(self.err.contains(part), "no {part:?} in\n{}", self.err);
        self
    }

    /// Asserts that standard output contains this.
    #[track_caller]
    pub(crate) fn out(self, part: &str) -> Said {
        assert!(self.out.contains(part), "no {part:?} in\n{}", self.out);
        self
    }
}

impl Folder {
    /// The names of the folder's entries, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("a scratch folder");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }
}

/// Fields of `/proc/PID/stat` of a process that has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    /// Whether its state is T: stopped by a signal.
    pub(crate) stopped: bool,
    parent: u32,
    group: u32,
    session: u32,
}

/// Every process that has not ended.
fn processes() -> Vec<Stat> {
    let pids = fs::read_dir("/proc").expect("/proc").filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let stat = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may contain any character. After it come state, parent, process group and session.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let mut number = || fields.next()?.parse().ok();
        let (parent, group, session) = (number()?, number()?, number()?);
        (state != "Z" && state != "X").then_some(Stat { pid, stopped: state == "T", parent, group, session })
    };
    pids.filter_map(stat).collect()
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < BOUND, "not {what} after {BOUND:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The processes that a binary has started: those in its process group, and those in the sessions of its workers. The ids are kept here, so
/// that the processes can be found when the binary has ended.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    group: u32,
    sessions: Vec<u32>,
}

impl Group {
    /// Checks that no such process is left, waiting for at most [`NOTHING_LEFT`].
    #[track_caller]
    pub(crate) fn is_gone(&self) {
        let start = Instant::now();
        let is_member = |p: &Stat| p.group == self.group || self.sessions.contains(&p.session);
        loop {
            let left: Vec<Stat> = processes().into_iter().filter(is_member).collect();
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed() < NOTHING_LEFT, "{left:?} are left after {NOTHING_LEFT:?}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running { child: command.process_group(0).spawn().expect("the binary runs") }
    }

    /// Waits until the binary has workers, and returns them.
    pub(crate) fn workers(&self) -> Vec<Stat> {
        let start = Instant::now();
        loop {
            let workers: Vec<Stat> = processes().into_iter().filter(|p| p.parent == self.child.id()).collect();
            if !workers.is_empty() && workers.iter().all(|worker| worker.session == worker.pid) {
                return workers;
            }
            assert!(start.elapsed() < BOUND, "no worker in a session of its own after {BOUND:?}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits until the binary has a server, and returns the group of all its processes. Servers start and end all the time, so their number
    /// cannot be observed from here.
    pub(crate) fn with_server(&self) -> Group {
        let start = Instant::now();
        loop {
            let sessions: Vec<u32> = self.workers().iter().map(|worker| worker.session).collect();
            if processes().iter().any(|p| sessions.contains(&p.parent) && sessions.contains(&p.session)) {
                return Group { group: self.child.id(), sessions };
            }
            assert!(start.elapsed() < BOUND, "no server in a worker's session after {BOUND:?}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits until the main threads of all workers are in this system call.
    pub(crate) fn wait_for_call(&self, call: libc::c_long) {
        let workers = self.workers();
        let is_in = |worker: &Stat| {
            let path = format!("/proc/{}/syscall", worker.pid);
            fs::read_to_string(path).expect("it runs").starts_with(&format!("{call} "))
        };
        wait_until(&format!("in system call {call}"), || workers.iter().all(is_in));
    }

    /// Waits until the binary and its workers are stopped, or until none of them is.
    pub(crate) fn wait_for_stopped(&self, stopped: bool) {
        let is_so = |p: &Stat| p.stopped == stopped;
        let itself = || processes().into_iter().find(|p| p.pid == self.child.id());
        wait_until(&format!("stopped: {stopped}"), || {
            itself().as_ref().is_some_and(is_so) && self.workers().iter().all(is_so)
        });
    }

    /// Waits until the binary has ended, and returns its output.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        drop(self.child.stdin.take());
        if let Some(process) = Process::open(self.child.id()) {
            assert!(process.ends_within(BOUND), "{} still runs after {BOUND:?}", self.child.id());
        }
        let read = |from: Option<&mut dyn std::io::Read>| {
            let mut text = String::new();
            from.map(|from| from.read_to_string(&mut text));
            text
        };
        let out = read(self.child.stdout.as_mut().map(|s| s as &mut dyn std::io::Read));
        let err = read(self.child.stderr.as_mut().map(|s| s as &mut dyn std::io::Read));
        Said { code: self.child.wait().expect("it can be waited for").code(), out, err }
    }
}
