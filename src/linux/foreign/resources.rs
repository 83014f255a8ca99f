//! Counts the resources of a server: processes, threads, descriptors, memory, processor time. The difference between two counts is what a
//! run has left behind.

use crate::linux::error::KernelError;
use crate::linux::foreign::server::Server;
use crate::linux::sys::proc;
use crate::linux::sys::proc::Scheduled;
use std::collections::BTreeMap;
use std::time::Duration;

/// The resources of an idle server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Processes that have not ended, by pid.
    pub(crate) processes: BTreeMap<i32, Held>,
    /// Processes that have ended and are not reaped.
    pub(crate) zombies: Vec<i32>,
}

/// The resources of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) threads: usize,
    /// The number of descriptors of each kind: `socket`, `pipe`, `anon_inode:[eventpoll]`, or a path.
    pub(crate) descriptors: BTreeMap<String, usize>,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
    /// Processor time used so far.
    pub(crate) processor: Duration,
}

/// The part of a [`Resources`] that is cheap to read. If these counts are the same as before, nothing that they cover was left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) processes: usize,
    pub(crate) zombies: usize,
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
}

impl Counts {
    /// Whether any count is more than `much` above its value in `before`.
    pub(crate) const fn exceed(&self, before: &Counts, much: usize) -> bool {
        self.processes > before.processes + much
            || self.zombies > before.zombies + much
            || self.threads > before.threads + much
            || self.descriptors > before.descriptors + much
    }
}

impl Server {
    /// Counts the server's resources.
    pub(crate) fn counts(&mut self) -> Counts {
        if self.tree.zombies().next().is_some() {
            // The reaping of a zombie generates no notification. If the refresh fails, the tree is counted as it was.
            let _ = self.tree.refresh();
        }
        let mut counts = Counts { zombies: self.tree.zombies().count(), ..Counts::default() };
        counts.processes = self.tree.processes.len() - counts.zombies;
        for (pid, threads) in self.tree.threads_by_process() {
            counts.threads += threads;
            counts.descriptors += count(pid);
        }
        counts
    }

    /// Whether the server has ever been seen with more than one thread, in one process or in several.
    pub(crate) const fn is_parallel(&self) -> bool {
        self.tree.parallel
    }

    /// Processor time of all the server's processes so far, in whole clock ticks.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks: u64 = self.tree.threads_by_process().filter_map(|(pid, _)| proc::stat(pid)?.ticks()).sum();
        Duration::from_secs(1) / ticks_per_second() * ticks as u32
    }

    /// How long the server's tasks have run so far, and how long they have waited for a processor.
    pub(super) fn scheduled(&self) -> Scheduled {
        self.tree.scheduled()
    }

    /// Reads all of the server's resources.
    pub(crate) fn residue(&mut self) -> Result<Resources, KernelError> {
        self.tree.refresh()?;
        let zombies: Vec<i32> = self.tree.zombies().collect();
        let processes = self.tree.threads_by_process().map(|(pid, threads)| (pid, held(pid, threads))).collect();
        Ok(Resources { processes, zombies })
    }

    /// Refreshes the tree, and checks again which processes have a signalfd ([`TaskTree::survey`](crate::linux::process::tasks::TaskTree::survey)).
    pub(crate) fn survey(&mut self) -> Result<(), KernelError> {
        self.tree.refresh()?;
        self.tree.survey();
        Ok(())
    }
}

/// How many descriptors a process has. Since Linux 6.2 this is the size of `/proc/PID/fd`. On older kernels the size is 0.
fn count(pid: i32) -> usize {
    let path = format!("/proc/{pid}/fd");
    match std::fs::metadata(&path).map_or(0, |m| m.len()) {
        0 => std::fs::read_dir(&path).map_or(0, Iterator::count),
        n => n as usize,
    }
}

fn held(pid: i32, threads: usize) -> Held {
    let mut descriptors = BTreeMap::new();
    for link in proc::descriptors(pid) {
        // The link of a socket or pipe contains its inode number, which is no part of its kind.
        let kind = match link.split_once(":[") {
            Some((kind @ ("socket" | "pipe"), _)) => kind.to_owned(),
            _ => link,
        };
        *descriptors.entry(kind).or_insert(0) += 1;
    }
    let stat = proc::stat(pid);
    let per_tick = Duration::from_secs(1) / ticks_per_second();
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096) as u64;
    Held {
        name: proc::name(pid),
        threads,
        descriptors,
        resident: stat.as_ref().and_then(proc::Stat::resident).unwrap_or(0) * page,
        processor: per_tick * stat.as_ref().and_then(proc::Stat::ticks).unwrap_or(0) as u32,
    }
}

fn ticks_per_second() -> u32 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as u32
}
