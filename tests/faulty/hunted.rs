//! Hunts of the faulty servers: brokenpipe must find each fault, and nothing in honest servers.

use crate::binary::{BOUND, LOOK_AGAIN, Process};
use crate::build::{Built, misbehaving, misbehaving_with};
use crate::run::{end, nothing_found, run, start, wrong};
use crate::scene::Scene;
use crate::table::{Counts, Faulty, SHAPES};
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// The processor time within which each fault must be found.
const FOUND: Duration = Duration::from_secs(20);
/// The number of scenarios for servers in which nothing is to be found.
const SCENARIOS: u32 = 120;
/// The maximum size of the file with a server's output, in bytes.
const OUTPUT: u64 = 64 << 20;

/// `brokenpipe hunt`, with the same seed each time.
fn hunt<'a>(built: &'a Built, options: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["hunt", "--seed", "1", "--format", "json", "--protocol", built.protocol.name()];
    args.extend(options);
    args.push("--");
    args.extend(built.command.iter().map(String::as_str));
    args.push("{port}");
    args
}

/// Checks that the hunt finds the fault of a server and nothing else, and that its case replays.
pub(crate) fn is_found(faulty: &Faulty) -> Result<(), Failed> {
    let scene = Scene::new();
    let built = faulty.with_fault(scene.path());
    // A warning does not end a hunt with `--first`, and its exit code is 0.
    let warning = faulty.counts != Counts::Finding;
    let options: &[&str] = if warning { &["--cases", "100"] } else { &["--first"] };
    let said = run(&scene, &hunt(&built, options), FOUND)?;
    let code = if warning { 0 } else { 1 };
    if said.code != Some(code) {
        return Err(wrong(format!("the code is {:?}, not {code}", said.code), &said));
    }
    let found: Vec<Value> = said.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut true_ones: BTreeSet<&str> = faulty.also.iter().copied().collect();
    true_ones.insert(faulty.finding);
    if let Some(other) = found.iter().find(|of| !of["kind"].as_str().is_some_and(|kind| true_ones.contains(kind))) {
        return Err(wrong(format!("{} is not what is wrong with it", other["kind"]), &said));
    }
    let finding = found.iter().find(|of| of["kind"] == faulty.finding && of["confirmed"] == of["of"]);
    let finding = finding.ok_or_else(|| wrong(format!("no confirmed {}", faulty.finding), &said))?;
    if faulty.process.is_some_and(|process| finding["process"] != process) {
        return Err(wrong(format!("it was the {:?} process", faulty.process), &said));
    }
    let injected = faulty.counts == Counts::InjectedWarning;
    let severity = if warning { "warning" } else { "finding" };
    if finding["severity"] != severity || finding["warning"] != warning || finding["injected"] != injected {
        return Err(wrong(format!("it is no {severity}, or injected is not {injected}"), &said));
    }
    if finding["evidence"].as_str().is_none_or(str::is_empty) {
        return Err(wrong("no evidence", &said));
    }
    let scenario = finding["scenario"].as_str().unwrap_or_default();
    // A fault that is found without the gate is a race. The minimiser keeps what reproduces on every server, and which order does so depends
    // on what else the machine is doing.
    if faulty.gate && events(scenario) > events(faulty.order) {
        return Err(wrong(format!("`{scenario}` is longer than `{}`, which shows it too", faulty.order), &said));
    }
    // In a block it comes more than once.
    let is_descriptor = matches!(faulty.finding, "fd-leak" | "close-wait-leak") && !scenario.contains("repeat");
    if is_descriptor
        && !finding["evidence"].as_str().is_some_and(|evidence| evidence.contains("is there since `a connect`"))
    {
        return Err(wrong("it is not said since which event the descriptor is there", &said));
    }
    let case = finding["case"].as_str().ok_or_else(|| wrong("no case", &said))?;
    let text = fs::read_to_string(scene.path().join(case))?;
    if !text.starts_with("brokenpipe case 1\n") || !text.contains(&format!("\nexpect: {}", faulty.finding)) {
        return Err(wrong(format!("the case says\n{text}"), &said));
    }
    if finding["gate"] != faulty.gate || text.contains("\noptions: no-gate\n") == faulty.gate {
        let how = if faulty.gate { "with the gate" } else { "without it" };
        return Err(wrong(format!("it is to be found {how}, and the case says\n{text}"), &said));
    }
    let replay = run(&scene, &["replay", case], FOUND)?;
    if replay.code != Some(0) { Err(wrong(format!("the replay gives {:?}", replay.code), &replay)) } else { Ok(()) }
}

