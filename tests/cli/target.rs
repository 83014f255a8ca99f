//! `hunt -- COMMAND…`: its findings, case files and output, and the replay of the cases.

use crate::server::{Server, command, hunt, hunted};
use crate::util::{Folder, Said, brokenpipe, run};
use std::fs;
use std::process::Command;

/// The only case in a folder. Beside it there is only the file with the server's output.
fn case(dir: &Folder) -> String {
    let names = dir.names();
    let [case, output] = &names[..] else { panic!("one case and its output, not {names:?}") };
    assert_eq!(case.strip_suffix(".case").expect("a case"), output.strip_suffix(".output").expect("an output"));
    case.clone()
}

fn in_folder(dir: &Folder, args: &[&str]) -> Said {
    Said::of(brokenpipe().args(args).current_dir(dir.path()).output().expect("the binary runs"))
}

#[test]
fn it_says_what_the_server_is_like_and_what_is_wrong_with_it_and_the_printed_command_replays_it() {
    let dir = Folder::new();
    let said = hunted(&dir, Server::Greeter, &["--first"]).code(1);
    assert_eq!(said.err, "", "off a terminal no progress is shown");
    let (server, finding) = said.out.split_once("\n\n").expect("the server, then the rest");
    for part in [
        "server:   ",
        "\nsigpipe:  requested default, effective default\n",
        "\ngate:     ",
        "\nnetwork:  ",
        "\nclients:  one after the other (iterative)\n",
        "\nidle:     processes: 1, threads: ",
    ] {
        assert!(server.contains(part), "no {part:?} in\n{server}");
    }
    assert!(
        finding.starts_with("finding: sigpipe: a process of the server was killed by SIGPIPE, 3 times of 3\n"),
        "{finding}"
    );
    let case = case(&dir);
    let mut from = finding;
    for part in [
        "\nscenario: ",
        "\ncommand:  ",
        "\nprocess:  main\n",
        "\nthe server was killed by SIGPIPE",
        "✗ killed by SIGPIPE\n",
        "\nadvice: pass MSG_NOSIGNAL",
        &format!("\ncase:   ./{case}\n"),
        ".output\n",
        "replay: ",
        " scenarios, 1 finding",
    ] {
        let at = from.find(part).unwrap_or_else(|| panic!("no {part:?} where it should be in\n{finding}"));
        from = &from[at + part.len()..];
    }
    assert!(finding.trim_end().lines().last().is_some_and(|last| last.ends_with(" s")), "{finding}");

    let replay = said.out.lines().find_map(|line| line.strip_prefix("replay: ")).expect("a command");
    let output = Command::new("sh").args(["-c", replay]).current_dir(dir.path()).output().expect("a shell");
    let replayed = Said::of(output).code(0);
    assert_eq!(replayed.out, format!("ok      ./{case}: sigpipe 3 of 3\n1 case: 1 ok, 0 failed\n"));
    in_folder(&dir, &["explain", "--run", &case])
        .code(0)
        .out("sigpipe: the server was killed by SIGPIPE")
        .out("✗ killed by SIGPIPE");
}

