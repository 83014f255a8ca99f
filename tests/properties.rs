//! The properties, tested by proptest with random scenarios of all events, including `hold`, `step`, `go`, `fault` and `vanish`.
//!
//! proptest keeps the seeds of failures in `proptest-regressions/`, one file per property.

#[path = "common/workers.rs"]
mod workers;

use brokenpipe::{
    At, Death, Kernel, Model, Op, Outcome, Policy, Program, Scenario, Setup, Signal, Trace, compare_policies,
    compare_runs, judge, minimise_death, play, strategy,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

/// The configuration of a property: the number of cases, and the file in which seeds of failures are kept.
macro_rules! config {
    ($cases:literal, $file:literal) => {
        Config {
            cases: $cases,
            max_shrink_iters: 4096,
            // Failures caused by a seeded defect are not kept.
            failure_persistence: Some(Box::new(if cfg!(brokenpipe_plant) {
                FileFailurePersistence::Off
            } else {
                FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/", $file))
            })),
            ..Config::default()
        }
    };
}

/// A test of a property with a number of cases, played by a worker process.
macro_rules! property {
    ($cases:literal, $file:literal, fn $name:ident($($arguments:tt)*) $body:block) => {
        #[test]
        fn $name() {
            proptest! {
                #![proptest_config(config!($cases, $file))]
                fn property($($arguments)*) $body
            }
            workers::alone(property);
        }
    };
}

thread_local! {
    static KERNEL: std::cell::RefCell<Kernel> = std::cell::RefCell::new(Kernel::new().expect("the kernel world"));
}

fn on_kernel(setup: &Setup, scenario: &Scenario) -> Trace {
    let mut trace = Trace::default();
    KERNEL.with_borrow_mut(|kernel| play(kernel, setup, scenario, &mut trace)).expect("the kernel world");
    trace
}

fn on_model(setup: &Setup, scenario: &Scenario) -> Trace {
    let mut trace = Trace::default();
    let Ok(()) = play(&mut Model::default(), setup, scenario, &mut trace);
    trace
}

fn policies() -> impl Strategy<Value = Policy> {
    proptest::sample::select(&Policy::ALL[..])
}

fn presets() -> impl Strategy<Value = Program> {
    proptest::sample::select(Program::presets().collect::<Vec<_>>())
}

fn programs() -> impl Strategy<Value = Program> {
    let op = prop_oneof![
        (0..64u16).prop_map(Op::Send),
        Just(Op::Recv),
        Just(Op::RecvAll),
        Just(Op::Echo),
        Just(Op::RecvOrClose),
        Just(Op::Shutdown),
        Just(Op::Send(16_384)),
    ];
    proptest::collection::vec(op, 0..6).prop_map(|mut ops| {
        ops.insert(0, Op::Accept);
        ops.push(Op::Close);
        Program::new(&ops).expect("accept first, close last")
    })
}

property! {
    10_000, "agreement.txt",
    fn the_kernel_does_what_the_model_predicts(
        program in presets(),
        policy in policies(),
        scenario in strategy::scenarios(6..=24, 6),
    ) {
        let setup = Setup::new(program, policy);
        prop_assert_eq!(on_kernel(&setup, &scenario), on_model(&setup, &scenario));
    }
}

property! {
    3_000, "any-program.txt",
    fn the_kernel_does_what_the_model_predicts_of_any_program(
        program in programs(),
        policy in policies(),
        scenario in strategy::scenarios(0..=16, 4),
    ) {
        let setup = Setup::new(program, policy);
        prop_assert_eq!(on_kernel(&setup, &scenario), on_model(&setup, &scenario));
    }
}

property! {
    3_000, "blocks.txt",
    fn the_kernel_does_what_the_model_predicts_of_blocks(
        program in programs(),
        policy in policies(),
        events in proptest::collection::vec(
            prop_oneof![4 => strategy::events(4), 1 => strategy::repeats(4)],
            0..=12,
        ),
    ) {
        let (setup, scenario) = (Setup::new(program, policy), Scenario::new(events).expect("few clients"));
        prop_assert_eq!(on_kernel(&setup, &scenario), on_model(&setup, &scenario));
    }
}

property! {
    5_000, "handled-policies-survive.txt",
    fn under_a_handled_policy_every_server_survives_everything(
        program in programs(),
        policy in proptest::sample::select(&Policy::HANDLED[..]),
        scenario in strategy::scenarios(0..=24, 4),
    ) {
        let trace = on_kernel(&Setup::new(program, policy), &scenario);
        prop_assert_eq!(trace.outcome().kind(), "survived");
    }
}

property! {
    5_000, "default-dies-of-sigpipe-alone.txt",
    fn under_default_a_server_survives_or_dies_of_sigpipe_in_a_send_where_predicted(
        program in presets(),
        scenario in strategy::scenarios(0..=24, 4),
    ) {
        let setup = Setup::new(program, Policy::Default);
        let trace = on_kernel(&setup, &scenario);
        match trace.outcome() {
            Outcome::Survived(_) => {}
            Outcome::Killed { signal: Signal::SIGPIPE, .. } => {
                let last = trace.calls().last().copied();
                prop_assert!(last.is_some_and(|called| called.sigpipe), "{last:?}");
            }
            other => prop_assert!(false, "{other}"),
        }
        prop_assert_eq!(trace.outcome(), on_model(&setup, &scenario).outcome());
    }
}

property! {
    2_000, "policies-differ-in-nothing-else.txt",
    fn up_to_the_first_broken_send_all_five_policies_have_the_same_trace(
        program in presets(),
        scenario in strategy::scenarios(0..=24, 4),
    ) {
        let traces = Policy::ALL.map(|policy| (policy, on_kernel(&Setup::new(program.clone(), policy), &scenario)));
        let difference = compare_policies(&traces.each_ref().map(|(policy, trace)| (*policy, trace)));
        prop_assert!(difference.is_none(), "{}", difference.map(|d| d.to_string()).unwrap_or_default());
    }
}

property! {
    5_000, "hygiene.txt",
    fn a_survivor_is_back_at_accept_and_clean_or_waits_on_a_client_that_vanished(
        program in presets(),
        policy in policies(),
        scenario in strategy::scenarios(0..=24, 4),
    ) {
        let trace = on_kernel(&Setup::new(program, policy), &scenario);
        if let Outcome::Survived(survivor) = trace.outcome() {
            match survivor.waits_on {
                None => prop_assert!(survivor.hygiene.is_some_and(|h| h.is_clean()), "{survivor:?}"),
                Some(client) => {
                    let vanish = format!("{client} vanish");
                    prop_assert!(scenario.events().iter().any(|event| event.to_string() == vanish), "waits on {client}");
                }
            }
        }
    }
}

property! {
    2_000, "determinism.txt",
    fn twice_the_same_scenario_is_twice_the_same_trace_in_a_warm_server_and_in_a_fresh_one(
        program in presets(),
        policy in policies(),
        scenario in strategy::scenarios(0..=24, 4),
    ) {
        let setup = Setup::new(program, policy);
        let (first, again) = (on_kernel(&setup, &scenario), on_kernel(&setup, &scenario));
        prop_assert_eq!(compare_runs(&first, &again), None);
        let mut fresh = Trace::default();
        play(&mut Kernel::fresh().expect("the kernel world"), &setup, &scenario, &mut fresh).expect("the kernel world");
        prop_assert_eq!(compare_runs(&first, &fresh), None);
    }
}

property! {
    1_000, "totality.txt",
    fn any_bytes_are_a_setup_and_a_scenario_which_print_and_parse_and_encode_to_themselves(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (setup, rest) = Setup::decode(&bytes);
        let scenario = Scenario::decode(rest);
        prop_assert_eq!(scenario.to_string().parse(), Ok(scenario.clone()));
        prop_assert_eq!(format!("{scenario:?}"), scenario.to_string());
        let lines: Vec<String> = scenario.events().iter().map(ToString::to_string).collect();
        prop_assert_eq!(lines.join("\n").parse(), Ok(scenario.clone()));
        prop_assert_eq!(setup.program.to_string().parse(), Ok(setup.program.clone()));
        prop_assert_eq!(setup.policy.name().parse(), Ok(setup.policy));
        let encoded = setup.encode();
        prop_assert_eq!(Setup::decode(&encoded), (setup.clone(), &[][..]));
        let encoded = Scenario::decode(&scenario.encode());
        prop_assert_eq!(encoded.encode(), scenario.encode());
        on_model(&setup, &scenario);
    }
}

property! {
    300, "minimality.txt",
    fn a_minimised_death_is_by_its_last_event_and_not_without_any_one_of_them(
        program in presets(),
        scenario in strategy::scenarios(6..=24, 4),
    ) {
        let setup = Setup::new(program, Policy::Default);
        let killed = on_kernel(&setup, &scenario);
        let small = minimise_death(&scenario, &setup, |s, trace| {
            trace.clone_from(&on_kernel(&setup, s));
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(small) = small;
        prop_assert_eq!(small.is_some(), Death::of(&killed).is_some());
        let Some(small) = small else { return Ok(()) };
        let events = small.events();
        let trace = on_kernel(&setup, &small);
        prop_assert_eq!(trace.outcome().at(), Some(At::Event(events.len() - 1)));
        prop_assert!(judge(&small, &setup, &trace, &on_model(&setup, &small)).is_some());
        for left_out in 0..events.len() {
            let mut fewer = events.to_vec();
            fewer.remove(left_out);
            let fewer = Scenario::new(fewer).expect("no more clients than before");
            let at = on_kernel(&setup, &fewer).outcome().at();
            prop_assert!(!matches!(at, Some(At::Event(_))), "{small}: still dies without event {left_out}");
        }
    }
}
