//! Small healthy servers, which differ in how they wait and how they manage processes, connections and signals. A hunt reports nothing
//! about any of them: no finding, no warning, no flaky result. Servers of which a warning is true are the exception: a hunt reports
//! exactly that. `servers.rs` lists the servers; each file in `servers` says why brokenpipe might misjudge its server.
//!
//! Each is tested twice:
//!
//! - `plain` checks without brokenpipe that the server is healthy: otherwise a report in `hunt` could be true;
//! - `hunt` lets brokenpipe hunt it.
//!
//! `cargo test --test healthy hunt-waits-timerfd` runs one of these tests. Two environment variables have an effect:
//! - `HEALTHY_CASES`: the number of scenarios for each server.
//! - `CI`: if it is set, a missing compiler or interpreter is a failure. Otherwise servers that need it are skipped, and the summary
//!   lists them.

#[path = "../common/binary.rs"]
mod binary;
mod build;
#[path = "../common/compile.rs"]
mod compile;
#[path = "../common/hosts.rs"]
mod hosts;
#[path = "../common/order.rs"]
mod order;
mod plain;
#[path = "../common/run.rs"]
mod run;
mod rust;
#[path = "../common/scene.rs"]
mod scene;
mod servers;
mod tally;
#[path = "../common/tokio_server.rs"]
mod tokio_server;
mod tools;

use build::Built;
use hosts::Test;
use libtest_mimic::Failed;
use scene::Scene;
use servers::{Expected, SERVERS, Server};
use std::process::ExitCode;
use std::time::Instant;
use tally::Tally;

/// The number of scenarios for each server, unless HEALTHY_CASES is set. All orders that are known to harm servers are among the first
/// hundred. A thousand scenarios, the default of a hunt, take about twenty minutes.
const SCENARIOS: u32 = 100;
/// The servers with the slowest scenarios, because of their many threads, processes or alarms, and the number of scenarios for each of these.
const SLOW: [&str; 6] = [
    "stack-java-http",
    "stack-go-http",
    "lives-600-threads",
    "lives-proxy-backlog",
    "signals-sigalrm",
    "signals-sigalrm-before-5.19",
];
const SLOW_SCENARIOS: u32 = 40;
/// How many trials run at a time on each core: for most of its time a hunt only waits for a server's timeouts.
const AT_A_TIME: usize = 4;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // This program is the servers in Rust too: no other program is built with every test runner.
    if let [word, port] = &words[..]
        && let Some(served) = rust::serve(word, port)
    {
        eprintln!("{word}: {served:?}");
        return ExitCode::FAILURE;
    }
    // The slow servers are last in the list, and are tested first.
    let tests = SERVERS.iter().rev().flat_map(|server| {
        let hunt = move || with(server, |built, scene| is_healthy(server, built, scene));
        let plain = move || with(server, |built, scene| plain::lives(server, built, scene));
        [
            Test::new(format!("hunt-{}", server.name), server.name, hunt),
            Test::new(format!("plain-{}", server.name), server.name, plain),
        ]
    });
    hosts::run(tests.collect(), AT_A_TIME, || Tally::get().to_string())
}

/// Builds a server and runs a test with it, if the machine has the tools to build it.
fn with(server: &Server, test: impl Fn(&Built, &Scene) -> Result<(), Failed>) -> Result<(), Failed> {
    if let Some(missing) = tools::missing(server) {
        return match std::env::var_os("CI") {
            Some(_) => Err(missing.into()),
            None => {
                Tally::get().skipped(server.name, missing);
                Ok(())
            }
        };
    }
    let scene = Scene::new();
    test(&build::build(server, scene.path()), &scene)
}

/// Checks that the hunt of a server reports what is expected: nothing, or warnings that are true.
fn is_healthy(server: &Server, built: &Built, scene: &Scene) -> Result<(), Failed> {
    let cases = scenarios(server);
    let count = cases.to_string();
    let mut args = vec!["hunt", "--seed", "1", "--format", "json", "--cases", &count];
    args.extend(built.options.iter().map(String::as_str));
    args.push("--");
    args.extend(built.command.iter().map(String::as_str));
    let start = Instant::now();
    let said = run::run_in(scene, server.environment, &args, run::HUNG)?;
    Tally::get().hunted(server.name, start.elapsed());
    match server.expected {
        Expected::Nothing => run::nothing_found(&said, cases),
        Expected::Warning(kind) => is_warned_of(kind, &said, cases),
    }
}

fn scenarios(server: &Server) -> u32 {
    match std::env::var("HEALTHY_CASES") {
        Ok(count) => count.parse().unwrap_or_else(|_| panic!("HEALTHY_CASES is a number, not {count:?}")),
        Err(_) if SLOW.contains(&server.name) => SLOW_SCENARIOS,
        Err(_) => SCENARIOS,
    }
}

/// Checks that only warnings of this kind are reported.
fn is_warned_of(kind: &str, said: &run::Said, scenarios: u32) -> Result<(), Failed> {
    let last = said.err.lines().last().unwrap_or_default();
    let kind = format!("\"kind\":\"{kind}\"");
    let played = last.starts_with(&format!("{scenarios} scenarios, 0 findings"));
    if said.code == Some(0) && played && !said.out.is_empty() && said.out.lines().all(|line| line.contains(&kind)) {
        return Ok(());
    }
    Err(run::wrong(format!("a warning of {kind} is expected, and nothing else"), said))
}
