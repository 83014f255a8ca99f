//! The processes and threads of a server, from `/proc`: their states, and whether all of them are idle.

use crate::binary::{BOUND, LOOK_AGAIN};
use crate::scene::numbers;
use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The processor time after which a server counts as spinning. No honest server needs this much for a single event.
const SPINNING: Duration = Duration::from_millis(100);

/// A thread at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) state: char,
    /// How often it was scheduled.
    turns: u64,
    /// Its run time.
    ran: Duration,
}

/// All threads of a process and of its descendants, by process and thread.
pub(crate) type Tasks = BTreeMap<(u32, u32), Task>;

/// How waiting for a server to become idle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Asleep,
    Spins,
}

/// The threads of this process and of its descendants. Threads that end during the walk are left out.
pub(crate) fn tasks(process: u32) -> Tasks {
    let mut found = Tasks::new();
    let mut left = vec![process];
    while let Some(pid) = left.pop() {
        for tid in numbers(&format!("/proc/{pid}/task")) {
            let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
            let (Some(stat), Some(turns), Some(children)) = (read("stat"), read("schedstat"), read("children")) else {
                continue;
            };
            left.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            // A thread that is about to sleep, or that checks whether it must (`do_wait`), can be preempted in state S while it is
            // runnable.
            let runs = || read("syscall").is_some_and(|call| call.starts_with("running"));
            let state = if state == Some('S') && runs() { Some('R') } else { state };
            let turns: Vec<u64> = turns.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            if let (Some(state), [ran, _, turns]) = (state, &turns[..]) {
                found.insert((pid, tid), Task { state, turns: *turns, ran: Duration::from_nanos(*ran) });
            }
        }
    }
    found
}

/// Waits until no thread of this server runs or is about to be woken: in two consecutive readings all threads sleep, and none has run in
/// between. Before the first of the two readings no segment may have been in flight.
pub(crate) fn settle(process: u32) -> Settled {
    // Sleeping, a zombie, or stopped.
    let rests = |task: &Task| matches!(task.state, 'S' | 'Z' | 'T');
    let ran = |tasks: &Tasks| tasks.values().map(|task| task.ran).sum::<Duration>();
    let start = Instant::now();
    let mut arrived = !are_segments_put_off();
    let mut before = tasks(process);
    let ran_before = ran(&before);
    loop {
        let arrives = !are_segments_put_off();
        let now = tasks(process);
        if arrived && now == before && now.values().all(rests) {
            return Settled::Asleep;
        }
        arrived = arrives;
        if ran(&now).saturating_sub(ran_before) > SPINNING {
            return Settled::Spins;
        }
        assert!(start.elapsed() < BOUND, "{process} has not settled after {BOUND:?}: {now:?}");
        std::thread::sleep(LOOK_AGAIN);
        before = now;
    }
}

/// Whether a segment may be in flight. On loopback a segment has arrived when the call that sent it returns. But on a busy core delivery
/// is left to that core's `ksoftirqd`, which then does not sleep (`handle_softirqs` in `kernel/softirq.c`). In a pid namespace these
/// threads are not visible; then the answer is false.
fn are_segments_put_off() -> bool {
    static KSOFTIRQD: LazyLock<Vec<u32>> = LazyLock::new(|| {
        let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        numbers("/proc").into_iter().filter(|pid| name(pid).starts_with("ksoftirqd/")).collect()
    });
    KSOFTIRQD.iter().any(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('S'))
    })
}

/// The resident memory of a process, in KiB.
pub(crate) fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
