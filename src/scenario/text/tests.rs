//! Tests of parsing, and of the messages for mistakes.

use super::*;
use crate::scenario::Payload;

fn error(text: &str) -> String {
    text.parse::<Scenario>().expect_err(text).to_string()
}

#[test]
fn an_unknown_action_is_told_with_its_place_and_the_nearest_word() {
    let e = "a connect\nb conect".parse::<Scenario>().unwrap_err();
    assert_eq!((e.line, e.column, e.offset, e.len), (2, 3, 12, 6));
    assert_eq!(e.nearest, Some("connect"));
    assert_eq!(
        e.to_string(),
        "line 2, column 3: unknown client action `conect`; expected connect, send N, recv, fin, close, rst, vanish, \
         urgent or stall; did you mean `connect`?"
    );
}

#[test]
fn columns_count_characters_and_not_bytes() {
    let e = "a send \"é\"; b foo".parse::<Scenario>().unwrap_err();
    assert_eq!((e.line, e.column), (1, 15));
}

#[test]
fn each_kind_of_mistake_has_its_own_words() {
    assert!(error("hodl").contains("did you mean `hold`?"), "{}", error("hodl"));
    assert!(error("A connect").contains("names no client"));
    assert!(error("probe connect").contains("a word of the language"));
    assert!(error("a send").contains("expected a number of bytes, or a quoted payload"));
    assert!(error("a send x").contains("`x` is no number"));
    assert!(error("a send 16385").contains("expected at most 16384"));
    assert!(error("a send 99999999999999999999999").contains("expected at most 16384"));
    assert!(error("a send \"abc").contains("never closed"));
    assert!(error("a send \"\\q\"").contains("an unknown escape"));
    assert!(error("a send \"\\x4\"").contains("two hexadecimal digits"));
    assert!(error("a connect b").contains("where the statement should end"));
    assert!(error("fault close EIO").contains("faults on `close` are not supported"));
    assert!(error("fault send EPIPE").contains("no error that send can be given"));
    assert!(error("fault accept emfile").contains("did you mean `EMFILE`?"));
    assert!(error("fault acept EMFILE").contains("did you mean `accept`?"));
}

#[test]
fn a_payload_of_any_bytes_is_printed_and_read_back() {
    let all: Vec<u8> = (0..=255).collect();
    let scenario =
        Scenario::from_valid(vec![Event::Client(Client::nth(0), Action::Send(Payload::bytes(&all).unwrap()))]);
    assert_eq!(scenario.to_string().parse(), Ok(scenario));
}

#[test]
fn comments_blank_lines_and_semicolons_in_payloads_are_no_events() {
    let scenario: Scenario = "# one\n\n;; a connect ;\r\n a send \"x;#y\" # two; three".parse().unwrap();
    assert_eq!(scenario.to_string(), "a connect; a send \"x;#y\"");
}

#[test]
fn a_block_is_read_in_any_form_and_printed_on_one_line() {
    let text = "repeat 5 { b connect; b rst }";
    for form in [
        text,
        "repeat 5{b connect;b rst}",
        "repeat 5 { # five times\n  b connect\n\n  b rst;\n}\n",
        "repeat 5 {\nb connect; b rst}; ;",
    ] {
        assert_eq!(form.parse::<Scenario>().unwrap().to_string(), text, "{form}");
    }
    let whole = "a connect; repeat 2 { a send \"{}\"; wait 1ms }; repeat 10000 { hold }; a rst";
    let scenario: Scenario = whole.parse().unwrap();
    assert_eq!(scenario.to_string(), whole);
    assert_eq!((scenario.events().len(), scenario.played()), (4, 10_006));
    assert_eq!(scenario.clients(), [Client::nth(0)]);
}

#[test]
fn each_mistake_about_a_block_has_its_place_and_its_words() {
    for (text, said) in [
        ("a connect\nrepeat 5 {\nb rst", "line 2, column 10: a `{` that is never closed; expected a `}`"),
        ("repeat 5 { b rst } }", "column 20: a `}` that closes nothing"),
        ("b rst\n}", "line 2, column 1: a `}` that closes nothing"),
        ("repeat 5", "column 9: something is missing here; expected `{`"),
        ("repeat 5\n{ b rst }", "column 9: something is missing here; expected `{`"),
        ("repeat 5 b rst", "column 10: `b` where a block should begin; expected `{`"),
        ("repeat { b rst }", "column 8: `{` is no such number; expected a number of rounds, 2 to 10000"),
        ("repeat 1 { b rst }", "column 8: `1` is no such number"),
        ("repeat 10001 { b rst }", "`10001` is no such number"),
        ("repeat 5 { }", "column 12: a block of no events"),
        ("repeat 2 { hold; repeat 2 { go } }", "column 18: a block in a block"),
        ("repeat 2 { go } a rst", "column 17: `a` where the statement should end"),
        ("repeat 2 { b conect }", "column 14: unknown client action `conect`"),
        ("{ b rst }", "column 1: `{` names no client"),
        ("a connect {", "column 11: `{` where the statement should end"),
        ("repaet 5 { b rst }", "did you mean `repeat`?"),
    ] {
        assert!(error(text).contains(said), "{text}: {}", error(text));
    }
}

#[test]
fn a_wait_has_a_unit_and_a_bound() {
    assert_eq!("wait 300ms; wait 60000ms".parse::<Scenario>().unwrap().to_string(), "wait 300ms; wait 60s");
    assert!(error("wait 300").contains("column 6: `300` has no unit; expected a time: 1ms to 24h, in ms, s, m or h"));
    for bad in ["0ms", "25h", "1d", "ms", "-1ms", "1.5ms"] {
        assert!(error(&format!("wait {bad}")).contains("is no time to wait"), "{bad}");
    }
    assert!(error("wait").contains("something is missing here; expected a time"));
}

#[test]
fn limits_and_signals_are_read_and_printed() {
    let text = "limit descriptors; limit off; signal SIGCHLD; repeat 2 { signal SIGURG; limit descriptors }";
    assert_eq!(text.parse::<Scenario>().unwrap().to_string(), text);
    assert!(
        error("limit descriptor")
            .contains("cannot be limited; expected descriptors or off; did you mean `descriptors`?")
    );
    assert!(error("limit").contains("something is missing here; expected descriptors or off"));
    assert!(error("signal SIGKILL").contains("`SIGKILL` is no signal that can be sent; expected SIGCHLD or SIGURG"));
    assert!(error("signal SIGCHILD").contains("did you mean `SIGCHLD`?"));
    assert!(error("limit connect").contains("cannot be limited"));
}

#[test]
fn clients_in_blocks_are_counted() {
    let names = |n: usize| (0..n).map(|k| format!("c{k} rst")).collect::<Vec<_>>().join("; ");
    assert!(format!("repeat 2 {{ {} }}", names(64)).parse::<Scenario>().is_ok());
    assert!(error(&format!("repeat 2 {{ {} }}", names(65))).contains("one client too many"));
}
