//! One core for a worker and its servers: a gated call costs a wake-up of the other side, and that of a halted core costs more
//! than the call.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::Mutex;

/// How many workers of this process are on each core.
static WORKERS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The calling thread's stay on one core; dropped, the thread may go where it could before.
#[derive(Debug)]
pub(super) struct Pinned {
    core: usize,
    before: CpuSet,
}

impl Pinned {
    /// Pins the calling thread to the one of its cores that has the fewest workers. `None` where that is not allowed, which
    /// costs speed and nothing else.
    pub(super) fn here() -> Option<Pinned> {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).ok()?;
        let mut workers = WORKERS.lock().ok()?;
        workers.resize(CpuSet::count(), 0);
        let allowed = |core: &usize| before.is_set(*core).unwrap_or(false);
        // Among equals the one it runs on: other processes have workers too, and the scheduler knows of them.
        let here = nix::sched::sched_getcpu().ok();
        let core = (0..CpuSet::count()).filter(allowed).min_by_key(|core| (workers[*core], Some(*core) != here))?;
        let mut only = CpuSet::new();
        only.set(core).ok()?;
        sched_setaffinity(this, &only).ok()?;
        workers[core] += 1;
        Some(Pinned { core, before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
        if let Ok(mut workers) = WORKERS.lock() {
            workers[self.core] -= 1;
        }
    }
}
