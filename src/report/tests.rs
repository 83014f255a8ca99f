//! Model runs for the tests of this module, and properties that every report has.

use crate::model::Model;
use crate::world::{certain, play};
use crate::{Policy, Scenario, Setup, Trace};

pub(super) fn setup(program: &str, policy: Policy) -> Setup {
    Setup::new(program.parse().unwrap(), policy)
}

pub(super) fn trace(scenario: &str, setup: &Setup) -> (Scenario, Trace) {
    let scenario: Scenario = scenario.parse().unwrap();
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), setup, &scenario, &mut trace));
    (scenario, trace)
}

#[cfg(feature = "proptest")]
mod properties {
    use super::*;
    use crate::report::{Ladder, why};
    use crate::{Case, strategy};
    use proptest::prelude::*;

    const PROGRAMS: [&str; 6] = [
        "greeter",
        "double-greeter",
        "farewell",
        "greeter-echo",
        "accept; send 1; recv; shutdown; recv; send 2; recv; close",
        "accept; recv; send 1; recv-all; send 1; send 1; close",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn every_run_has_a_reason_a_picture_that_fits_and_a_case_that_holds(
            scenario in strategy::scenarios(0..=16, 3),
            block in proptest::option::weighted(0.3, (0..=16usize, strategy::repeats(3))),
            program in proptest::sample::select(&PROGRAMS[..]),
            policy in proptest::sample::select(&Policy::ALL[..]),
        ) {
            let setup = setup(program, policy);
            let mut events = scenario.events().to_vec();
            if let Some((at, block)) = block {
                events.insert(at.min(events.len()), block);
            }
            let scenario = Scenario::new(events).expect("few clients");
            let (scenario, trace) = trace(&scenario.to_string(), &setup);
            let why = why(&scenario, &setup, &trace);
            prop_assert!(!why.contains("no rule known"), "{why}");
            let ladder = Ladder::new(&scenario, &trace).to_string();
            prop_assert!(ladder.lines().all(|line| line.chars().count() <= 100), "{ladder}");
            let case = Case::of(&scenario, &setup, &trace, "as found");
            prop_assert_eq!(case.check(&trace), Ok(()));
            prop_assert_eq!(case.to_string().parse(), Ok(case));
        }
    }
}
