//! Ends everything below a process, where no namespace does.

use crate::linux::sys::pidfd_kill;
use crate::linux::sys::poll;
use crate::linux::sys::proc::{children, stat, tids};
use crate::linux::sys::process::pidfd_open;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long one look at what is below a guardian waits for the ends of processes that were killed.
const KILL_BOUND: Duration = Duration::from_secs(1);

/// Kills all processes below this one, which adopts those that lose their parent, until there are none.
pub(crate) fn kill_below(guardian: i32) {
    loop {
        let below = below(guardian);
        if below.is_empty() {
            return;
        }
        let held: Vec<OwnedFd> = below
            .into_iter()
            .filter_map(|pid| pidfd_open(pid).ok().map(|pidfd| (pid, pidfd)))
            // A number may have become that of a process of somebody else's between the look and the pidfd, but not after the pidfd.
            .filter(|(pid, _)| descends(*pid, guardian))
            .map(|(_, pidfd)| pidfd)
            .collect();
        for pidfd in &held {
            let _ = pidfd_kill(pidfd.as_fd(), libc::SIGKILL);
        }
        // A killed process forks no more; those that were forked before are found in the next round.
        let deadline = Instant::now() + KILL_BOUND;
        for pidfd in &held {
            let _ = poll([pidfd.as_fd()], deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// Every process below this one.
pub(crate) fn below(guardian: i32) -> BTreeSet<i32> {
    let mut all = BTreeSet::new();
    let mut next = children(guardian, guardian);
    while let Some(pid) = next.pop() {
        let tids = tids(pid);
        // The guardian reaps those that have ended; until then they are nobody's parent. A process whose first thread alone has ended goes
        // on.
        let ended = tids.len() <= 1 && stat(pid).is_none_or(|stat| stat.is_zombie());
        if !ended && all.insert(pid) {
            next.extend(tids.into_iter().flat_map(|tid| children(pid, tid)));
        }
    }
    all
}

/// Whether a process has this one among those that it descends from.
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
        // Of a number that nobody has any more nothing is known.
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!descends(pid, own));
    }
}