/// Checks that the hunt finds two faults of one kind in one server, and reports the one that needs an injected error as a warning.
pub(crate) fn both_are_found() -> Result<(), Failed> {
    let scene = Scene::new();
    let built = misbehaving("masked-exit", scene.path());
    let said = run(&scene, &hunt(&built, &["--cases", "100"]), FOUND)?;
    let found: Vec<Value> = said.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
    let told = found.iter().map(|of| ["kind", "severity", "call", "state"].map(|field| text(of, field)).join(" "));
    let told: BTreeSet<String> = told.collect();
    // A connection can fail in a send as well as in a recv.
    let expected = ["exit finding recv CLOSE", "exit finding send CLOSE", "exit warning accept LISTEN"];
    let as_expected = said.code == Some(1) && told == BTreeSet::from(expected.map(str::to_owned));
    if as_expected { Ok(()) } else { Err(wrong(format!("{told:?}"), &said)) }
}

/// Checks that a conversation that is recorded of a client leads to a fault that shows only after a login, and to nothing in the honest server.
pub(crate) fn conversation_is_found(fault: bool) -> Result<(), Failed> {
    let scene = Scene::new();
    let flags = if fault { &["-DFAULT=1"][..] } else { &[] };
    let built = misbehaving_with("login", flags.iter().copied(), scene.path());
    // The server listens here before the recorder connects to it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    let mut shell = std::process::Command::new("sh");
    let script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\" 3<&0 </dev/null";
    shell.args(["-c", script, "sh"]).args(&built.command).current_dir(scene.path());
    let mut server = crate::run::spawn(shell.stdin(std::os::fd::OwnedFd::from(listener)));
    let client = "import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
f = s.makefile('rw', newline='')
for said in ['USER me', 'PASS secret', 'QUIT']:
    f.readline()
    f.write(said + '\\r\\n')
    f.flush()
f.readline()";
    let record = ["record", "--port", &port, "--out", "login.dialogue", "--", "python3", "-c", client, "{port}"];
    let recorded = crate::binary::brokenpipe().args(record).current_dir(scene.path()).output();
    let killed = server.kill();
    server.wait()?;
    let recorded = killed.and(recorded)?;
    let dialogue = fs::read_to_string(scene.path().join("login.dialogue")).unwrap_or_default();
    let turns: Vec<&str> = dialogue.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = [
        "expect \"220\"",
        "send \"USER me\\r\\n\"",
        "expect \"331\"",
        "send \"PASS secret\\r\\n\"",
        "expect \"230\"",
        "send \"QUIT\\r\\n\"",
        "expect \"221\"",
    ];
    if !recorded.status.success() || turns != expected {
        return Err(format!("the dialogue is\n{dialogue}\n{recorded:?}").into());
    }
    let built = Built { protocol: crate::table::Protocol::None, ..built };
    let cases = SCENARIOS.to_string();
    let said = run(&scene, &hunt(&built, &["--dialogue", "login.dialogue", "--cases", &cases]), FOUND)?;
    if !fault {
        return nothing_found(&said, SCENARIOS);
    }
    let found: Vec<Value> = said.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let crash = found.iter().find(|of| of["kind"] == "crash" && of["confirmed"] == of["of"]);
    let crash = crash.filter(|of| of["scenario"].as_str().is_some_and(|scenario| scenario.contains("PASS")));
    let case = crash.and_then(|of| of["case"].as_str()).ok_or_else(|| wrong("no crash after a login", &said))?;
    let replay = run(&scene, &["replay", case], FOUND)?;
    if replay.code == Some(0) { Ok(()) } else { Err(wrong("the case does not replay", &replay)) }
}

/// Checks that what takes several sends leads to a fault that nothing shorter shows, and to nothing in the honest server.
pub(crate) fn upload_is_found(fault: bool) -> Result<(), Failed> {
    let scene = Scene::new();
    let flags = if fault { &["-DFAULT=1"][..] } else { &[] };
    let built = misbehaving_with("upload", flags.iter().copied(), scene.path());
    let built = Built { protocol: crate::table::Protocol::None, ..built };
    let line = format!("{}\n", "x".repeat(40));
    fs::write(scene.path().join("lines"), ["UPLOAD1\n", &line.repeat(5_000)].concat())?;
    if !fault {
        let cases = SCENARIOS.to_string();
        let said = run(&scene, &hunt(&built, &["--say-file", "lines", "--cases", &cases]), FOUND)?;
        return nothing_found(&said, SCENARIOS);
    }
    let said = run(&scene, &hunt(&built, &["--say-file", "lines", "--first"]), FOUND)?;
    let found: Vec<Value> = said.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let crash = found.iter().find(|of| of["kind"] == "crash" && of["confirmed"] == of["of"]);
    let crash = crash.filter(|of| of["scenario"].as_str().is_some_and(|scenario| scenario.contains("UPLOAD1")));
    let case = crash.and_then(|of| of["case"].as_str()).ok_or_else(|| wrong("no crash in an upload", &said))?;
    let replay = run(&scene, &["replay", case], FOUND)?;
    if replay.code == Some(0) { Ok(()) } else { Err(wrong("the case does not replay", &replay)) }
}

/// How many events an order has. The events of a block count once.
fn events(order: &str) -> usize {
    let words = order.split([';', '{', '}']).map(str::trim);
    words.filter(|word| !word.is_empty() && !word.starts_with("repeat")).count()
}

