//! Every file in `tests/cases` is a test of its own name: its scenario is played on the kernel and in the model, and both must behave as
//! the file expects. No file is ever rewritten: a developer must decide about a case that no longer behaves as expected.
//!
//! `cargo test --test cases close-wait` plays the cases with `close-wait` in their names. `cargo nextest` lists each case by name.

use brokenpipe::{Case, Kernel, Model, Subject, Trace, compare, play, report};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = trials(Path::new(CASES)).unwrap_or_else(|error| {
        // If the folder cannot be read, a test fails, so that every test runner reports it.
        vec![Trial::test("cases-can-be-listed", move || Err(format!("cannot list {CASES}: {error}").into()))]
    });
    trials.extend(of_the_runner());
    libtest_mimic::run(&args, trials).exit_code()
}

/// A test for each file in `folder`, and one that fails if there is no file.
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

/// The name of a file's test: the file's name without `.case`, or the whole name if it has another extension.
fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".case").unwrap_or(&name).to_owned()
}

/// Plays the case in a file.
fn replay(file: &Path) -> Result<(), Failed> {
    // If other extensions were skipped, a misnamed case would never be played, and no test would fail.
    if file.extension().is_none_or(|ending| ending != "case") {
        return Err(format!("{}: only `.case` files belong here", file.display()).into());
    }
    holds(&Case::load(file)?).map_err(|failed| match failed.message() {
        Some(message) => format!("{}: {message}", file.display()).into(),
        None => failed,
    })
}

/// Checks that a case behaves as expected in both worlds, and that their traces are equal. `expect:` does not contain the TCP states, the
/// clients' results, or the client on which a surviving server waits.
fn holds(case: &Case) -> Result<(), Failed> {
    let setup = match &case.subject {
        Subject::Program(setup) => setup,
        // The server may not be installed here, and there is no model to compare with.
        Subject::Command(target) => {
            return Err(format!("a case of `{}`, which `brokenpipe replay` plays", target.command_line()).into());
        }
    };
    let (mut kernel, mut model) = (Trace::default(), Trace::default());
    play(&mut Kernel::new()?, setup, &case.scenario, &mut kernel)?;
    let Ok(()) = play(&mut Model::default(), setup, &case.scenario, &mut model);
    let story = || report::explain(&case.scenario, setup, &kernel);
    for (world, trace) in [("kernel", &kernel), ("model", &model)] {
        case.check(trace).map_err(|mismatch| format!("in the {world} world:\n{mismatch}\n\n{}", story()))?;
    }
    match compare(&kernel, &model) {
        None => Ok(()),
        Some(difference) => Err(format!("the worlds disagree: {difference}\n\n{}", story()).into()),
    }
}

/// Tests of the runner itself: wrong cases fail, each for its own reason.
fn of_the_runner() -> Vec<Trial> {
    const WRONG: [(&str, &str, &str); 4] = [
        ("a-wrong-outcome", "survived", "expected: survived\n     got: killed by SIGPIPE at 4"),
        (
            "a-wrong-place",
            "killed by SIGPIPE at 3",
            "expected: killed by SIGPIPE at 3\n     got: killed by SIGPIPE at 4",
        ),
        ("a-call-that-never-came", "killed by SIGPIPE at 4; send a ECONNRESET", "missing: send a ECONNRESET"),
        ("calls-in-another-order", "killed by SIGPIPE at 4; send a EPIPE SIGPIPE; accept a", "missing: accept a"),
    ];
    let wrong = WRONG.map(|(what, expect, why)| fails(what, why, move || holds(&death(expect).parse()?)));
    let mut trials = vec![
        Trial::test("runner-passes-what-is-as-expected", || {
            holds(&death("killed by SIGPIPE at 4; accept a; send a EPIPE SIGPIPE").parse()?)
        }),
        fails("a-folder-without-a-case", "nothing has been tested", || there_are(0)),
        fails("a-file-that-is-not-there", "cannot read none.case", || replay(Path::new("none.case"))),
        fails(
            "a-case-of-any-server",
            "a case of `./server {port}`, which `brokenpipe replay` plays",
            a_case_of_any_server,
        ),
        fails("a-file-of-another-ending", "only `.case` files", || replay(Path::new("stray.cases"))),
        fails("a-file-that-does-not-parse", "line 3, column 19", || holds(&death("killed by SIGPIP at 4").parse()?)),
    ];
    trials.extend(wrong);
    trials
}

/// Plays a file that is a case of a server command.
fn a_case_of_any_server() -> Result<(), Failed> {
    let file = std::env::temp_dir().join(format!("brokenpipe-cases-{}.case", std::process::id()));
    fs::write(&file, "brokenpipe case 1\ncommand: ./server {port}\nexpect: exit\n\na connect; a rst")?;
    let result = replay(&file);
    fs::remove_file(&file)?;
    result
}

/// The text of a case in which the greeter is killed at event 4.
fn death(expect: &str) -> String {
    format!("brokenpipe case 1\nprogram: greeter\nexpect: {expect}\n\nhold; a connect; a fin; a rst; go")
}

/// A test that passes if `test` fails with a message that contains `why`.
fn fails(what: &str, why: &'static str, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(format!("runner-fails-{what}"), move || {
        let failed = test().err().ok_or("it passed")?;
        let message = failed.message().unwrap_or_default();
        if message.contains(why) { Ok(()) } else { Err(format!("it failed, but by: {message}").into()) }
    })
}