#[test]
fn the_case_holds_all_that_the_server_was_started_and_talked_to_with() {
    let dir = Folder::new();
    fs::write(dir.path().join("payload"), b"from a file\xff").expect("a scratch file");
    let options = [
        "--first",
        "--protocol",
        "none",
        "--say",
        r"it's\r\n",
        "--say-file",
        "payload",
        "--listen-fd",
        "--setup",
        "touch {dir}/made",
        "--cwd",
        "/",
        "--sigpipe",
        "ignore",
        "--out",
        "cases/of mine",
    ];
    hunted(&dir, Server::Greeter, &options).code(1).out("requested ignore, effective default");
    let cases = fs::read_dir(dir.path().join("cases/of mine")).expect("a folder");
    let mut paths = cases.map(|entry| entry.expect("an entry").path());
    let path = paths.find(|path| path.extension().is_some_and(|ending| ending == "case")).expect("a case");
    let text = fs::read_to_string(&path).expect("a case");
    let (headers, events) = text.split_once("\n\n").expect("headers and events");
    assert!(headers.starts_with("brokenpipe case 1\ncommand: /"), "{text}");
    for line in [
        "env: CLI_SERVER=Greeter",
        "cwd: /",
        "setup: touch {dir}/made",
        "sigpipe: ignore",
        "protocol: none",
        r#"say: "it\x27s\r\n""#,
        r#"say: "from a file\xff""#,
        "options: listen-fd",
        "expect: sigpipe",
    ] {
        assert!(headers.lines().any(|other| other == line), "no {line:?} in\n{text}");
    }
    assert!(headers.lines().any(|line| line.starts_with("cause: the server was killed by SIGPIPE")), "{text}");
    assert!(events.lines().any(|event| event == "a connect"), "{text}");
    in_folder(&dir, &["replay", "cases"]).code(0).out("sigpipe 3 of 3");
}

#[test]
fn a_server_that_takes_care_is_a_success() {
    let dir = Folder::new();
    let said = hunted(&dir, Server::Careful, &["--cases", "60"]).code(0);
    let last = said.out.lines().last().unwrap_or_default();
    assert!(last.starts_with("60 scenarios, 0 findings in ") && last.ends_with(" s"), "{last}");
    assert!(!said.out.contains("finding:"), "{}", said.out);
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}

#[test]
fn growing_memory_is_a_warning_and_a_success() {
    let dir = Folder::new();
    hunted(&dir, Server::Hoarder, &["--cases", "1", "--sigpipe", "ignore"])
        .code(0)
        .out("\nwarning: memory-growth: resident memory grows")
        .out("\n1 scenario, 0 findings, 1 warning in ");
    assert!(case(&dir).ends_with("-memory-growth.case"), "{:?}", dir.names());
}

/// A scenario that shows a failure only with an injected error.
const INJECTED: &str = "fault accept ECONNABORTED; a connect";

#[test]
fn what_needs_an_injected_error_is_a_warning_and_counts_only_if_it_is_to() {
    let dir = Folder::new();
    let said = hunted(&dir, Server::Aborted, &["--cases", "60"])
        .code(0)
        .out("\nwarning: exit: the server, or one of its workers, ended by itself, 3 times of 3\n")
        .out(&format!("\nscenario: {INJECTED}\n"))
        .out("in or after accept4, which failed with ECONNABORTED")
        .out("\nnote:   ECONNABORTED is what brokenpipe answered accept with");
    let last = said.out.lines().last().unwrap_or_default();
    assert!(last.starts_with("60 scenarios, 0 findings, 1 warning in "), "{last}");
    in_folder(&dir, &["replay", &case(&dir)]).code(0).out("exit 3 of 3");

    let dir = Folder::new();
    let said = hunted(&dir, Server::Aborted, &["--cases", "60", "--first", "--strict", "--format", "json"]).code(1);
    let [line] = &said.out.lines().collect::<Vec<_>>()[..] else { panic!("one line, not\n{}", said.out) };
    let warning: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&warning["severity"], &warning["injected"]), (&"warning".into(), &true.into()), "{line}");
    assert_eq!((&warning["call"], &warning["state"]), (&"accept4".into(), &"LISTEN".into()), "{line}");

    let said = hunted(&Folder::new(), Server::Aborted, &["--cases", "60", "--no-faults"]).code(0);
    let last = said.out.lines().last().unwrap_or_default();
    assert!(last.starts_with("60 scenarios, 0 findings in "), "{last}");
}

#[test]
fn an_error_is_injected_for_a_scenarios_client_and_for_nobody_else() {
    let dir = Folder::new();
    hunted(&dir, Server::Aborted, &["--cases", "60"]).code(0);
    let case = case(&dir);
    let path = dir.path().join(&case);
    let text = fs::read_to_string(&path).expect("the case");
    // Now the polite client afterwards is the only client.
    fs::write(&path, text.replace("a connect", "")).expect("the case");
    in_folder(&dir, &["replay", &case]).code(1).out("got: nothing wrong\n");
}

