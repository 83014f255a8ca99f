use crate::case::*;
use crate::model::Model;
use crate::subject::{Policy, Program};
use crate::world::{certain, play};

const DEATH: &str = "\
brokenpipe case 1
program: greeter
policy: default
expect: killed by SIGPIPE at 4; send b EPIPE SIGPIPE
cause: https://example.org/#1: an RST in CLOSE_WAIT leaves EPIPE; a # is no comment here

a connect
b connect
b fin
b rst
a close
";

fn setup(case: &Case) -> &Setup {
    let Subject::Program(setup) = &case.subject else { unreachable!("it has a program") };
    setup
}

fn under(case: &Case, setup: Setup) -> Case {
    Case { subject: Subject::Program(setup), ..case.clone() }
}

fn played(case: &Case) -> Trace {
    let mut trace = Trace::default();
    certain(play(&mut Model::default(), setup(case), &case.scenario, &mut trace));
    trace
}

/// The error message for a file that consists of the first line and these lines.
fn error(lines: &str) -> String {
    format!("brokenpipe case 1\n{lines}").parse::<Case>().expect_err(lines).to_string()
}

fn expect(text: &str) -> Result<ExpectedRun, ParseError> {
    text.parse()
}

#[test]
fn a_canonical_file_is_printed_as_it_was_read() {
    let case: Case = DEATH.parse().unwrap();
    assert_eq!(case.to_string(), DEATH);
    assert_eq!(case.check(&played(&case)), Ok(()));
}

#[test]
fn headers_come_in_any_order_and_the_events_in_any_form() {
    let text =
        "brokenpipe case 1\r\nexpect: survived\r\nprogram: accept; recv; close\r\n\r\n# why\r\na connect; a rst # so";
    let case: Case = text.parse().unwrap();
    assert_eq!((setup(&case).policy, case.cause.as_str()), (Policy::Default, ""));
    assert_eq!(
        case.to_string(),
        "brokenpipe case 1\nprogram: accept; recv; close\npolicy: default\nexpect: survived\n\na connect\na rst\n"
    );
    assert_eq!(case.to_string().parse(), Ok(case));
}

#[test]
fn a_case_without_events_is_a_case() {
    let case: Case = "brokenpipe case 1\nprogram: echo\nexpect: survived".parse().unwrap();
    assert_eq!(case.scenario, Scenario::default());
    assert_eq!(case.to_string().parse(), Ok(case));
}

#[test]
fn a_case_made_from_a_run_holds_it_to_what_it_did() {
    let made: Case = DEATH.parse().unwrap();
    let case = Case::of(&made.scenario, setup(&made), &played(&made), "two\nlines");
    assert_eq!(case.expect, made.expect);
    assert!(case.to_string().contains("\ncause: two lines\n"));
    let handled = under(&made, Setup::new(setup(&made).program.clone(), Policy::NoSignal));
    let case = Case::of(&handled.scenario, setup(&handled), &played(&handled), "");
    assert_eq!(case.expect.to_string(), "survived; send b EPIPE");
}

