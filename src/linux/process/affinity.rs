//! Pins a worker and its servers to one core. Each gated call wakes the other side, and to wake a task on a halted core costs more than the
//! call itself.
//!
//! All worlds of a session share one core, because a session whose tasks wake each other on two cores takes the processor from all other
//! processes ([`session`](crate::linux::process::session)). Worlds that are to run in parallel belong in sessions of their own. The core is
//! chosen as follows:
//! - A process that leads a session is alone there with its servers. Its first world stays where the scheduler has put it, because the
//!   scheduler knows what other processes do. Worlds on other threads of the process move to the same core.
//! - Any other process, such as that of a test, may be one of several in its session that know nothing of each other. The core is computed
//!   from the session's id.

use crate::linux::process::session;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::{Pid, getsid};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The time that a session has run on a core still counts for the session there for at most about this long. Worlds that begin within this
/// time after the last one ended go to the same core.
const COUNTS: Duration = Duration::from_secs(1);

/// The core that this process's worlds share, and how many worlds run there.
#[derive(Debug)]
struct Shared {
    core: usize,
    worlds: usize,
    /// When the last world left the core.
    left: Option<Instant>,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { core: 0, worlds: 0, left: None });

/// Keeps the calling thread on one core. Dropping it lets the thread run again where it could run before.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
    /// Whether this is the core that all worlds share. A thread that may not run on that core is pinned to another one.
    shared: bool,
}

impl Pinned {
    /// Pins the calling thread to the core of this process's worlds. `None` where that is not allowed, and then only speed is lost.
    pub(crate) fn here() -> Option<Pinned> {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).ok()?;
        let allowed: Vec<usize> = (0..CpuSet::count()).filter(|core| before.is_set(*core).unwrap_or(false)).collect();
        let mut all = SHARED.lock().ok()?;
        let shared = all.worlds == 0 || allowed.contains(&all.core);
        let is_kept = all.worlds > 0 || all.left.is_some_and(|left| left.elapsed() < COUNTS);
        let core = if is_kept && allowed.contains(&all.core) { all.core } else { choose(&allowed)? };
        let mut only = CpuSet::new();
        only.set(core).ok()?;
        sched_setaffinity(this, &only).ok()?;
        if shared {
            *all = Shared { core, worlds: all.worlds + 1, left: None };
        }
        Some(Pinned { before, shared })
    }
}

/// Chooses one of these cores for the first world of this process.
fn choose(allowed: &[usize]) -> Option<usize> {
    let here = || sched_getcpu().ok().filter(|core| allowed.contains(core));
    let of_session = || {
        let session = getsid(None).map_or(0, Pid::as_raw);
        allowed.get(session as usize % allowed.len().max(1)).copied()
    };
    if session::is_led() { here().or_else(of_session) } else { of_session() }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
        if self.shared
            && let Ok(mut all) = SHARED.lock()
        {
            all.worlds -= 1;
            all.left = Some(Instant::now());
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

    #[test]
    fn every_process_of_a_session_that_it_does_not_lead_has_the_same_core() {
        if session::is_led() {
            return;
        }
        let cores: Vec<usize> = (4..9).collect();
        let session = getsid(None).unwrap().as_raw() as usize;
        assert_eq!(choose(&cores), Some(4 + session % 5));
    }
}