#[test]
fn what_no_fresh_server_confirms_is_told_before_the_last_line_and_is_no_finding() {
    let options = ["--cases", "120", "--no-faults"];
    let dir = Folder::new();
    let said = hunted(&dir, Server::Tired, &options).code(0).out("\nnot confirmed: exit: `");
    let told: Vec<&str> = said.out.lines().filter(|line| line.starts_with("not confirmed: ")).collect();
    // On a busy machine there may be other unconfirmed results.
    let ends = |line: &&&str| line.starts_with("not confirmed: exit: ");
    assert!(told.iter().filter(ends).all(|line| line.contains("`: the server exited with 0")), "{told:?}");
    let last = said.out.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("120 scenarios, 0 findings, {} not confirmed in ", told.len())), "{last}");
    assert!(dir.names().is_empty(), "{:?}", dir.names());

    let said = hunted(&dir, Server::Tired, &[&options[..], &["--format", "json"]].concat()).code(0);
    assert_eq!(said.out, "", "a line on standard output is a finding");
    let objects: Vec<&str> = said.err.lines().filter(|line| line.starts_with('{')).collect();
    assert!(said.err.contains(&format!(", {} not confirmed in ", objects.len())), "{}", said.err);
    let objects: Vec<serde_json::Value> =
        objects.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(objects.iter().any(|object| object["kind"] == "exit"), "{}", said.err);
    for object in objects {
        assert_eq!(object["severity"], "unconfirmed", "{object}");
        assert_eq!((object["confirmed"].as_u64(), &object["case"]), (Some(0), &serde_json::Value::Null), "{object}");
        assert!(object["scenario"].as_str().is_some_and(|scenario| !scenario.is_empty()), "{object}");
    }
}

/// The fields of a result in the order of docs/json.md.
const FIELDS: [&str; 23] = [
    "kind",
    "confirmed",
    "of",
    "warning",
    "severity",
    "injected",
    "scenario",
    "minimal",
    "command",
    "process",
    "role",
    "call",
    "state",
    "evidence",
    "advice",
    "gate",
    "virtual_time",
    "timeouts",
    "held",
    "namespace",
    "sigpipe",
    "case",
    "steps",
];

#[test]
fn as_json_there_is_one_object_a_finding_and_the_rest_goes_to_standard_error() {
    let dir = Folder::new();
    let said = hunted(&dir, Server::Greeter, &["--first", "--format", "json"]).code(1);
    let [line] = &said.out.lines().collect::<Vec<_>>()[..] else { panic!("one line, not\n{}", said.out) };
    let finding: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let mut from = *line;
    for field in FIELDS {
        let name = format!("{}\"{field}\":", if field == "kind" { "{" } else { "," });
        let at = from.find(&name).unwrap_or_else(|| panic!("no {name} where it should be in {line}"));
        from = &from[at + name.len()..];
    }
    assert_eq!(finding.as_object().expect("an object").len(), FIELDS.len(), "{line}");
    assert_eq!(finding["kind"], "sigpipe");
    assert_eq!((finding["confirmed"].as_u64(), finding["of"].as_u64()), (Some(3), Some(3)));
    assert_eq!(finding["warning"], false);
    assert_eq!((&finding["severity"], &finding["injected"]), (&"finding".into(), &false.into()));
    assert_eq!((&finding["process"], &finding["role"]), (&"main".into(), &"main".into()));
    assert_eq!(finding["call"], "send");
    assert!(finding["state"].is_string(), "{line}");
    assert_eq!(finding["command"], serde_json::json!(command()));
    assert_eq!(finding["sigpipe"], serde_json::json!({ "requested": "default", "effective": "default" }));
    assert_eq!(finding["case"], format!("./{}", case(&dir)));
    let steps = finding["steps"].as_array().expect("the steps");
    assert!(steps.iter().any(|step| step["event"] == "a connect"), "{line}");
    assert!(said.err.starts_with("server:   "), "{}", said.err);
    assert!(
        said.err.lines().last().is_some_and(|last| last.contains(", 1 finding") && last.ends_with(" s")),
        "{}",
        said.err
    );
}

