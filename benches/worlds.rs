//! The speed of the worlds, compared side by side in one run. The compared loops take turns in short rounds, so that noise on the machine
//! affects all of them, and the result is the median of the rounds' ratios.
//!
//! `cargo bench` prints the results. Absolute rates depend on the machine; the ratios depend on brokenpipe.
#![allow(missing_docs)]

use brokenpipe::{Enumerate, Event, Kernel, Model, Policy, Scenario, Setup, Trace, World, enumerate, play};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use socket2::{Domain, Socket, Type};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 31;
/// Scenarios for each job of a hunt.
const HUNTED: usize = 8_000;
const DEATH: &str = "a connect; b connect; b fin; b rst; a close";
const POLITE: &str = "a connect; a fin; a recv; a close";

/// Calls of `work` per second, measured over `count` calls.
fn rate(count: usize, work: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    (0..count).for_each(|_| work());
    count as f64 / start.elapsed().as_secs_f64()
}

/// The median rates of two loops, and the median of the rounds' ratios.
fn side_by_side(count: usize, ours: &mut dyn FnMut(), theirs: &mut dyn FnMut()) -> (f64, f64, f64) {
    rate(count / 4, ours);
    rate(count / 4, theirs);
    let mut rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (rate(count, ours), rate(count, theirs))).collect();
    let mut median = |key: fn(&(f64, f64)) -> f64| {
        rounds.sort_by(|a, b| key(a).total_cmp(&key(b)));
        key(&rounds[ROUNDS / 2])
    };
    (median(|r| r.0), median(|r| r.1), median(|r| r.0 / r.1))
}

fn line(what: &str, (ours, theirs, ratio): (f64, f64, f64), goal: &str) {
    println!("{what:<58} {ours:>11.0}/s {theirs:>11.0}/s  ratio {ratio:>5.2}  (goal: {goal})");
}

fn listener() -> Socket {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    listener.set_tcp_nodelay(true).expect("TCP_NODELAY");
    listener.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into()).expect("bind");
    listener.listen(128).expect("listen");
    listener
}

/// The greeter without brokenpipe: a plain loop of calls.
fn greet(listener: &Socket) -> ! {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    loop {
        if let Ok((connection, _)) = listener.accept() {
            // SAFETY: a send of 26 bytes from an array of 26, without MSG_NOSIGNAL.
            unsafe { libc::send(connection.as_raw_fd(), [0u8; 26].as_ptr().cast(), 26, 0) };
            while connection.recv(&mut buffer).is_ok_and(|n| n > 0) {}
        }
    }
}

/// Forks a bare greeter, which SIGPIPE can kill.
fn bare_server() -> (Socket, nix::unistd::Pid) {
    let listener = listener();
    // SAFETY: the child makes system calls only.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            // SAFETY: SIG_DFL is no handler.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            greet(&listener)
        }
        ForkResult::Parent { child } => (listener, child),
    }
}

/// A client socket with the options that brokenpipe sets.
fn connect(to: &SocketAddrV4, source: &mut u32) -> Socket {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    client.set_tcp_nodelay(true).expect("TCP_NODELAY");
    client.set_bind_address_no_port(true);
    *source = (*source + 1) % 0x00fe_0000;
    client.bind(&SocketAddrV4::new(Ipv4Addr::from(0x7f01_0000 + *source), 0).into()).expect("bind");
    client.connect(&(*to).into()).expect("connect");
    client
}

trait NoPort {
    fn set_bind_address_no_port(&self, on: bool);
}

impl NoPort for Socket {
    fn set_bind_address_no_port(&self, on: bool) {
        let on = i32::from(on);
        // SAFETY: the option's value is an int.
        unsafe {
            libc::setsockopt(
                self.as_raw_fd(),
                libc::IPPROTO_IP,
                libc::IP_BIND_ADDRESS_NO_PORT,
                (&raw const on).cast(),
                4,
            );
        }
    }
}

/// The greeter's death, with nothing but a fork and the clients' calls.
fn bare_death(source: &mut u32) {
    let (listener, child) = bare_server();
    let address = listener.local_addr().expect("address").as_socket_ipv4().expect("IPv4");
    drop(listener);
    let a = connect(&address, source);
    let b = connect(&address, source);
    b.shutdown(Shutdown::Write).expect("shutdown");
    b.set_linger(Some(Duration::ZERO)).expect("linger");
    drop(b);
    drop(a);
    waitpid(child, None).expect("waitpid");
}

