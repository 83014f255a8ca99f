//! What only the kernel world can get wrong; that it agrees with the model is tested in `tests/`.

use super::*;
use crate::linux::clock::blocked_call::tests::wait_for_sleep;
use crate::world::play;
use crate::{Model, Scenario, Trace};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

fn trace(kernel: &mut Kernel, program: &str, policy: Policy, scenario: &str) -> Trace {
    let scenario: Scenario = scenario.parse().unwrap();
    let setup = Setup::new(program.parse().unwrap(), policy);
    let mut trace = Trace::default();
    play(kernel, &setup, &scenario, &mut trace).unwrap();
    let mut model = Trace::default();
    play(&mut Model::default(), &setup, &scenario, &mut model).unwrap();
    assert_eq!(trace, model, "{scenario}");
    trace
}

#[test]
fn the_greeter_dies_of_a_client_that_was_reset_in_the_queue() {
    let mut kernel = Kernel::new().unwrap();
    let t = trace(&mut kernel, "greeter", Policy::Default, "a connect; b connect; b fin; b rst; a close");
    assert_eq!(t.outcome().to_string(), "killed by SIGPIPE at 4");
    for policy in Policy::HANDLED {
        let t = trace(&mut kernel, "greeter", policy, "a connect; b connect; b fin; b rst; a close");
        assert_eq!(t.outcome().kind(), "survived");
    }
}

#[test]
fn a_signal_that_the_probe_leaves_pending_is_no_part_of_the_next_run() {
    let setup = Setup::new("accept; shutdown; send 1; close".parse().unwrap(), Policy::Blocked);
    let mut kernel = Kernel::new().unwrap();
    let mut traces = [Trace::default(), Trace::default()];
    for trace in &mut traces {
        play(&mut kernel, &setup, [], trace).unwrap();
    }
    assert_eq!(traces[0], traces[1]);
}

#[test]
fn a_fin_behind_more_than_the_first_window_of_segments_arrives_before_the_next_event() {
    let sends = "a send 1; ".repeat(11);
    let scenario = format!("a connect; a send 1; hold; {sends}a fin");
    trace(&mut Kernel::new().unwrap(), "greeter-echo", Policy::NoSignal, &scenario);
}

#[test]
fn a_server_s_fin_behind_more_than_the_first_window_of_segments_arrives_before_the_next_event() {
    let program = format!("accept; echo; {}close", "send 3; ".repeat(17));
    let scenario = "a connect; b connect; a send 5; a send 5; a recv; a fin; a recv; b vanish";
    let mut kernel = Kernel::new().unwrap();
    for policy in Policy::ALL {
        trace(&mut kernel, &program, policy, scenario);
    }
}

/// Drops `reference` once the calling thread sleeps.
fn dropped_in_sleep(reference: OwnedFd) -> JoinHandle<()> {
    let this = nix::unistd::gettid().as_raw();
    std::thread::spawn(move || {
        wait_for_sleep(this, &[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]);
        drop(reference);
    })
}

/// The states of the server-side sockets.
fn states(kernel: &mut Kernel) -> Vec<TcpState> {
    let mut all = Vec::new();
    kernel.sockets(&mut all).unwrap();
    all.into_iter().map(|(_, state)| state).collect()
}

#[test]
fn a_close_of_a_socket_to_which_others_refer_has_taken_effect_when_the_event_is_over() {
    let (a, b) = (Client::nth(0), Client::nth(1));
    for (action, state) in [(Action::Close, TcpState::CloseWait), (Action::Rst, TcpState::Close)] {
        let mut kernel = Kernel::new().unwrap();
        kernel.start(&Setup::default()).unwrap();
        kernel.act(a, &Action::Connect).unwrap();
        let socket = kernel.run.connections[0].client.socket.as_ref().unwrap();
        let reference = dropped_in_sleep(socket.try_clone().unwrap().into());
        kernel.act(a, &action).unwrap();
        assert_eq!(states(&mut kernel), [state]);
        reference.join().unwrap();
    }

    let mut kernel = Kernel::new().unwrap();
    kernel.start(&Setup::new("accept; close".parse().unwrap(), Policy::Default)).unwrap();
    kernel.act(a, &Action::Connect).unwrap();
    kernel.step().unwrap();
    let server = kernel.server().unwrap();
    let reference = dropped_in_sleep(server.duplicate(server.parked.fd).unwrap());
    kernel.step().unwrap();
    assert_eq!(states(&mut kernel), [TcpState::FinWait2]);
    reference.join().unwrap();

    let mut kernel = Kernel::new().unwrap();
    kernel.start(&Setup::default()).unwrap();
    for (client, action) in [(a, Action::Connect), (b, Action::Connect), (a, Action::Fin), (a, Action::Rst)] {
        kernel.act(client, &action).unwrap();
    }
    kernel.step().unwrap();
    let listener = kernel.server().unwrap().duplicate(0).unwrap();
    let reference = dropped_in_sleep(listener);
    assert!(matches!(kernel.step().unwrap(), Stepped::Ended(..)));
    assert_eq!(states(&mut kernel), [TcpState::Close, TcpState::Close]);
    reference.join().unwrap();
}
