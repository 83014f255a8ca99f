//! Counts the resources of a server: processes, threads, descriptors, memory, processor time. The difference between two counts is what a
//! run has left behind.

use crate::linux::error::KernelError;
use crate::linux::foreign::server::Server;
use crate::linux::sys::proc;
use crate::linux::sys::proc::Scheduled;
use std::time::Duration;

/// The resources of an idle server at one moment. If these counts are the same as before, nothing that they cover was left behind.
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

    /// The resident memory of all the server's processes, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096) as u64;
        let pages = self.tree.threads_by_process().filter_map(|(pid, _)| proc::stat(pid)?.resident());
        pages.sum::<u64>() * page
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

fn ticks_per_second() -> u32 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as u32
}
