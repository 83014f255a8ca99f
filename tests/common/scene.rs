//! Finds the processes that a run of brokenpipe has left. Servers run in sessions of their own, and some try to escape, so no process group
//! contains all of them. But each has its program in the run's folder, or the run's mark in its environment.

use crate::binary::{Folder, LOOK_AGAIN, NOTHING_LEFT};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const MARK: &str = "BROKENPIPE_TEST";

/// A folder in which brokenpipe runs, with all processes of the run. Those that are left are killed on drop.
#[derive(Debug)]
pub(crate) struct Scene(Folder);

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene(Folder::new())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The command, to be run in this folder with the mark in its environment.
    pub(crate) fn marked(&self, mut command: Command) -> Command {
        command.current_dir(self.path()).env(MARK, self.path());
        command
    }

    /// The processes whose program is in this folder.
    #[allow(dead_code, reason = "not every suite that includes this file looks at running servers")]
    pub(crate) fn servers(&self) -> Vec<u32> {
        processes(|pid| self.runs_from_here(pid))
    }

    /// Checks that no process of the run is left, waiting for at most [`NOTHING_LEFT`].
    pub(crate) fn is_empty(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return Ok(());
            }
            if start.elapsed() > NOTHING_LEFT {
                let names: Vec<_> = left.iter().map(|pid| (pid, program(*pid))).collect();
                return Err(format!("{} processes are left after {NOTHING_LEFT:?}: {names:?}", left.len()));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Every process of the run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.path().display()).into_bytes();
        let is_marked = |pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == mark)
        };
        // A kernel thread has neither a program nor an environment.
        processes(|pid| program(pid).is_some_and(|path| path.starts_with(self.path()) || is_marked(pid)))
    }

    fn runs_from_here(&self, pid: u32) -> bool {
        program(pid).is_some_and(|path| path.starts_with(self.path()))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Some processes fork faster than they can be killed one by one, so all are stopped first.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            let start = Instant::now();
            let mut seen = Vec::new();
            while start.elapsed() < NOTHING_LEFT {
                let left = self.processes();
                if left.iter().all(|pid| seen.contains(pid)) {
                    break;
                }
                for pid in left.into_iter().filter(|pid| !seen.contains(pid)).collect::<Vec<_>>() {
                    let _ = kill(Pid::from_raw(pid as i32), signal);
                    seen.push(pid);
                }
            }
        }
    }
}

/// The pids for which `is_wanted` holds. Zombies have neither a program nor an environment, and so are never wanted.
fn processes(is_wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    numbers("/proc").into_iter().filter(|pid| is_wanted(*pid)).collect()
}

/// The pids of the child processes of these processes.
#[allow(dead_code, reason = "not every suite that includes this file asks for children")]
pub(crate) fn children(processes: &[u32]) -> Vec<u32> {
    let of = |pid: u32, tid| fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    let threads =
        processes.iter().flat_map(|pid| numbers(&format!("/proc/{pid}/task")).into_iter().map(|tid| (*pid, tid)));
    threads
        .flat_map(|(pid, tid)| {
            of(pid, tid).split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// The entries of a folder of `/proc` that are numbers.
pub(crate) fn numbers(folder: &str) -> Vec<u32> {
    let names = fs::read_dir(folder).into_iter().flatten();
    names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}
