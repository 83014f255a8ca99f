//! Every way in which a server can wait, in virtual time: each wait ends when it should on the server's clock, all clocks agree on that, and
//! none of it takes the time.

use brokenpipe::{Call, HuntEvent, HuntOptions, Kind, Scenario, Target, Timeout};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The folder of the servers.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/virtual_time");

/// The ways to wait that `waits.c` knows. Each waits for 30 s.
const WAITS: [&str; 40] = [
    "nanosleep",
    "nanosleep-abs-monotonic",
    "nanosleep-abs-realtime",
    "nanosleep-boottime",
    "sleep",
    "usleep",
    "thrd_sleep",
    "poll-nothing",
    "poll",
    "ppoll",
    "select",
    "pselect",
    "epoll_wait",
    "epoll_pwait2",
    "sem_timedwait",
    "sem_clockwait",
    "cond_timedwait",
    "cond_clockwait",
    "futex",
    "mutex_timedlock",
    "recv-timeout",
    "read-timeout",
    "accept-timeout",
    "sigtimedwait",
    "timerfd",
    "timerfd-interval",
    "timerfd-read-late",
    "timerfd-absolute",
    "timerfd-epoll",
    "timerfd-shared",
    "alarm",
    "alarm-left",
    "setitimer",
    "timer_create",
    "timer_create-absolute",
    "timer_gettime",
    "timer_create-thread",
    // A second time, after all others.
    "nanosleep",
    "epoll_wait",
    "futex",
];

/// Those of them that end by a signal for the process, which its first thread gets.
const BY_SIGNAL: [&str; 7] = [
    "alarm",
    "alarm-left",
    "setitimer",
    "timer_create",
    "timer_create-absolute",
    "timer_gettime",
    "timer_create-thread",
];

/// Has the server wait in each way, and returns what it said of it: "ok", or what was wrong.
fn said(target: &Target, who: &str) -> Vec<(&'static str, String)> {
    let waits: Vec<&str> = WAITS.into_iter().filter(|how| who != "thread" || !BY_SIGNAL.contains(how)).collect();
    let asks: Vec<String> =
        waits.iter().map(|how| format!("a send \"{how} {who}\\n\"; wait 40000ms; a recv")).collect();
    let sent = sent(target, &asks);
    assert_eq!(sent.len(), waits.len(), "{sent:?}");
    waits.into_iter().zip(sent).collect()
}

/// What the server sends to a client that does this.
fn sent(target: &Target, events: &[String]) -> Vec<String> {
    let scenario: Scenario = format!("a connect; {}; a close", events.join("; ")).parse().expect("a scenario");
    let played = target.play(&scenario).expect("a run");
    assert_eq!(played.baseline.virtual_time, Ok(()));
    let calls = played.trace.steps().flat_map(|step| step.detailed().collect::<Vec<_>>());
    let sent = calls.filter(|(called, _)| called.call == Call::Other("send"));
    sent.filter_map(|(_, detail)| Some(String::from_utf8_lossy(detail?.data()).into_owned())).collect()
}

/// Compiles a server into a folder.
fn compiled(name: &str, flags: &[&str], folder: &Path) -> Target {
    let program = folder.join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"]).arg(&program);
    cc.arg(format!("{SOURCES}/{name}.c")).args(flags);
    assert!(cc.status().expect("a C compiler").success(), "{cc:?}");
    Target::command([program.to_str().expect("a path in UTF-8"), "{port}"])
}

fn all_are_right(who: &str, flags: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let target = compiled("waits", flags, folder.path());
    let start = Instant::now();
    let wrong: Vec<_> = said(&target, who).into_iter().filter(|(_, said)| said != "ok").collect();
    assert!(wrong.is_empty(), "{who}: {wrong:?}");
    // The waits take 1600 s on the server's clock.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(300), "{took:?}");
}

/// A test for each task that can wait, with the compiler's flags for the server.
macro_rules! all_waits {
    ($($name:ident: $who:literal $flags:expr;)*) => {
        $(#[test]
        fn $name() {
            all_are_right($who, &$flags);
        })*
    };
}

all_waits! {
    in_the_first_thread: "main" [];
    in_a_program_without_a_dynamic_linker: "main" ["-static"];
    in_another_thread: "thread" [];
    in_a_process_that_was_forked: "fork" [];
    in_a_program_that_was_executed: "exec" [];
    in_a_program_that_was_spawned: "vfork" [];
}

/// Only root can be another user.
#[test]
fn in_a_process_of_another_user() {
    if Path::new("/proc/self").metadata().is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        all_are_right("user", &[]);
    } else {
        eprintln!("SKIPPED: only root can start a process of another user");
    }
}

#[test]
fn threads_that_wake_one_another_wait_for_as_long_as_they_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = compiled("stress", &[], folder.path());
    let run = "a send \"10\\n\"; wait 13000ms; a recv".to_owned();
    assert_eq!(sent(&target, &[run.clone(), run]), ["ok", "ok"]);
}

/// The server of `idle.c`, whose timeout is an hour, with this fault.
fn idle(fault: &str, folder: &Path) -> Target {
    let target = compiled("idle", &[], folder);
    let words: Vec<String> = target.words().iter().cloned().chain(["3600".to_owned(), fault.to_owned()]).collect();
    Target::command(words).say(b"x\n")
}

/// Hunts it, and returns the kinds and the scenarios of what is found.
fn found(fault: &str) -> Vec<(Kind, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut found = Vec::new();
    let report = idle(fault, folder.path()).hunt(&HuntOptions::default().cases(150), |event| {
        if let HuntEvent::Found(finding) = event {
            found.push((finding.kind(), finding.scenario.to_string()));
        }
    });
    let report = report.expect("a hunt");
    let timeouts = report.baseline.expect("a baseline").timeouts;
    let hour = |timeout: &Timeout| timeout.time.as_secs_f64().round() == 3600.0;
    assert!(timeouts.iter().all(hour) && (fault == "forgets" || timeouts.len() == 3), "{timeouts:?}");
    found
}

#[test]
fn a_server_that_closes_silent_clients_after_an_hour_has_no_fault() {
    for none in ["none", "signal"] {
        assert_eq!(found(none), [], "{none}");
    }
}

#[test]
fn what_a_server_does_wrong_after_an_hour_is_found() {
    for (fault, kind, scenario) in [
        ("forgets", Kind::FdLeak, "wait 1h"),
        ("crashes", Kind::Crash, "a connect; a rst; wait 1h"),
        ("lingers", Kind::Unresponsive, "a connect; a vanish; wait 1h"),
        ("resets", Kind::RequestReset, "hold; a send 1; wait 10ms"),
        ("spins", Kind::Spin, "a connect; a rst; wait 1h"),
    ] {
        let found = found(fault);
        let as_expected = |(found, by): &(Kind, String)| *found == kind && by.ends_with(scenario);
        assert!(found.iter().any(as_expected), "{fault}: {found:?}");
        // What a client's kernel acknowledges a little later, a server that lingers does not wait for in virtual time.
        assert!(found.iter().all(|(kind, _)| *kind != Kind::ShutOut), "{fault}: {found:?}");
    }
}