#[test]
fn every_expectation_is_printed_as_it_was_read() {
    for text in [
        "survived",
        "killed by SIGPIPE at 0",
        "killed by SIGSEGV at teardown go",
        "killed by SIGPIPE at 2.9999.1; send b EPIPE SIGPIPE",
        "killed by signal 40 at teardown b",
        "exited with 101 at 12",
        "exited with -1 at 12",
        "stuck at teardown a; accept a; accept EMFILE; accept errno; accept errno 999",
        "survived; send a 26; send a ECONNRESET; send b EPIPE; send b EPIPE SIGPIPE; send a errno 999",
        "survived; recv a 0; recv a 40000; recv a ECONNRESET; shutdown a; shutdown a ENOTCONN; close a; close a EIO",
    ] {
        assert_eq!(expect(text).map(|e| e.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn every_call_that_a_model_run_makes_can_be_expected() {
    let made: Case = DEATH.parse().unwrap();
    for program in Program::presets() {
        let trace = played(&under(&made, Setup::new(program, Policy::Handler)));
        let expected = ExpectedRun::new(trace.outcome(), trace.calls().to_vec());
        assert_eq!(expected.to_string().parse(), Ok(expected.clone()));
        assert_eq!(expected.check(&trace), Ok(()));
    }
}

#[test]
fn expected_calls_may_have_others_between_them_but_keep_their_order() {
    let trace = played(&DEATH.parse().unwrap());
    let check = |text: &str| expect(text).unwrap().check(&trace).map_err(|m| m.to_string());
    assert_eq!(check("killed by SIGPIPE at 4; accept a; recv a 0; accept b"), Err(
        "expected: killed by SIGPIPE at 4; accept a; recv a 0; accept b\n     got: killed by SIGPIPE at 4; accept a; \
         send a 26; recv a ECONNRESET; close a; accept b; send b EPIPE SIGPIPE\n missing: recv a 0"
            .to_owned()
    ));
    assert_eq!(check("killed by SIGPIPE at 4; accept a; accept b; send b EPIPE SIGPIPE"), Ok(()));
    assert!(check("killed by SIGPIPE at 4; accept b; accept a").is_err());
    assert!(check("killed by SIGPIPE at 3").is_err());
    assert!(check("survived").is_err());
}

#[test]
fn a_file_that_is_no_case_is_told_from_one_of_another_version() {
    let error = |text: &str| text.parse::<Case>().expect_err(text);
    assert_eq!(
        error("brokenpipe case 2\n").to_string(),
        "line 1, column 17: `2` is no version known here; expected `brokenpipe case 1` as the first line"
    );
    assert_eq!(error("brokenpipe case 10").len, 2);
    assert!(error("a connect").to_string().contains("line 1, column 1: this is no case file"));
    assert!(error("").to_string().contains("this is no case file"));
    assert_eq!(error("brokenpip case 1\n").nearest, Some("brokenpipe case 1"));
}

#[test]
fn each_mistake_in_the_headers_has_its_place_and_its_words() {
    assert!(error("progam: greeter").starts_with("line 2, column 1: `progam` is no header"));
    assert!(error("progam: greeter").ends_with("did you mean `program`?"));
    assert!(error("program greeter").ends_with("did you mean `program`?"));
    assert!(error("program: echo\na connect").contains("line 3, column 1: `a connect` is no header"));
    assert!(error("program: echo\nexpect: survived\nprogram: echo").contains("line 4, column 1: a second `program:`"));
    assert!(error("expect: survived\n\na connect").contains("line 2, column 17: `program:` is missing"));
    assert!(error("program: echo").contains("line 2, column 14: `expect:` is missing"));
    assert!(error("").contains("`program:` is missing"));
}

#[test]
fn a_mistake_inside_a_header_or_an_event_is_told_with_its_place_in_the_file() {
    let found = error("policy: default\nprogram:  accept; send x; close\nexpect: survived\n");
    assert!(found.starts_with("line 3, column 24: `x` is no number"), "{found}");
    let found = error("program: echo\npolicy: ignor\nexpect: survived");
    assert!(found.starts_with("line 3, column 9: ") && found.ends_with("did you mean `ignore`?"), "{found}");
    let found = error("program: echo\nexpect: survived\n\n\na connect\n a conect");
    assert!(found.starts_with("line 7, column 4: ") && found.ends_with("did you mean `connect`?"), "{found}");
    let found = error("program: echo\nexpect: survived; recv é\n");
    assert!(found.starts_with("line 3, column 24: "), "{found}");
}

#[test]
fn each_mistake_in_an_expectation_has_its_words() {
    let error = |text: &str| expect(text).expect_err(text).to_string();
    assert!(error("").contains("nothing is expected here"));
    assert!(error("survive").ends_with("did you mean `survived`?"));
    assert!(error("killed SIGPIPE at 4").contains("`SIGPIPE` where `by` should be"));
    assert!(error("killed by SIGPIP at 4").ends_with("did you mean `SIGPIPE`?"));
    assert!(error("killed by SIGPIPE").contains("column 18: something is missing here; expected `at`"));
    assert!(error("killed by SIGPIPE at x").contains("the number of an event"));
    assert!(error("killed by SIGPIPE at taerdown a").ends_with("did you mean `teardown`?"));
    assert!(error("stuck at teardown hold").contains("names no client"));
    for bad in ["1.2", "1.2.3.4", "1..2", "1.70000.0", "+1.0.0", "a.0.0"] {
        assert!(error(&format!("stuck at {bad}")).contains("EVENT.ROUND.EVENT in a block"), "{bad}");
    }
    assert!(error("exited with x at 1").contains("an exit code"));
    assert!(error("stuck at 1 2").contains("where the statement should end"));
    assert!(error("survived; sendd a 1").ends_with("did you mean `send`?"));
    assert!(error("survived; send a ECONRESET").ends_with("did you mean `ECONNRESET`?"));
    assert!(error("survived; send a 26 SIGPIPE").contains("where the statement should end"));
    assert!(error("survived; accept EMFIL").contains("names no client"));
    assert!(error("survived; recv a 99999999999").contains("no such number"));
}

#[test]
fn a_saved_case_is_loaded_again_and_nothing_is_left_beside_it() {
    let dir = std::env::temp_dir().join(format!("brokenpipe-case-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (path, case): (_, Case) = (dir.join("death.case"), DEATH.parse().unwrap());
    case.save(&path).unwrap();
    case.save(&path).unwrap();
    assert!(!case.save_new(&path).unwrap());
    assert_eq!(Case::load(&path).unwrap(), case);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);

    fs::write(&path, "brokenpipe case 1\n").unwrap();
    let shown = path.display().to_string();
    assert!(Case::load(&path).unwrap_err().to_string().starts_with(&format!("{shown}: line 1, column 18: ")));
    let missing = dir.join("no").join("such.case");
    assert!(Case::load(&missing).unwrap_err().to_string().contains(&*missing.to_string_lossy()));
    assert!(case.save(&missing).unwrap_err().to_string().contains(&*missing.to_string_lossy()));
    // A directory cannot be replaced by a file. The attempt removes its temporary file.
    assert!(matches!(case.save(&dir), Err(CaseError::Write { .. })));
    fs::remove_dir_all(&dir).unwrap();
}
