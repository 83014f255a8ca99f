//! A program can also run as a server in a process of its own, behind the gate for other people's servers. Its trace then equals the one
//! that the model predicts: the same calls with the same results, the same replies to the clients, and the same socket states.

#[path = "common/workers.rs"]
mod workers;

use brokenpipe::report::Ladder;
use brokenpipe::{
    Action, Call, Called, Client, Event, Model, Op, Policy, Program, Random, Reply, Scenario, Setup, Shape, Sigpipe,
    Step, Target, TcpState, Trace, play,
};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IoSlice, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// How many random scenarios each program plays under each policy.
const SCENARIOS: usize = 60;

/// The calls by which a server moves data.
#[derive(Clone, Copy)]
enum By {
    /// `send` and `recv`.
    Buffer,
    /// `writev` and `readv`.
    List,
}

/// The names of system calls, each with the call of programs that it makes.
const NAMES: [(&str, Call); 3] = [("accept4", Call::Accept), ("readv", Call::Recv), ("writev", Call::Send)];

/// Runs a program for ever. Errors of `accept` are no end, and those of `shutdown` and `close` are ignored.
fn serve(listener: &TcpListener, program: &Program, by: By) {
    loop {
        // SAFETY: no pointer is passed.
        let fd = unsafe { libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), 0) };
        if fd < 0 {
            continue;
        }
        // SAFETY: the kernel has just made this descriptor.
        let client = unsafe { OwnedFd::from_raw_fd(fd) };
        for op in program.ops() {
            match op {
                Op::Accept | Op::Close => {}
                Op::Send(bytes) => drop(send(&client, usize::from(*bytes), by)),
                Op::Recv => drop(recv(&client, by)),
                Op::RecvAll => while recv(&client, by) > 0 {},
                Op::RecvOrClose if recv(&client, by) <= 0 => break,
                Op::RecvOrClose => {}
                Op::Echo => loop {
                    let bytes = recv(&client, by);
                    if bytes <= 0 || send(&client, bytes as usize, by) < 0 {
                        break;
                    }
                },
                // SAFETY: no pointer is passed.
                Op::Shutdown => drop(unsafe { libc::shutdown(client.as_raw_fd(), libc::SHUT_WR) }),
            }
        }
    }
}

fn send(client: &OwnedFd, bytes: usize, by: By) -> isize {
    let mut data = vec![b'x'; bytes];
    let (first, second) = data.split_at_mut(bytes / 2);
    let list = [first, second].map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
    // SAFETY: the kernel reads as many bytes as there are.
    unsafe {
        match by {
            By::Buffer => libc::send(client.as_raw_fd(), data.as_ptr().cast(), bytes, 0),
            By::List => libc::writev(client.as_raw_fd(), list.as_ptr(), 2),
        }
    }
}

fn recv(client: &OwnedFd, by: By) -> isize {
    let mut data = vec![0u8; 32 * 1024];
    let room = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: the kernel writes no more bytes than there is room for.
    unsafe {
        match by {
            By::Buffer => libc::recv(client.as_raw_fd(), data.as_mut_ptr().cast(), data.len(), 0),
            By::List => libc::readv(client.as_raw_fd(), &raw const room, 1),
        }
    }
}

/// The trace in words, one line a step. The calls have the names that they have in programs. FIN_WAIT_1 is written as FIN_WAIT_2: which of
/// the two is seen depends on when the client's kernel acknowledges. `unknown` has the indices of the calls whose result is left out.
fn words(trace: &Trace, unknown: &[usize]) -> Vec<String> {
    let mut index = 0;
    let mut call = |called: &Called| {
        let name = called.call.name();
        let other = NAMES.into_iter().find(|(other, _)| *other == name).map(|(_, call)| call);
        let call = Call::ALL.into_iter().find(|call| call.name() == name).or(other);
        let result = if unknown.contains(&index) { None } else { called.result };
        index += 1;
        format!("{:?}", Called { call: call.unwrap_or(called.call), result, ..*called })
    };
    let state = |state: TcpState| if state == TcpState::FinWait1 { TcpState::FinWait2 } else { state };
    let steps = trace.steps().map(|step| {
        let calls: Vec<String> = step.calls.iter().map(&mut call).collect();
        let sockets: Vec<_> = step.sockets.iter().map(|(client, s)| (*client, state(*s))).collect();
        format!("{} {:?} {calls:?} {sockets:?}", step.at, step.reply)
    });
    let end = format!("{} {:?}", trace.outcome().kind(), trace.outcome().at());
    steps.chain([end]).collect()
}

