//! How fast a target is hunted: the time from one scenario to the next on a warm server, with the bystander, the polite client afterwards
//! and all that is counted then.
//!
//!     cargo bench --bench target -- http 'SETUP' nginx -p {dir} -c {dir}/nginx.conf
//!
//! takes a protocol, a shell command that sets the server up, and the server's command. Without them there is nothing to measure.

use brokenpipe::{Event, HuntEvent, HuntOptions, Target};
use std::time::{Duration, Instant};

/// Scenarios to play, and the events of those that are timed.
const CASES: u64 = 10_000;
const EVENTS: usize = 8;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(protocol), Some(setup)) = (arguments.next(), arguments.next()) else {
        println!("nothing measured: see the head of benches/target.rs for what to say");
        return;
    };
    let protocol = protocol.parse().expect("a protocol");
    let target = Target::command(arguments).protocol(protocol).setup(setup);
    let how = HuntOptions::default().cases(CASES).max_events(EVENTS);
    let (mut last, mut times) = (Instant::now(), Vec::new());
    let report = target.hunt(&how, |event| {
        // What waits takes its time, and a block is many events.
        if let HuntEvent::Played(_, Some(scenario)) = event
            && scenario.played() == EVENTS
            && !scenario.events().iter().any(|event| matches!(event, Event::Wait(_)))
        {
            times.push(last.elapsed());
        }
        last = Instant::now();
    });
    let report = report.expect("a server that can be hunted");
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!(
        "{} scenarios of {EVENTS} events, of {} in all: median {:.0} µs, {:.0}/s; a tenth take more than {:.0} µs; {} servers started",
        times.len(),
        report.played,
        micros(median),
        1e6 / micros(median),
        micros(times.get(times.len() / 10 * 9).copied().unwrap_or_default()),
        report.started,
    );
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
