//! What virtual time costs a server: its processor time for each request, with a clock that may jump and with one that keeps to real time, in turns.
//!
//!     cargo bench --bench clock -- http 'SETUP' nginx -p {dir} -c {dir}/nginx.conf
//!
//! takes what `target` takes. Without it there is nothing to measure. The server's processes are known by the name of its program: no other
//! such program may run meanwhile.

use brokenpipe::{Scenario, Target};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Requests of each run, which each have a connection of their own, and runs of each kind.
const REQUESTS: usize = 4_000;
const ROUNDS: usize = 5;
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
    let used = |real_time: bool| {
        let over = AtomicBool::new(false);
        let used = std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                let mut most = 0;
                while !over.load(Relaxed) {
                    most = most.max(processor_time(&program));
                    std::thread::sleep(READ_AGAIN);
                }
                most
            });
            target.clone().real_time(real_time).play(&scenario).expect("a run");
            over.store(true, Relaxed);
            reads.join().expect("the numbers")
        });
        used as f64 / REQUESTS as f64 / 1e3
    };
    let mut rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| [used(true), used(false)]).collect();
    rounds.sort_by(|a, b| (a[1] / a[0]).total_cmp(&(b[1] / b[0])));
    let ratio = |round: usize| rounds[round][1] / rounds[round][0];
    let [real, jumping] = rounds[ROUNDS / 2];
    println!(
        "{real:.1} µs of the server's processor time for each request in real time, {jumping:.1} µs where its clock may jump: ratio {:.3} ({:.3} to {:.3} in {ROUNDS} rounds)",
        ratio(ROUNDS / 2),
        ratio(0),
        ratio(ROUNDS - 1),
    );
}

/// How long all threads of all processes of this name have run, in nanoseconds (`/proc/PID/task/TID/schedstat`).
fn processor_time(name: &str) -> u64 {
    let within = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    let tasks = within(Path::new("/proc")).filter(|path| named(path)).flat_map(|path| within(&path.join("task")));
    let ran = |path: std::path::PathBuf| {
        fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse::<u64>().ok()
    };
    tasks.filter_map(ran).sum()
}