/// Checks what else is known of the calls: one task makes them, one after the other; each `recv` takes what its client has sent, and each
/// `send` sends filling. Rounds that were equal come once in the trace, and after an urgent byte it is not known which byte a `recv` reads.
fn check_details(trace: &Trace, scenario: &Scenario) {
    if ["urgent", "repeat"].iter().any(|word| scenario.to_string().contains(word)) {
        return;
    }
    let (mut last, mut unread) = (Duration::ZERO, BTreeMap::<Client, VecDeque<u8>>::new());
    for step in trace.steps() {
        if let (Some(Event::Client(client, Action::Send(payload))), Reply::Ok(sent)) =
            (step.at.of(scenario), step.reply)
        {
            let bytes = payload.given().map_or(vec![b'x'; payload.len()], <[u8]>::to_vec);
            unread.entry(*client).or_default().extend(&bytes[..sent as usize]);
        }
        for (called, detail) in step.detailed() {
            let detail = detail.expect("a detail of each call");
            assert!(detail.task == 0 && detail.time >= last, "{scenario}: {detail:?}");
            last = detail.time;
            let moved = called.result.and_then(Result::ok).unwrap_or(0) as usize;
            let mut bytes = match (called.call.name(), called.client) {
                ("recv" | "readv", Some(client)) => unread.entry(client).or_default().drain(..moved).collect(),
                ("send" | "writev", _) => vec![b'x'; moved],
                _ => Vec::new(),
            };
            bytes.truncate(32);
            assert_eq!(detail.data(), bytes, "{scenario}: {called}");
        }
    }
}

#[test]
fn of_a_server_with_threads_it_is_known_which_made_a_call_and_what_the_call_moved() {
    workers::alone(|| {
        let target = Target::forked(|listener| {
            for client in listener.incoming() {
                let Ok(mut client) = client else { continue };
                std::thread::spawn(move || {
                    let mut buffer = [0; 64];
                    while let Ok(bytes @ 1..) = client.read(&mut buffer) {
                        if client.write_vectored(&[IoSlice::new(b"> "), IoSlice::new(&buffer[..bytes])]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let scenario: Scenario = r#"a connect; b connect; hold; b send "to"; b send "gether"; go; a send "hello\n""#
            .parse()
            .expect("a scenario");
        let trace = target.play(&scenario).expect("a run").trace;
        let moved = trace.steps().flat_map(Step::detailed).filter_map(|(called, detail)| {
            let (client, detail) = (called.client?, detail?);
            (!detail.data().is_empty()).then(|| format!("{client} {}", detail.data().escape_ascii()))
        });
        assert_eq!(moved.collect::<Vec<_>>(), ["b together", "b > together", r"a hello\n", r"a > hello\n"]);
        let ladder = Ladder::new(&scenario, &trace).to_string();
        // The thread of `b` is the first whose call can finish.
        let lines = ["0: accept4 a", "1: recv b 8", "1: writev b 10", "2: recv a 6"];
        assert!(lines.iter().all(|line| ladder.contains(line)), "{ladder}");
    });
}

/// Plays random scenarios in both worlds.
fn compare(target: &Target, program: &str, policy: Policy, seed: u64) {
    let setup = Setup::new(program.parse().expect("a preset"), policy);
    let shape = Shape { max_events: 10, stall: false, faults: false, ..Shape::default() };
    let fixed = "a connect; b connect; b fin; b rst; a close".parse().expect("a scenario");
    let scenarios = [fixed].into_iter().chain(Random::new(seed, shape).take(SCENARIOS));
    let mut foreseen = Trace::default();
    let scenarios: Vec<Scenario> = scenarios.collect();
    for scenario in &scenarios {
        let Ok(()) = play(&mut Model::default(), &setup, scenario, &mut foreseen);
        let seen = target.play(scenario).expect("a run").trace;
        // What a recv that passes over an urgent byte returns cannot be seen. Everything else can.
        let calls = seen.calls();
        let unknown: Vec<usize> = (0..calls.len()).filter(|i| calls[*i].result.is_none()).collect();
        let urgent = scenario.to_string().matches("urgent").count();
        let recvs = unknown.iter().all(|i| ["recv", "readv"].contains(&calls[*i].call.name()));
        assert!(recvs && unknown.len() <= urgent, "{setup}: {scenario}: {unknown:?} of {calls:?}");
        assert_eq!(words(&seen, &unknown), words(&foreseen, &unknown), "{setup}: {scenario}");
        check_details(&seen, scenario);
    }
}

/// A test for each program, with a server for each of these policies.
macro_rules! programs {
    ($($name:ident $preset:literal)*) => {$(
        #[test]
        fn $name() {
            workers::alone(|| {
                let program: Program = $preset.parse().expect("a preset");
                let default = Target::forked(|listener| serve(&listener, &program, By::Buffer));
                let ignore = Target::forked(|listener| serve(&listener, &program, By::List)).sigpipe(Sigpipe::Ignore);
                // Under `default` every client kills `careless`, so that a hunt cannot begin.
                if $preset != "careless" {
                    compare(&default, $preset, Policy::Default, 1);
                }
                compare(&ignore, $preset, Policy::Ignore, 2);
            });
        }
    )*};
}

programs! {
    greeter "greeter"
    echo "echo"
    double_greeter "double-greeter"
    late_greeter "late-greeter"
    careless "careless"
    farewell "farewell"
    greeter_echo "greeter-echo"
}
