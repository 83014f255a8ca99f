//! What virtual time costs a server: its processor time for each request, with a clock that may jump and with one that keeps to real time, in turns.
//!
//!     cargo bench --bench clock -- http 'SETUP' nginx -p {dir} -c {dir}/nginx.conf
//!
//! takes what `target` takes. Without it there is nothing to measure. The server's processes are known by the name of its program: no other
//! such program may run meanwhile.

use brokenpipe::{Scenario, Target};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Requests of each run, which each have a connection of their own, and runs of each kind: many short ones, since what else the machine does
/// changes within seconds. The start of the server is part of a run.
const REQUESTS: usize = 2_000;
const ROUNDS: usize = 30;
/// The server ends with the run, so what it has used is read again and again until then, in the meantime.
const READ_AGAIN: Duration = Duration::from_millis(5);

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(protocol), Some(setup)) = (arguments.next(), arguments.next()) else {
        println!("nothing measured: see the head of benches/clock.rs for what to say");
        return;
    };
    let target = Target::command(arguments).protocol(protocol.parse().expect("a protocol")).setup(setup);
    let program = Path::new(&target.words()[0]).file_name().expect("a program").to_string_lossy().into_owned();
    let payload = target.payloads().into_iter().next().expect("a payload");
    let visit = format!("a connect; a send {payload}; a recv; a close");
    let scenario: Scenario = format!("repeat {REQUESTS} {{ {visit} }}").parse().expect("a scenario");
    let each = |real_time: bool| {
        let over = AtomicBool::new(false);
        let used = std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                // The server whose timeouts were learnt has ended before the one of the scenario starts.
                let (mut used, mut last) = (BTreeMap::new(), Vec::new());
                while !over.load(Relaxed) {
                    let now = processor_times(&program);
                    if !now.is_empty() {
                        last = now.keys().copied().collect();
                    }
                    used.extend(now);
                    std::thread::sleep(READ_AGAIN);
                }
                last.iter().filter_map(|pid: &u32| used.get(pid)).sum::<u64>()
            });
            target.clone().real_time(real_time).play(&scenario).expect("a run");
            over.store(true, Relaxed);
            reads.join().expect("the numbers")
        });
        used as f64 / REQUESTS as f64 / 1e3
    };
    let mut all = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // Each kind is as often the first as the second.
        for kind in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            all[kind].push(each(kind == 0));
        }
    }
    for runs in &mut all {
        runs.sort_by(f64::total_cmp);
    }
    let at = |part: usize| all.each_ref().map(|runs| runs[ROUNDS * part / 4]);
    let ratio = |[real, jumping]: [f64; 2]| jumping / real;
    let [real, jumping] = at(2);
    println!(
        "{real:.1} µs of the server's processor time for each request in real time, {jumping:.1} µs where its clock may jump, as medians of {ROUNDS} \
         runs: ratio {:.3}; of the quartiles {:.3} and {:.3}",
        ratio(at(2)),
        ratio(at(1)),
        ratio(at(3)),
    );
}

/// How long all threads of each process of this name have run, in nanoseconds (`/proc/PID/task/TID/schedstat`), by pid.
fn processor_times(name: &str) -> BTreeMap<u32, u64> {
    let within = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    let ran =
        |path: PathBuf| fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse::<u64>().ok();
    let processes = within(Path::new("/proc")).filter(|path| named(path));
    let time = |path: PathBuf| {
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        Some((pid, within(&path.join("task")).filter_map(ran).sum()))
    };
    processes.filter_map(time).collect()
}
