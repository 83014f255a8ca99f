//! What only the kernel world can get wrong; that it agrees with the model is tested in `tests/`.

use super::*;
use crate::world::play;
use crate::{Model, Scenario, Trace};

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
