//! Every file in `tests/cases` is a test of its own name: its scenario is played on the kernel and in the model, and both
//! must come to what the file expects. Nothing is ever rewritten: a case that no longer behaves is for a person to judge.
//!
//! `cargo test --test cases close-wait` plays those with `close-wait` in their names, and `cargo nextest` knows each by name.

use brokenpipe::{Case, Kernel, Model, Trace, compare, play, report};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = trials(Path::new(CASES)).unwrap_or_else(|error| {
        // A folder that cannot be read is a test that fails, so that every way of running the tests notices.
        vec![Trial::test("cases-can-be-listed", move || Err(format!("cannot list {CASES}: {error}").into()))]
    });
    trials.extend(of_the_runner());
    libtest_mimic::run(&args, trials).exit_code()
}

/// A test for each file in `folder`, and one that fails if there is none.
fn trials(folder: &Path) -> io::Result<Vec<Trial>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.sort();
    let count = files.len();
    let found = Trial::test("there-are-cases", move || there_are(count));
    let cases = files.into_iter().map(|file| Trial::test(name(&file), move || replay(&file)));
    Ok(std::iter::once(found).chain(cases).collect())
}

fn there_are(cases: usize) -> Result<(), Failed> {
    if cases == 0 { Err("not one case was found: nothing has been tested".into()) } else { Ok(()) }
}

/// The name of a file's test: that of the file without `.case`, or the whole of it if it has another ending.
fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".case").unwrap_or(&name).to_owned()
}

/// Plays the case in a file.
fn replay(file: &Path) -> Result<(), Failed> {
    // A case under any other ending would never be missed.
    if file.extension().is_none_or(|ending| ending != "case") {
        return Err(format!("{}: only `.case` files belong here", file.display()).into());
    }
    holds(&Case::load(file)?)
}

/// Whether a case comes to what it expects in both worlds, and whether they agree on all else: an `expect:` does not say
/// what the TCP states are, what the clients get, or on whom a survivor waits.
fn holds(case: &Case) -> Result<(), Failed> {
    let setup = case.setup();
    let (mut kernel, mut model) = (Trace::default(), Trace::default());
    play(&mut Kernel::new()?, &setup, &case.scenario, &mut kernel)?;
    let Ok(()) = play(&mut Model::default(), &setup, &case.scenario, &mut model);
    let story = || report::explain(&case.scenario, &setup, &kernel);
    for (world, trace) in [("kernel", &kernel), ("model", &model)] {
        case.check(trace).map_err(|mismatch| format!("in the {world} world:\n{mismatch}\n\n{}", story()))?;
    }
    match compare(&kernel, &model) {
        None => Ok(()),
        Some(difference) => Err(format!("the worlds disagree: {difference}\n\n{}", story()).into()),
    }
}

/// Tests of the runner itself: what must fail does.
fn of_the_runner() -> Vec<Trial> {
    const DEATH: &str = "brokenpipe case 1\nprogram: greeter\nexpect: EXPECT\n\nhold; a connect; a fin; a rst; go";
    let with = |expect: &str| holds(&DEATH.replace("EXPECT", expect).parse()?);
    let runner = |name: &str, test: fn(&dyn Fn(&str) -> Result<(), Failed>) -> Result<(), Failed>| {
        Trial::test(format!("runner-{name}"), move || test(&with))
    };
    vec![
        runner("passes-what-is-expected-rightly", |with| with("killed by SIGPIPE at 4; send a EPIPE SIGPIPE")),
        runner("fails-a-wrong-outcome", |with| must_fail(with("survived"))),
        runner("fails-a-wrong-place", |with| must_fail(with("killed by SIGPIPE at 3"))),
        runner("fails-a-call-that-never-came", |with| must_fail(with("killed by SIGPIPE at 4; send a ECONNRESET"))),
        runner("fails-calls-in-another-order", |with| {
            must_fail(with("killed by SIGPIPE at 4; send a EPIPE SIGPIPE; accept a"))
        }),
        Trial::test("runner-fails-where-there-is-no-case", || must_fail(there_are(0))),
        Trial::test("runner-fails-a-file-that-is-no-case", || must_fail(replay(Path::new(file!())))),
        Trial::test("runner-fails-a-case-that-is-not-there", || must_fail(replay(Path::new("none.case")))),
        Trial::test("runner-fails-a-case-that-does-not-parse", || {
            must_fail(DEATH.parse::<Case>().map(drop).map_err(Failed::from))
        }),
    ]
}

fn must_fail(result: Result<(), Failed>) -> Result<(), Failed> {
    match result {
        Ok(()) => Err("it passed".into()),
        Err(_) => Ok(()),
    }
}
