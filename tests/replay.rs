//! What a failing check prints can be replayed: the printed command is parsed and played again.

#[path = "common/workers.rs"]
mod workers;

use brokenpipe::{
    CheckError, Kernel, Kind, Model, PRESETS, Policy, Scenario, Setup, Trace, check, judge, play, report,
};
use std::panic::catch_unwind;

/// The panic message of a `#[test]` that unwraps a failing [`check`].
fn printed(program: &'static str) -> String {
    let panic = catch_unwind(|| check(program, Policy::Default, 20_000).unwrap()).expect_err("the server must die");
    *panic.downcast().expect("a panic with a formatted text")
}

/// The words of a command, some of them in single quotation marks.
fn words(command: &str) -> Vec<&str> {
    let pieces = command.split('\'').enumerate();
    pieces.flat_map(|(i, piece)| if i % 2 == 1 { vec![piece] } else { piece.split_whitespace().collect() }).collect()
}

/// The server and the scenario in the replay command of a printed report.
fn instruction(printed: &str) -> (Setup, Scenario) {
    let command = printed.lines().find_map(|line| line.strip_prefix("replay: ")).expect(printed);
    match words(command)[..] {
        ["brokenpipe", "run", "--program", program, "--policy", policy, scenario] => {
            let setup = Setup::new(program.parse().expect(program), policy.parse().expect(policy));
            (setup, scenario.parse().expect(scenario))
        }
        _ => panic!("no such command: {command}"),
    }
}

#[test]
fn what_a_failing_check_prints_plays_the_same_death_again() {
    workers::alone(|| {
        for (name, _) in PRESETS {
            let printed = printed(name);
            let (setup, scenario) = instruction(&printed);
            let (mut kernel, mut model) = (Trace::default(), Trace::default());
            play(&mut Kernel::fresh().expect("the kernel world"), &setup, &scenario, &mut kernel)
                .expect("the kernel world");
            let Ok(()) = play(&mut Model::default(), &setup, &scenario, &mut model);
            let finding = judge(&scenario, &setup, &kernel, &model).expect("the same scenario fails again");
            assert_eq!(finding.kind(), Kind::Death);
            // The report of the replayed finding is the printed one, with every call, every TCP state and the reason.
            let again = report::finding(&finding).trim_end().to_owned();
            assert!(printed.contains(&again), "{name} printed\n{printed}\nand then came\n{again}");
        }
    });
}

/// Examples from the documentation that play on the kernel for long. As documentation tests they are only compiled, not run: documentation
/// tests are processes of one session, in which the compiler has just run on all cores.
#[test]
fn what_the_documentation_says_of_check_is_so() {
    workers::alone(|| {
        check("accept; send 26; recv-all; close", Policy::Ignore, 1_000).unwrap();
        let Err(CheckError::Found(finding)) = check("greeter", Policy::Default, 10_000) else {
            panic!("the greeter must die");
        };
        assert_eq!(finding.scenario.to_string(), "a connect; b connect; b fin; b rst; a fin");
    });
}

#[test]
fn the_death_is_that_of_the_scenario_and_not_of_the_server() {
    workers::alone(|| {
        let (setup, scenario) = instruction(&printed("greeter"));
        let mut kernel = Kernel::new().expect("the kernel world");
        let mut trace = Trace::default();
        // The reported scenario fails at its last event. Without any one of its events it does not fail.
        for left_out in 0..scenario.events().len() {
            let mut events = scenario.events().to_vec();
            events.remove(left_out);
            play(&mut kernel, &setup, &events, &mut trace).expect("the kernel world");
            assert!(
                !matches!(trace.outcome().at(), Some(brokenpipe::At::Event(_))),
                "without event {left_out} of {scenario}: {}",
                trace.outcome()
            );
        }
    });
}

#[test]
fn a_check_that_finds_nothing_prints_nothing_to_replay() {
    workers::alone(|| {
        assert_eq!(check("greeter", Policy::Ignore, 500), Ok(()));
        let no_program = check("accept; sned 26; close", Policy::Default, 1);
        assert!(matches!(no_program, Err(CheckError::Program(_))), "{no_program:?}");
    });
}