#[test]
fn without_the_gate_a_finding_that_needs_hold_is_told_so() {
    let dir = Folder::new();
    let said = hunted(&dir, Server::Greeter, &["--first", "--no-gate"])
        .code(1)
        .out("gate:     none (it was not asked for): `hold` stops its processes")
        .out("finding: sigpipe: ");
    let scenario = said.out.lines().find_map(|line| line.strip_prefix("scenario: ")).expect("a scenario");
    assert_eq!(scenario.contains("hold"), said.out.contains("\nnote:   "), "{}", said.out);
    let text = fs::read_to_string(dir.path().join(case(&dir))).expect("the case");
    assert!(text.contains("\noptions: no-gate\n"), "{text}");
}

#[test]
fn where_no_case_can_be_written_the_finding_is_shown_with_it_all_the_same() {
    let dir = Folder::new();
    fs::write(dir.path().join("file"), "").expect("a scratch file");
    let said = hunted(&dir, Server::Greeter, &["--out", "file/cases"])
        .code(3)
        .err("cannot write a case file into file/cases")
        .out("finding: sigpipe: ");
    let case = said.out.split_once("brokenpipe case 1\n").expect("the case itself").1;
    let [headers, events, rest] = case.splitn(3, "\n\n").collect::<Vec<_>>()[..] else { panic!("{case}") };
    assert!(rest.contains(" finding"), "the hunt went on: {rest}");
    fs::write(dir.path().join("a.case"), format!("brokenpipe case 1\n{headers}\n\n{events}\n")).expect("a file");
    in_folder(&dir, &["replay", "a.case"]).code(0).out("sigpipe 3 of 3");
}

#[test]
fn a_server_that_cannot_be_hunted_is_told_apart_from_wrong_usage() {
    let dir = Folder::new();
    hunted(&dir, Server::Broken, &[])
        .code(3)
        .err("exited with 7")
        // The server's output is shown without its escape sequences.
        .err("no ?[31mconfiguration?[0m");
    in_folder(&dir, &["hunt", "--", "./nowhere", "{port}"]).code(2).err("there is no such file");
    in_folder(&dir, &["hunt", "--", "no-such-program", "{port}"]).code(2).err("`no-such-program` is not in PATH");
    let said = hunted(&dir, Server::Careful, &["--setup", "echo no database >&2; exit 5"]).code(2);
    assert!(said.err.contains("the setup command") && said.err.contains("no database"), "{}", said.err);
    hunted(&dir, Server::Careful, &["--protocol", "redis", "--first"])
        .code(3)
        .err("`--protocol` and `--polite` say how to ask");
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}

#[test]
fn nothing_to_play_has_its_code() {
    hunted(&Folder::new(), Server::Careful, &["--cases", "0"]).code(4).err("nothing ran");
    hunted(&Folder::new(), Server::Careful, &["--seconds", "0"]).code(4).err("nothing ran");
}

