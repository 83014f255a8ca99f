//! What a scenario does to a server apart from its clients: it limits the server's descriptors (`getrlimit(2)`), so that the kernel itself
//! returns errors, and sends signals (`signal(7)`). Injected errors are in [`injection`](super::injection).

use super::server::Lowered;
use crate::linux::clock::blocked_call::call_of;
use crate::linux::error::KernelError;
use crate::linux::foreign::server::Server;
use crate::linux::sys::pidfd_kill;
use crate::linux::sys::process::limit_descriptors;
use crate::linux::sys::signals;
use crate::scenario::{Errno, HarmlessSignal};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;

const DOING: &str = "limit the server's descriptors";
/// The error of an operation on a process that has ended.
const GONE: Errno = Errno::ESRCH;

impl Server {
    /// Whether the harness has limited the descriptors of the server's processes.
    pub(crate) const fn is_limited(&self) -> bool {
        self.lowered.is_some()
    }

    /// Lowers the soft limit of each of the server's processes to the descriptors that it has open. False if that is not permitted.
    ///
    /// The limit bounds the number of a new descriptor, not the count of descriptors, so it is set to the lowest free number. It is never
    /// below the length of a list that the process polls: `poll(2)` would refuse that list with EINVAL, and a process that had this limit
    /// from its start never sees that error.
    pub(crate) fn limit_descriptors(&mut self) -> Result<bool, KernelError> {
        self.tree.refresh()?;
        let mut before = BTreeMap::new();
        let pids: Vec<i32> = self.tree.threads_by_process().map(|(pid, _)| pid).collect();
        for pid in pids {
            match limit_descriptors(pid, Some(lowest_free(pid).max(polled(pid)))) {
                Ok(old) => drop(before.insert(pid, old.rlim_cur)),
                Err(GONE) => {}
                Err(Errno::EPERM | Errno::EACCES) => {
                    lift(&before);
                    return Ok(false);
                }
                Err(errno) => return Err(KernelError::call(DOING, "prlimit")(errno)),
            }
        }
        self.lowered = Some(Lowered(before));
        Ok(true)
    }

    /// Restores the soft limits of the server's processes. Processes that were created meanwhile get the highest of the original soft
    /// limits.
    pub(crate) fn lift_limits(&mut self) -> Result<(), KernelError> {
        let Some(Lowered(mut before)) = self.lowered.take() else { return Ok(()) };
        self.tree.refresh()?;
        let others = before.values().copied().max().unwrap_or(libc::RLIM_INFINITY);
        for (pid, _) in self.tree.threads_by_process() {
            before.entry(pid).or_insert(others);
        }
        lift(&before);
        Ok(())
    }

    /// Whether the server's descriptors are limited and a call of this process that creates a descriptor would fail with EMFILE. This is
    /// known before the call is made, because the kernel allocates the descriptor before anything else (`__sys_accept4`).
    pub(super) fn lacks_descriptors(&self, pid: i32) -> bool {
        self.is_limited() && limit_descriptors(pid, None).is_ok_and(|limit| lowest_free(pid) >= limit.rlim_cur)
    }

    /// Sends a signal to each process of the server that has a handler for it. False if there is none.
    pub(crate) fn send_to_handlers(&mut self, signal: HarmlessSignal) -> Result<bool, KernelError> {
        self.tree.refresh()?;
        let mut any = false;
        for (pid, process) in &self.tree.processes {
            if signals::handles(*pid, signal.raw()) {
                any |= pidfd_kill(process.pidfd.as_fd(), signal.raw()).is_ok();
            }
        }
        self.signals_due |= any;
        Ok(any)
    }
}

/// Sets the soft limits of these processes. Errors are ignored: the process has ended.
fn lift(limits: &BTreeMap<i32, u64>) {
    for (pid, soft) in limits {
        let _ = limit_descriptors(*pid, Some(*soft));
    }
}

/// The lowest free descriptor number of a process.
fn lowest_free(pid: i32) -> u64 {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open: BTreeSet<u64> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    first_missing(&open)
}

/// The lowest number that is not in a set.
fn first_missing(set: &BTreeSet<u64>) -> u64 {
    set.iter().zip(0..).find(|(have, n)| *have != n).map_or(set.len() as u64, |(_, n)| n)
}

/// The length of the longest list on which a thread of a process is blocked in `poll` or `ppoll`; 0 if there is none.
fn polled(pid: i32) -> u64 {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let tids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let length = |(number, arguments): (libc::c_long, [u64; 6])| match number {
        libc::SYS_ppoll => Some(arguments[1]),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => Some(arguments[1]),
        _ => None,
    };
    tids.filter_map(|tid| length(call_of(pid, tid)?)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_number_that_is_free_is_before_any_gap() {
        let first = |numbers: &[u64]| first_missing(&numbers.iter().copied().collect());
        assert_eq!([first(&[]), first(&[1, 2]), first(&[0, 1, 2]), first(&[0, 1, 4, 5])], [0, 0, 3, 2]);
    }
}