/// Checks that the hunt finds nothing in an honest server.
pub(crate) fn nothing_is_found(build: impl Fn(&std::path::Path) -> Built) -> Result<(), Failed> {
    let scene = Scene::new();
    let built = build(scene.path());
    let said = run(&scene, &hunt(&built, &["--cases", &SCENARIOS.to_string()]), BOUND)?;
    nothing_found(&said, SCENARIOS)
}

/// The expected outcome of a hunt of a misbehaving server.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Nothing is found.
    Well,
    /// The server cannot be hunted, and the error message has this text.
    Refused(&'static str),
}

use Outcome::{Refused, Well};

const MISBEHAVING: [(&str, Outcome); 11] = [
    ("ignores-signals", Well),
    ("listens-late", Well),
    ("waits-for-ages", Well),
    ("logs-like-a-crash", Well),
    ("grows-to-its-limit", Well),
    ("collects-late", Well),
    ("writes-gigabytes", Well),
    ("daemon", Well),
    ("fork-bomb", Refused("did not listen on a TCP port within 3 s")),
    ("never-listens", Refused("waits for good")),
    ("dies-at-once", Refused("there is no configuration")),
];

pub(crate) fn misbehaving_names() -> impl Iterator<Item = &'static str> {
    MISBEHAVING.into_iter().map(|(name, _)| name)
}

/// Checks that the hunt of a misbehaving server has the expected outcome, ends within its bound, and leaves no process.
pub(crate) fn copes_with(name: &str) -> Result<(), Failed> {
    let scene = Scene::new();
    let built = misbehaving(name, scene.path());
    let cases = SCENARIOS.to_string();
    let mut options = vec!["--cases", &cases];
    if name == "fork-bomb" {
        // The server is never idle.
        options.extend(["--start-timeout", "3"]);
    }
    let running = start(&scene, &hunt(&built, &options));
    let said = end(&scene, running, BOUND, || output_is_bounded(&scene))?;
    if (name == "writes-gigabytes") != said.err.contains("no scenario was played without the gate") {
        return Err(wrong("it is told if it was not played without the gate, and only then", &said));
    }
    match MISBEHAVING.iter().find(|(other, _)| *other == name).expect("its row").1 {
        Well => nothing_found(&said, SCENARIOS),
        Refused(why) if said.code == Some(3) && said.err.contains(why) => Ok(()),
        Refused(why) => Err(wrong(format!("the code is {:?}, and it should say {why:?}", said.code), &said)),
    }
}

/// Checks that no server's output file is larger than [`OUTPUT`].
fn output_is_bounded(scene: &Scene) -> Result<(), Failed> {
    let sizes = scene.servers().into_iter().filter_map(|pid| fs::metadata(format!("/proc/{pid}/fd/1")).ok());
    match sizes.filter(|output| output.is_file()).map(|output| output.len()).max() {
        Some(size) if size > OUTPUT => Err(format!("{size} bytes of output were kept, more than {OUTPUT}").into()),
        _ => Ok(()),
    }
}

/// The servers during whose hunts the hunt is ended. The hunt is ended when the server has this many processes, and one of them has this
/// many descriptors. The last server keeps the descriptor of each connection that failed. It has as many while the hunt repeats a scenario
/// to see whether descriptors leak.
pub(crate) const RUNNING: [(&str, usize, usize); 5] = [
    ("iterative", 1, 0),
    ("preforking", 4, 0),
    ("ignores-signals", 1, 0),
    ("fork-bomb", 21, 0),
    ("lets-go-late", 1, 9),
];

/// Checks that a hunt that is ended by this signal leaves no process. It is ended while the server of this name has so many processes and
/// descriptors.
pub(crate) fn ends_by(signal: Signal, name: &str, processes: usize, descriptors: usize) -> Result<(), Failed> {
    let scene = Scene::new();
    let built = match SHAPES.into_iter().find(|shape| shape.name == name) {
        Some(shape) => shape.build(scene.path()),
        None => misbehaving(name, scene.path()),
    };
    let running = start(&scene, &hunt(&built, &["--seconds", "600"]));
    let process = Process::open(running.child.id()).ok_or("it has ended before it was looked at")?;
    let begin = Instant::now();
    let is_so_far = || {
        let servers = scene.servers();
        let has = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        servers.len() >= processes && servers.iter().map(has).max() >= Some(descriptors)
    };
    while !is_so_far() {
        if process.ends_within(Duration::ZERO) || begin.elapsed() > BOUND {
            let said = end(&scene, running, Duration::ZERO, || Ok(()))?;
            return Err(wrong("no server of so many processes and descriptors was seen", &said));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    running.signal(signal);
    let said = end(&scene, running, BOUND, || Ok(()))?;
    let code = (signal == Signal::SIGINT).then_some(130);
    if said.code == code { Ok(()) } else { Err(wrong(format!("the code is {:?}", said.code), &said)) }
}