/// Two polite clients: brokenpipe plays its probe after each scenario, so it has two as well.
fn bare_polite(to: &SocketAddrV4, source: &mut u32) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    for _ in 0..2 {
        let client = connect(to, source);
        client.shutdown(Shutdown::Write).expect("shutdown");
        while client.recv(&mut buffer).expect("recv") > 0 {}
    }
}

fn played<W: World<Setup = Setup, Error: std::fmt::Debug>>(
    world: &mut W,
    setup: &Setup,
    events: &[Event],
    trace: &mut Trace,
) {
    play(world, setup, events, trace).expect("play");
    black_box(&*trace);
}

/// Scenarios per second of a hunt with so many jobs. Jobs are processes that the command line starts.
fn jobs(n: usize) -> f64 {
    let (cases, jobs) = ((HUNTED * n).to_string(), n.to_string());
    let start = Instant::now();
    let hunt = Command::new(env!("CARGO_BIN_EXE_brokenpipe"))
        .args(["hunt", "--policy", "ignore", "--cases", &cases, "--jobs", &jobs])
        .output()
        .expect("the binary");
    assert!(hunt.status.success(), "{hunt:?}");
    (HUNTED * n) as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let setup = Setup::new("greeter".parse().expect("preset"), Policy::Default);
    let parse = |text: &str| text.parse::<Scenario>().expect("scenario");
    let (death, polite) = (parse(DEATH), parse(POLITE));
    let (mut trace, mut bare_trace) = (Trace::default(), 0u32);

    // The kernel worlds pin this thread to one core; the bare loops run on the same core.
    let mut kernel = Kernel::fresh().expect("kernel");
    let fresh = side_by_side(50, &mut || played(&mut kernel, &setup, death.events(), &mut trace), &mut || {
        bare_death(&mut bare_trace)
    });
    line("kernel, a fresh server per case / bare forking loop", fresh, "0.6");
    drop(kernel);

    let mut kernel = Kernel::new().expect("kernel");
    let (listener, child) = bare_server();
    let address = listener.local_addr().expect("address").as_socket_ipv4().expect("IPv4");
    let warm = side_by_side(200, &mut || played(&mut kernel, &setup, polite.events(), &mut trace), &mut || {
        bare_polite(&address, &mut bare_trace)
    });
    line("kernel, warm / bare loop over a warm server", warm, "0.5");
    nix::sys::signal::kill(child, nix::sys::signal::SIGKILL).expect("kill");
    waitpid(child, None).expect("waitpid");

    let mut model = Model::default();
    let eight = parse("a connect; b connect; a send 5; b fin; a recv; b rst; c connect; a close");
    let model_rate = rate(1_000_000, &mut || played(&mut model, &setup, eight.events(), &mut trace));
    println!("{:<58} {model_rate:>11.0}/s  (goal: 1000000)", "model, eight events");

    let enumerated = {
        let start = Instant::now();
        let count = enumerate(6, 3, Enumerate::plain_actions(), vec![]).map(black_box).count();
        count as f64 / start.elapsed().as_secs_f64()
    };
    println!("{:<58} {enumerated:>11.0}/s", "enumeration, up to six events");

    // The minimum time of a run of so many events, in seconds.
    let mut seconds = |events: usize| {
        let scenario = parse(&format!("a connect; {}", "a send 1; a recv; ".repeat(events / 2)));
        let setup = Setup::new("echo".parse().expect("preset"), Policy::Default);
        let once = |_| {
            let start = Instant::now();
            played(&mut kernel, &setup, scenario.events(), &mut trace);
            start.elapsed().as_secs_f64()
        };
        (0..(200_000 / events).clamp(20, 2_000)).map(once).fold(f64::INFINITY, f64::min)
    };
    // The differences remove the constant cost of a run, mainly the server's probe.
    let early = (seconds(30) - seconds(10)) / 20.0 * 1e6;
    let late = (seconds(10_000) - seconds(5_000)) / 5_000.0 * 1e6;
    println!(
        "{:<58} {early:>8.2} µs after the 10th, {late:.2} µs up to the 10,000th  ratio {:.2}  (goal: 1)",
        "kernel, one more event",
        late / early
    );
    drop(kernel);

    let mut ratios: Vec<f64> = (0..9).map(|_| (jobs(1), jobs(2))).map(|(one, two)| two / one).collect();
    ratios.sort_by(f64::total_cmp);
    println!("{:<58} ratio {:.2}  (goal: 1.8)", "a hunt, two jobs / one", ratios[4]);
}
