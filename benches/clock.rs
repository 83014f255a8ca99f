//! What virtual time costs a server: the processor time of the server for each request, with a clock that may jump and with one that keeps to real
//! time, in turns.
//!
//!     cargo bench --bench clock -- http 'SETUP' nginx -p {dir} -c {dir}/nginx.conf
//!
//! takes what `target` takes. Without it there is nothing to measure.

use brokenpipe::{Scenario, Target};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Requests of each run, which each have a connection of their own, and runs of each kind.
const REQUESTS: usize = 10_000;
const ROUNDS: usize = 7;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(protocol), Some(setup)) = (arguments.next(), arguments.next()) else {
        println!("nothing measured: see the head of benches/clock.rs for what to say");
        return;
    };
    let target = Target::command(arguments).protocol(protocol.parse().expect("a protocol")).setup(setup);
    let payload = target.payloads().into_iter().next().expect("a payload");
    let visit = format!("a connect; a send {payload}; a recv; a close");
    let scenario: Scenario = format!("repeat {REQUESTS} {{ {visit} }}").parse().expect("a scenario");
    // The processor time of a server is counted when it has ended: all that it has used.
    let used = |real_time| {
        let before = processor_time();
        target.clone().real_time(real_time).play(&scenario).expect("a run");
        (processor_time() - before) / REQUESTS as f64
    };
    let mut rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| [used(true), used(false)]).collect();
    rounds.sort_by(|a, b| (a[1] / a[0]).total_cmp(&(b[1] / b[0])));
    let [real, jumping] = rounds[ROUNDS / 2];
    println!(
        "{real:.1} µs of processor time for each request in real time, {jumping:.1} µs where the clock may jump: ratio {:.3} ({:.3} to {:.3} in {ROUNDS} rounds)",
        jumping / real,
        rounds[0][1] / rounds[0][0],
        rounds[ROUNDS - 1][1] / rounds[ROUNDS - 1][0],
    );
}

/// That of all processes that have ended, in microseconds.
fn processor_time() -> f64 {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    (used.user_time() + used.system_time()).num_microseconds() as f64
}
