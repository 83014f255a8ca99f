//! Kills every process below a guardian, where no pid namespace does so.

use crate::linux::sys::proc::{children, stat, tids};
use crate::linux::sys::{pidfd_kill, pidfd_open, poll};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long one round of [`kill_below`] waits for the processes that it has killed to end.
const KILL_BOUND: Duration = Duration::from_secs(1);

/// Kills all processes below `guardian`, which adopts processes that lose their parent, and repeats until there are none.
pub(crate) fn kill_below(guardian: i32) {
    loop {
        let below = below(guardian);
        if below.is_empty() {
            return;
        }
        let held: Vec<OwnedFd> = below
            .into_iter()
            .filter_map(|pid| pidfd_open(pid).ok().map(|pidfd| (pid, pidfd)))
            // Between the listing and `pidfd_open` a pid may have been reused by an unrelated process. Once the pidfd is open that cannot
            // happen.
            .filter(|(pid, _)| descends(*pid, guardian))
            .map(|(_, pidfd)| pidfd)
            .collect();
        for pidfd in &held {
            let _ = pidfd_kill(pidfd.as_fd(), libc::SIGKILL);
        }
        // A killed process forks no more. The next round finds the processes that it forked before.
        let deadline = Instant::now() + KILL_BOUND;
        for pidfd in &held {
            let _ = poll([pidfd.as_fd()], deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// Every process below this one that has not ended.
pub(crate) fn below(guardian: i32) -> BTreeSet<i32> {
    let mut all = BTreeSet::new();
    let mut next = children(guardian, guardian);
    while let Some(pid) = next.pop() {
        let tids = tids(pid);
        // The guardian reaps processes that have ended; until then they have no children. A process of which only the first thread has
        // ended goes on.
        let ended = tids.len() <= 1 && stat(pid).is_none_or(|stat| stat.is_zombie());
        if !ended && all.insert(pid) {
            next.extend(tids.into_iter().flat_map(|tid| children(pid, tid)));
        }
    }
    all
}

/// Whether `pid` is a descendant of `ancestor`.
fn descends(pid: i32, ancestor: i32) -> bool {
    let mut at = pid;
    while at > 1 {
        let Some(parent) = stat(at).and_then(|stat| stat.parent()) else { return false };
        if parent == ancestor {
            return true;
        }
        at = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn only_what_descends_from_the_guardian_is_ended_with_it() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let pid = child.id() as i32;
        let own = nix::unistd::getpid().as_raw();
        assert!(descends(pid, own));
        assert!(!descends(own, pid) && !descends(pid, pid));
        // Nothing is known of a pid that no process has any more.
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!descends(pid, own));
    }
}
