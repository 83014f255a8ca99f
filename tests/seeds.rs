//! proptest's seeds: with the configuration of the properties, seeds of failures are written to the file and read from it. Tested with a
//! property that fails, and a temporary file.
#![cfg(feature = "proptest")]

#[path = "common/workers.rs"]
mod workers;

use brokenpipe::{Kernel, Policy, Scenario, Setup, Trace, play, strategy};
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

/// A temporary folder for one test, removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the seeds");
        Scratch(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If the test is failing, its own failure is more important than an error here.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The result of testing a property until it failed.
struct Run {
    result: Result<(), TestError<Scenario>>,
    /// Every scenario in the order of play, and whether the server survived it.
    played: Vec<(Scenario, bool)>,
}

/// Tests that a server under `policy` survives every scenario. Seeds are kept in `file`; random numbers are drawn from `rng`.
fn run(file: &'static str, policy: Policy, rng: [u8; 32]) -> Run {
    let config = Config {
        cases: 500,
        max_shrink_iters: 4096,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        ..Config::default()
    };
    let setup = Setup::new("double-greeter".parse().expect("a preset"), policy);
    let kernel = RefCell::new(Kernel::new().expect("the kernel world"));
    let played = RefCell::new(Vec::new());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &rng));
    let result = runner.run(&strategy::scenarios(6..=24, 6), |scenario| {
        let mut trace = Trace::default();
        play(&mut *kernel.borrow_mut(), &setup, &scenario, &mut trace).expect("the kernel world");
        let survived = trace.outcome().kind() == "survived";
        played.borrow_mut().push((scenario, survived));
        if survived { Ok(()) } else { Err(TestCaseError::fail(trace.outcome().to_string())) }
    });
    Run { result, played: played.into_inner() }
}

fn smallest(run: &Run) -> &Scenario {
    match &run.result {
        Err(TestError::Fail(_, scenario)) => scenario,
        other => panic!("the server must die, but: {other:?}"),
    }
}

#[test]
fn a_seed_that_failed_is_written_down_and_comes_first_the_next_time() {
    workers::alone(|| {
        let scratch = Scratch::new("seeds");
        let path = scratch.0.join("planted.txt");
        // proptest needs the file's path as a `'static` string.
        let file: &'static str = path.to_str().expect("a path in UTF-8").to_owned().leak();

        let first = run(file, Policy::Default, [1; 32]);
        let failed = &first.played.iter().find(|(_, survived)| !survived).expect("a death").0;
        let kept = fs::read_to_string(file).expect("the seed is written");
        let seeds: Vec<&str> = kept.lines().filter(|line| line.starts_with("cc ")).collect();
        let [seed] = seeds[..] else { panic!("one seed:\n{kept}") };
        // The comment after the seed is the minimised scenario in its text form, for readers.
        let (_, trailer) = seed.split_once(" # shrinks to ").expect(seed);
        assert_eq!(&trailer.parse::<Scenario>().expect(trailer), smallest(&first));

        // The random numbers differ now, so only the file can make this scenario the first one. It shrinks to the same scenario.
        let second = run(file, Policy::Default, [2; 32]);
        assert_eq!(&second.played[0], &(failed.clone(), false));
        assert_eq!(smallest(&second), smallest(&first));

        // The seed is also played first when the property holds, before all other scenarios, and the file does not change.
        let mended = run(file, Policy::Ignore, [2; 32]);
        assert_eq!((mended.result, mended.played.len()), (Ok(()), 501));
        assert_eq!(&mended.played[0], &(failed.clone(), true));
        assert_eq!(fs::read_to_string(file).expect("the seeds"), kept);

        drop(scratch);
        assert!(!path.exists());
    });
}
