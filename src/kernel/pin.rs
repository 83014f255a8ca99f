//! One core for a worker and its servers: a gated call costs a wake-up of the other side, and that of a halted core costs more
//! than the call.
//!
//! All worlds of a process share that core. They are in one session, and a session whose tasks wake each other on two cores takes the
//! processor from everybody else ([`session`](super::session)). Who wants two worlds to run at once has two processes.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::Mutex;

/// The core of this process's worlds, and how many are there.
#[derive(Debug)]
struct Shared {
    core: usize,
    worlds: usize,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { core: 0, worlds: 0 });

/// The calling thread's stay on one core; dropped, the thread may go where it could before.
#[derive(Debug)]
pub(super) struct Pinned {
    before: CpuSet,
    /// Whether it is the core of all worlds: a thread that its owner keeps off that one stays on one of its own.
    shared: bool,
}

impl Pinned {
    /// Pins the calling thread to the core on which this process has worlds already; the first one stays where it is. `None` where that
    /// is not allowed, which costs speed and nothing else.
    pub(super) fn here() -> Option<Pinned> {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).ok()?;
        let allowed = |core: &usize| before.is_set(*core).unwrap_or(false);
        let mut all = SHARED.lock().ok()?;
        let shared = all.worlds == 0 || allowed(&all.core);
        let core = match all.worlds {
            1.. if shared => all.core,
            // Where it runs: other processes have worlds too, and the scheduler knows of them.
            _ => sched_getcpu().ok().filter(allowed).or_else(|| (0..CpuSet::count()).find(allowed))?,
        };
        let mut only = CpuSet::new();
        only.set(core).ok()?;
        sched_setaffinity(this, &only).ok()?;
        if shared {
            *all = Shared { core, worlds: all.worlds + 1 };
        }
        Some(Pinned { before, shared })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
        if self.shared
            && let Ok(mut all) = SHARED.lock()
        {
            all.worlds -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores_of_this_thread() -> Vec<usize> {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
        (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap()).collect()
    }

    #[test]
    fn worlds_on_two_threads_are_on_one_core_and_afterwards_where_they_were() {
        let before = cores_of_this_thread();
        let pinned = Pinned::here().unwrap();
        let one = cores_of_this_thread();
        let other = std::thread::spawn(|| {
            let _pinned = Pinned::here().unwrap();
            cores_of_this_thread()
        });
        assert_eq!(one.len(), 1);
        assert_eq!(other.join().unwrap(), one);
        drop(pinned);
        assert_eq!(cores_of_this_thread(), before);
    }
}
