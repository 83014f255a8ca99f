//! Leak test: many thousand scenarios in one process leave no more descriptors, processes and memory than the first 1,000.

#[path = "common/workers.rs"]
mod workers;

use brokenpipe::{Kernel, Policy, Program, Random, Setup, Shape, Trace, play};
use std::fs;

/// The resources of this process.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    children: String,
}

fn held() -> Held {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let children = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    Held {
        descriptors: fs::read_dir("/proc/self/fd").expect("/proc").count(),
        // Zombies are listed among the children too.
        children: children.collect(),
    }
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The allowed difference between two readings of resident memory, in KiB. Readings differ even in a process that allocates nothing,
/// because the kernel counts in batches, one for each core.
const READING: u64 = 1024;

/// The number of scenarios, unless SOAK is set.
const SCENARIOS: u64 = 40_000;

#[test]
fn many_thousand_scenarios_leave_nothing_behind() {
    let scenarios = match std::env::var("SOAK") {
        Ok(count) => count.parse().unwrap_or_else(|_| panic!("SOAK is a number of scenarios, not {count:?}")),
        Err(_) => SCENARIOS,
    };
    let played = workers::divided(|part| soak(part.part(0..scenarios)));
    assert_eq!(played as u64, scenarios);
}

/// Plays these scenarios in this process, and returns how many there were.
fn soak(mut numbers: impl Iterator<Item = u64>) -> usize {
    let mut kernel = Kernel::new().expect("the kernel world");
    let mut trace = Trace::default();
    let setups: Vec<Setup> =
        Policy::ALL.iter().flat_map(|p| Program::presets().map(|program| Setup::new(program, *p))).collect();
    let random = Random::new(2, Shape { clients: 4, min_events: 2, max_events: 10, ..Shape::default() });
    let mut play_all = |numbers: &mut dyn Iterator<Item = u64>| {
        let mut count = 0;
        for k in numbers {
            // 20 consecutive scenarios have the same setup, so that servers are reused as they are in a hunt.
            let setup = &setups[(k / 20) as usize % setups.len()];
            play(&mut kernel, setup, random.scenario(k), &mut trace).expect("the kernel world");
            count += 1;
        }
        count
    };
    let first: Vec<u64> = numbers.by_ref().take(1_000).collect();
    play_all(&mut first.iter().copied());
    let (before, memory) = (held(), resident());
    let rest = play_all(&mut numbers);
    // The scenarios before the first measurement are played again, so that both measurements are made with a server of the same setup.
    play_all(&mut first.iter().copied());
    drop(trace);
    let after = held();
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.children.split_whitespace().count(), before.children.split_whitespace().count());
    assert!(resident() <= memory + READING, "{} KiB, and {memory} KiB after the first", resident());
    first.len() + rest
}
