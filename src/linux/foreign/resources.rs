//! What a server has: processes, threads, descriptors, memory, processor time. Counted now and later, it is what was left behind.

use crate::linux::error::KernelError;
use crate::linux::foreign::server::Server;
use crate::linux::sys::proc;
use crate::linux::sys::proc::Scheduled;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a server has at one moment, at which it is quiet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Residue {
    /// Processes that have not ended, by number.
    pub(crate) processes: BTreeMap<i32, Held>,
    /// Processes that have ended and are not reaped.
    pub(crate) zombies: Vec<i32>,
}

/// What one process has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) threads: usize,
    /// Descriptors by what they are: `socket`, `pipe`, `anon_inode:[eventpoll]`, or a path.
    pub(crate) descriptors: BTreeMap<String, usize>,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
    /// Processor time so far.
    pub(crate) processor: Duration,
}

/// The cheap part of a [`Residue`]: three counts. Where they are as before, nothing was left that could be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) processes: usize,
    pub(crate) zombies: usize,
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
}

impl Counts {
    /// Whether there is much more of something than there was.
    pub(crate) const fn exceed(&self, before: &Counts, much: usize) -> bool {
        self.processes > before.processes + much
            || self.zombies > before.zombies + much
            || self.threads > before.threads + much
            || self.descriptors > before.descriptors + much
    }
}

impl Server {
    /// Counts what it has.
    pub(crate) fn counts(&mut self) -> Counts {
        if self.tree.zombies().next().is_some() {
            // Nothing tells when one is reaped. A tree that cannot be looked at is counted as it was.
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

    /// Whether it has ever been seen with more than one thread, in one process or several.
    pub(crate) const fn is_parallel(&self) -> bool {
        self.tree.parallel
    }

    /// Processor time of all its processes so far, to a clock tick.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks: u64 = self.tree.threads_by_process().filter_map(|(pid, _)| proc::stat(pid)?.ticks()).sum();
        Duration::from_secs(1) / ticks_per_second() * ticks as u32
    }

    /// What its tasks have been given of the processors so far.
    pub(super) fn scheduled(&self) -> Scheduled {
        self.tree.scheduled()
    }

    /// Looks at all that it has.
    pub(crate) fn residue(&mut self) -> Result<Residue, KernelError> {
        self.tree.refresh()?;
        let zombies: Vec<i32> = self.tree.zombies().collect();
        let processes = self.tree.threads_by_process().map(|(pid, threads)| (pid, held(pid, threads))).collect();
        Ok(Residue { processes, zombies })
    }

    /// Asks once more what it has that tells of signals.
    pub(crate) fn survey(&mut self) -> Result<(), KernelError> {
        self.tree.refresh()?;
        self.tree.survey();
        Ok(())
    }
}

/// How many descriptors a process has. Since Linux 6.2 it is the size of the folder.
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
        // Sockets and pipes have a number each, which says nothing.
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