#[test]
fn options_and_their_values_are_checked() {
    let refused = |args: &[&str]| run(&[&["hunt"][..], args].concat()).code(2);
    for option in [&["--program", "echo"][..], &["--policy", "ignore"], &["--jobs", "2"]] {
        refused(&[option, &["--", "./server"]].concat()).err("cannot be used with").err("COMMAND");
    }
    for option in [
        &["--protocol", "http"][..],
        &["--say", "x"],
        &["--say-file", "x"],
        &["--polite", "http"],
        &["--listen-fd"],
        &["--env", "A=b"],
        &["--cwd", "/"],
        &["--setup", "true"],
        &["--sigpipe", "ignore"],
        &["--no-netns"],
        &["--no-gate"],
        &["--strict"],
        &["--first"],
    ] {
        refused(option).err("<COMMAND>...").err("-- <COMMAND>...");
    }
    refused(&["--protocol", "htpt", "--", "x"]).err("`htpt` is no protocol").err("did you mean `http`?");
    refused(&["--polite", "ehco", "--", "x"]).err("did you mean `echo`?").err("or a shell command");
    refused(&["--sigpipe", "ignroe", "--", "x"]).err("did you mean `ignore`?");
    refused(&["--say", r"abc\q", "--", "x"]).err("--say, line 1, column 4: an unknown escape");
    refused(&["--say-file", "/nowhere", "--", "x"]).err("cannot read /nowhere");
    refused(&["--env", "=b", "--", "x"]).err("expected NAME=VALUE");
    refused(&["--cases", "1", "--seconds", "1", "--", "x"]).err("cannot be used with");
    refused(&["./server"]).err("unexpected argument './server'").err("[-- <COMMAND>...]");
    let dir = Folder::new();
    fs::File::create(dir.path().join("long")).and_then(|file| file.set_len((64 << 20) + 1)).expect("a scratch file");
    in_folder(&dir, &["hunt", "--say-file", "long", "--", "x"])
        .code(2)
        .err("these are more bytes than clients send at most, 67108864");
}

#[test]
fn replay_says_what_came_instead_and_explain_what_it_cannot_do() {
    let dir = Folder::new();
    hunted(&dir, Server::Greeter, &["--first"]).code(1);
    let case = case(&dir);
    let path = dir.path().join(&case);
    let text = fs::read_to_string(&path).expect("the case");

    fs::write(&path, text.replace("CLI_SERVER=Greeter", "CLI_SERVER=Careful")).expect("the case");
    in_folder(&dir, &["replay", &case])
        .code(1)
        .out(&format!("FAILED  {case}\n        expected: sigpipe 3 of 3\n             got: nothing wrong\n"));
    in_folder(&dir, &["explain", "--run", &case]).code(0).out("nothing was seen to be wrong\n");

    fs::write(&path, text.replace("expect: sigpipe", "expect: exit")).expect("the case");
    in_folder(&dir, &["replay", &case]).code(1).out("got: sigpipe: the server was killed by SIGPIPE");

    fs::write(&path, text.replace("CLI_SERVER=Greeter", "CLI_SERVER=Broken")).expect("the case");
    in_folder(&dir, &["replay", &case]).code(3).out("FAILED  ").out("1 not played").err("exited with 7");
    in_folder(&dir, &["explain", "--run", &case]).code(3).err("exited with 7");

    fs::write(&path, text.replace("expect: sigpipe", "expect: sigpip")).expect("the case");
    in_folder(&dir, &["replay", &case]).code(2).err("did you mean `sigpipe`?").out("1 unreadable");

    fs::write(&path, text).expect("the case");
    for options in [&["--world", "both"][..], &["--program", "echo"], &["--policy", "ignore"]] {
        in_folder(&dir, &[&["explain"][..], options, &[&case]].concat()).code(2).err("this case is of a command");
    }
}

#[test]
fn cases_of_both_kinds_are_replayed_in_the_order_of_their_names() {
    let dir = Folder::new();
    hunt(&dir, Server::Greeter, &["--first"]).output().expect("the binary runs");
    fs::rename(dir.path().join(case(&dir)), dir.path().join("b.case")).expect("the case");
    for name in ["a.case", "c.case"] {
        let program = "brokenpipe case 1\nprogram: echo\nexpect: survived\n\na connect\n";
        fs::write(dir.path().join(name), program).expect("a scratch file");
    }
    let said = in_folder(&dir, &["replay", "."]).code(0);
    let expected = "ok      ./a.case: survived\nok      ./b.case: sigpipe 3 of 3\nok      ./c.case: survived\n3 cases: 3 ok, 0 failed\n";
    assert_eq!(said.out, expected);
}
