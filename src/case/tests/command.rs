use crate::case::*;
use crate::{Kind, Polite, Protocol, Sigpipe, Target};

const WHOLE: &str = r#"brokenpipe case 1
command: ./server --port {port} 'it'"'"'s: #1' ''
env: LANG=C
env: "TWO=lines\nof it"
cwd: /srv/with a blank
setup: mkdir {dir}/data && echo "ready"
sigpipe: blocked
protocol: http
say: "GET / HTTP/1.0\r\n\r\n"
say: "\x00\xff"
polite: curl -sf http://127.0.0.1:{port}/
options: no-gate no-netns listen-fd
expect: close-wait-leak
cause: a # is no comment here

a connect
repeat 5 { b connect; b rst }
"#;

fn target(case: &Case) -> &Target {
    let Subject::Command(target) = &case.subject else { unreachable!("it has a command") };
    target
}

/// The error message for a file that consists of the first line and these lines.
fn error(lines: &str) -> String {
    format!("brokenpipe case 1\n{lines}").parse::<Case>().expect_err(lines).to_string()
}

#[track_caller]
fn says(lines: &str, parts: &[&str]) {
    let error = error(lines);
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn every_header_is_read() {
    let case: Case = WHOLE.parse().unwrap();
    let target = Target::command(["./server", "--port", "{port}", "it's: #1", ""])
        .env("LANG", "C")
        .env("TWO", "lines\nof it")
        .cwd("/srv/with a blank")
        .setup("mkdir {dir}/data && echo \"ready\"")
        .sigpipe(Sigpipe::Blocked)
        .protocol(Protocol::Http)
        .say(b"GET / HTTP/1.0\r\n\r\n")
        .say(b"\0\xff")
        .polite(Polite::Command("curl -sf http://127.0.0.1:{port}/".to_owned()))
        .gate(false)
        .namespace(false)
        .listen_fd(true);
    let scenario = "a connect; repeat 5 { b connect; b rst }".parse().unwrap();
    let cause = "a # is no comment here".to_owned();
    let (subject, expect) = (Subject::Command(target), Expect::Finding(Kind::CloseWaitLeak));
    assert_eq!(case, Case { subject, expect, cause, scenario });
    assert_eq!(case.to_string().parse(), Ok(case));
}

#[test]
fn a_canonical_file_says_no_more_than_it_must() {
    let text = "brokenpipe case 1\ncommand: ./server --port {port}\nprotocol: none\nexpect: exit\n\na connect\na rst\n";
    let case: Case = text.parse().unwrap();
    assert_eq!(case.to_string(), text);
    let short = text.replace("protocol: none\n", "");
    assert_eq!(short.parse(), Ok(case));
}

#[test]
fn a_command_may_have_lines_and_comments() {
    let text = "brokenpipe case 1\ncommand: python3 -c '\nimport socket\n\nprint(1)\n' {port} # it's so\nexpect: exit\n\na rst\n";
    let case: Case = text.parse().unwrap();
    assert_eq!(target(&case).words(), ["python3", "-c", "\nimport socket\n\nprint(1)\n", "{port}"]);
    assert_eq!(case.scenario.to_string(), "a rst");
    assert_eq!(case.to_string().parse(), Ok(case));
}

#[test]
fn a_polite_client_is_a_protocols_unless_it_is_quoted() {
    let polite = |value: &str| {
        let text = format!("brokenpipe case 1\ncommand: x\npolite: {value}\nexpect: exit\n");
        let case: Case = text.parse().unwrap();
        assert_eq!(case.to_string().parse(), Ok(case.clone()));
        target(&case).polite.clone()
    };
    assert_eq!(polite("redis"), Polite::As(Protocol::Redis));
    assert_eq!(polite("\"redis\""), Polite::Command("redis".to_owned()));
    assert_eq!(polite("./ask {port}"), Polite::Command("./ask {port}".to_owned()));
}

#[test]
fn errors_name_the_place_and_what_would_be_right() {
    says("expect: exit", &["line 2, column 13", "`program:` is missing", "`command: …`"]);
    says("command: x", &["line 2, column 11", "`expect:` is missing"]);
    says("command: x\ncomand: y", &["line 3, column 1", "`comand` is no header", "did you mean `command`?"]);
    says("comand: x\nexpect: exit", &["line 2, column 1", "`comand` is no header", "did you mean `command`?"]);
    says("command: x\ncommand: y", &["line 3, column 1", "a second `command:`"]);
    says("command:  # nothing", &["line 2, column 11", "there is no command"]);
    says("command: it's\nexpect: exit", &["line 2, column 10", "a quotation mark that is never closed"]);
    says("command: x\nenv: LANG", &["line 3, column 6", "`LANG` sets no variable", "NAME=VALUE"]);
    says("command: x\nenv: A=1\nenv: B=1\nenv: A=2\nexpect: exit", &["line 5, column 6", "`A` is set twice"]);
    says("command: x\nsay: GET", &["line 3, column 6", "`GET` is no number", "quoted"]);
    says("command: x\nsay: 5", &["line 3, column 6", "this is not quoted"]);
    says("command: x\nsay: \"\\q\"", &["line 3, column 7", "an unknown escape"]);
    says("command: x\nsay: \"a\" \"b\"", &["line 3, column 10", "where the statement should end"]);
    says("command: x\nsay: \"a\"; \"b\"", &["line 3, column 6", "there is more than one"]);
    says("command: x\nsetup: \"\\xff\"", &["line 3, column 8", "this is no UTF-8"]);
    says("command: x\nsetup:", &["line 3, column 7", "something is missing here"]);
    says("command: x\nsigpipe: ignored", &["line 3, column 10", "did you mean `ignore`?"]);
    says("command: x\nprotocol: htpt", &["line 3, column 11", "did you mean `http`?"]);
    says(
        "command: x\noptions: no-gate no-nets",
        &["line 3, column 10", "`no-nets` is no option", "did you mean `no-netns`?"],
    );
    says("command: x\nexpect: sigpip", &["line 3, column 9", "did you mean `sigpipe`?"]);
    says("command: x\nexpect: exit\n\na conect", &["line 5, column 3", "did you mean `connect`?"]);
}

#[test]
fn a_byte_order_mark_is_passed_over_and_places_are_those_of_the_file() {
    let marked = format!("\u{feff}{WHOLE}");
    assert_eq!(marked.parse::<Case>(), WHOLE.parse());
    let error = "\u{feff}brokenpipe case 1\r\ncommand: x\r\nexpct: exit\r\n".parse::<Case>().unwrap_err();
    assert_eq!((error.line, error.column, error.offset), (3, 1, 34));
    let error = "\u{feff}brokenpipe case 2\n".parse::<Case>().unwrap_err();
    assert!(error.problem.starts_with("`2` is no version"), "{error}");
}

#[test]
fn a_file_is_of_either_kind_by_its_headers() {
    let command: Case = WHOLE.parse().unwrap();
    assert_eq!(command.expect, Expect::Finding(Kind::CloseWaitLeak));
    let program =
        "brokenpipe case 1\nprogram: greeter\npolicy: default\nexpect: survived\ncause: command: none\n\na connect\n";
    let program: Case = program.parse().unwrap();
    assert!(matches!((&program.subject, &program.expect), (Subject::Program(_), Expect::Run(_))));
    for case in [command, program] {
        assert_eq!(case.to_string().parse(), Ok(case));
    }
    let both = "brokenpipe case 1\ncommand: x\nprogram: greeter\nexpect: exit".parse::<Case>().unwrap_err();
    assert_eq!((both.line, both.problem.as_str()), (3, "`program` is no header"));
}

#[test]
fn what_is_saved_can_be_loaded() {
    let case: Case = WHOLE.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.case");
    case.save(&path).unwrap();
    assert_eq!(Case::load(&path).unwrap(), case);
}

#[cfg(feature = "proptest")]
mod properties {
    use super::*;
    use crate::strategy;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    /// Text that is hard to quote: quotation marks, blanks, line ends, and characters that have a meaning in a shell or in this format.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => select(&["'", "\"", "\\", "\n", "\r\n", " ", "\t", "#", "{port}", "{dir}", "{", ":", ";", "$x", "a", "é", "\u{2028}"][..])
                .prop_map(str::to_owned),
            1 => any::<char>().prop_filter("in no word", |c| *c != '\0').prop_map(String::from),
        ];
        vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn target() -> impl Strategy<Value = Target> {
        let variable = (text().prop_filter("a name", |n| !n.is_empty() && !n.contains('=')), text());
        let polite = prop_oneof![
            Just(Polite::Protocol),
            select(&Protocol::ALL[..]).prop_map(Polite::As),
            select(&["http", "none", "ask {port}"][..]).prop_map(|text| Polite::Command(text.to_owned())),
            text().prop_map(Polite::Command),
        ];
        (
            (
                vec(text(), 1..4),
                vec(variable, 0..3),
                proptest::option::of(vec(any::<u8>(), 0..6)),
                proptest::option::of(text()),
            ),
            (select(&Sigpipe::ALL[..]), select(&Protocol::ALL[..]), vec(vec(any::<u8>(), 0..9), 0..3), polite),
            any::<[bool; 3]>(),
        )
            .prop_map(
                |(
                    (words, environment, cwd, setup),
                    (sigpipe, protocol, says, polite),
                    [gate, namespace, listen_fd],
                )| {
                    let target = Target::command(words).sigpipe(sigpipe).protocol(protocol).polite(polite);
                    let target = target.gate(gate).namespace(namespace).listen_fd(listen_fd);
                    // A variable that is set twice is an error.
                    let environment: std::collections::BTreeMap<_, _> = environment.into_iter().collect();
                    let target = environment.into_iter().fold(target, |target, (name, value)| target.env(name, value));
                    let target = says.into_iter().fold(target, Target::say);
                    let target = cwd.into_iter().fold(target, |target, cwd| target.cwd(OsString::from_vec(cwd)));
                    setup.into_iter().fold(target, Target::setup)
                },
            )
    }

    const HEADERS: [&str; 13] = [
        "program", "policy", "command", "env", "cwd", "setup", "sigpipe", "protocol", "say", "polite", "options",
        "expect", "cause",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn every_case_is_read_as_it_was_written(
            target in target(),
            expect in select(Kind::ALL.into_iter().filter(|kind| !kind.is_of_programs()).collect::<Vec<_>>()),
            cause in "([!-~]{1,5}( [!-~]{1,5}){0,3})?",
            scenario in strategy::scenarios(0..=6, 3),
        ) {
            let (subject, expect) = (Subject::Command(target), Expect::Finding(expect));
            let case = Case { subject, expect, cause, scenario };
            let text = case.to_string();
            let read: Case = text.parse().map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(&read, &case, "{}", text);
            prop_assert_eq!(read.to_string(), text);
        }

        #[test]
        fn no_text_is_too_much_for_it(text in "(.|\n){0,60}", header in select(&HEADERS[..])) {
            let _ = format!("brokenpipe case 1\n{header}: {text}").parse::<Case>();
        }
    }
}
