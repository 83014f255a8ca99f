//! The binary as its users have it: started with arguments in a folder of its own, and looked at from outside.

pub(crate) use crate::binary::{BOUND, Folder, NOTHING_LEFT, Process, Running, brokenpipe};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::time::Instant;

/// What the binary says to these arguments.
pub(crate) fn run(args: &[&str]) -> Said {
    Said::of(brokenpipe().args(args).output().expect("the binary runs"))
}

/// What the binary says to these arguments with this on its standard input.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Said {
    let dir = Folder::new();
    let path = dir.path().join("input");
    fs::write(&path, input).expect("a scratch file");
    let stdin = fs::File::open(path).expect("a scratch file");
    Said::of(brokenpipe().args(args).stdin(stdin).output().expect("the binary runs"))
}

/// What came of a run of the binary.
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

    /// That it ended with this code, with all that it said if it did not.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// That standard error has this in it.
    #[track_caller]
    pub(crate) fn err(self, part: &str) -> Said {
        assert!(self.err.contains(part), "no {part:?} in\n{}", self.err);
        self
    }

    /// That standard output has this in it.
    #[track_caller]
    pub(crate) fn out(self, part: &str) -> Said {
        assert!(self.out.contains(part), "no {part:?} in\n{}", self.out);
        self
    }
}

impl Folder {
    /// The names of all that is in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("a scratch folder");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }
}

/// The processes of this group that have not ended, from `/proc/*/stat`.
fn members(group: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").expect("/proc").filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_member = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may have anything in it. Then come the state, the parent and the group.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        Some(state != "Z" && state != "X" && fields.nth(1)?.parse::<u32>().ok()? == group)
    };
    pids.filter(|pid| is_member(pid) == Some(true)).collect()
}

/// The process group of a binary: what it has started is in it even when the binary itself is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(u32);

impl Group {
    /// That nothing of it is left, or will be very soon.
    #[track_caller]
    pub(crate) fn is_gone(self) {
        let start = Instant::now();
        loop {
            let left = members(self.0);
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed() < NOTHING_LEFT, "{left:?} are left after {NOTHING_LEFT:?}");
            std::thread::yield_now();
        }
    }
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running { child: command.process_group(0).spawn().expect("the binary runs") }
    }

    /// Its group, as soon as there is a server in it. Servers come and go; how many there are at a time is not to be
    /// seen from here.
    pub(crate) fn with_server(&self) -> Group {
        let own = self.child.id();
        let start = Instant::now();
        while members(own).iter().all(|pid| *pid == own) {
            assert!(start.elapsed() < BOUND, "no server after {BOUND:?}");
            std::thread::yield_now();
        }
        Group(own)
    }

    /// Waits until its main thread is in this system call.
    pub(crate) fn wait_for_call(&self, call: libc::c_long) {
        let path = format!("/proc/{}/syscall", self.child.id());
        let start = Instant::now();
        while !fs::read_to_string(&path).expect("it runs").starts_with(&format!("{call} ")) {
            assert!(start.elapsed() < BOUND, "not in system call {call} after {BOUND:?}");
            std::thread::yield_now();
        }
    }

    /// Waits for its end, and gives what it has said.
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
