//! The properties over random scenarios of the whole alphabet, by proptest: `hold`, `step`, `go`, `fault` and `vanish` included.
//!
//! proptest's own seeds are kept in `proptest-regressions/`, one file a property.

use brokenpipe::{Kernel, Model, Op, Policy, Program, Scenario, Setup, Trace, play, strategy};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases, and the file in which a property keeps the seeds that failed.
macro_rules! config {
    ($cases:literal, $file:literal) => {
        Config {
            cases: $cases,
            max_shrink_iters: 4096,
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/proptest-regressions/",
                $file
            )))),
            ..Config::default()
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

proptest! {
    #![proptest_config(config!(20_000, "agreement.txt"))]
    #[test]
    fn the_kernel_does_what_the_model_predicts(
        program in presets(),
        policy in policies(),
        scenario in strategy::scenarios(6..=24, 6),
    ) {
        let setup = Setup::new(program, policy);
        prop_assert_eq!(on_kernel(&setup, &scenario), on_model(&setup, &scenario));
    }
}

proptest! {
    #![proptest_config(config!(5_000, "any-program.txt"))]
    #[test]
    fn the_kernel_does_what_the_model_predicts_of_any_program(
        program in programs(),
        policy in policies(),
        scenario in strategy::scenarios(0..=16, 4),
    ) {
        let setup = Setup::new(program, policy);
        prop_assert_eq!(on_kernel(&setup, &scenario), on_model(&setup, &scenario));
    }
}
