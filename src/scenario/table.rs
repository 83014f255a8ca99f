//! The table of events. The text form, the binary form, the strategies, the generators, the enumeration, the command line's help and the
//! README's table are made from it.
//!
//! To add an event, add a variant of [`Action`] or [`Event`] with its arm in `row`, a row at the end of this table, and its
//! effect in each [`World`](crate::World).

use super::{Action, Client, Event, Fault, HarmlessSignal, Limit, MAX_SEND, Payload, Wait};
use fastrand::Rng;
use std::fmt::{self, Write};

/// One kind of event.
#[derive(Debug)]
pub(crate) struct Row {
    /// The word in the text form: the first word, or the one after the name of the client.
    pub(crate) word: &'static str,
    /// Whether a client or the harness acts, and what follows the word.
    pub(crate) form: Form,
    /// The first byte in the binary form. Files contain it, so it never changes, and the code of an older row is never reused.
    pub(crate) code: u8,
    /// How often generators draw this row, relative to the others. 0 for events that take time: each generator adds them in its
    /// own way.
    pub(crate) weight: u32,
    /// An example in the text form, as in the README.
    example: &'static str,
    /// What the event does, as in the README.
    does: &'static str,
}

/// Whether a client or the harness acts, and what follows the word.
#[derive(Debug)]
pub(crate) enum Form {
    /// A client acts; nothing follows.
    Client(Action),
    /// A client acts; a [`Payload`] follows.
    Send,
    /// The harness acts; nothing follows.
    Harness(Event),
    /// The harness acts; a [`Fault`] follows.
    Fault,
    /// The harness acts; a [`Limit`] follows.
    Limit,
    /// The harness acts; a [`HarmlessSignal`] follows.
    Signal,
    /// The harness acts; a [`Wait`] follows.
    Wait,
    /// A number of rounds and a block of events follow.
    Repeat,
}

/// Every kind of event. Searches prefer earlier ones.
pub(crate) static EVENTS: [Row; 17] = [
    Row {
        word: "connect",
        form: Form::Client(Action::Connect),
        code: 0,
        weight: 8,
        example: "`a connect`",
        does: "`socket`, `connect`",
    },
    Row {
        word: "send",
        form: Form::Send,
        code: 1,
        weight: 8,
        example: "`a send 5`",
        does: "`send` of so many bytes, or of `\"given ones\\r\\n\"`",
    },
    Row {
        word: "recv",
        form: Form::Client(Action::Recv),
        code: 2,
        weight: 4,
        example: "`a recv`",
        does: "`recv` until it would block, or to the end",
    },
    Row {
        word: "fin",
        form: Form::Client(Action::Fin),
        code: 3,
        weight: 4,
        example: "`a fin`",
        does: "`shutdown(SHUT_WR)`: the half-close",
    },
    Row {
        word: "close",
        form: Form::Client(Action::Close),
        code: 4,
        weight: 2,
        example: "`a close`",
        does: "`close`: a FIN, or an RST if something was unread",
    },
    Row {
        word: "rst",
        form: Form::Client(Action::Rst),
        code: 5,
        weight: 4,
        example: "`a rst`",
        does: "`close` with `SO_LINGER` {1, 0}: the abortive close",
    },
    Row {
        word: "vanish",
        form: Form::Client(Action::Vanish),
        code: 6,
        weight: 2,
        example: "`a vanish`",
        does: "neither sends nor acknowledges anything from here on: the unplugged cable",
    },
    Row {
        word: "hold",
        form: Form::Harness(Event::Hold),
        code: 7,
        weight: 1,
        example: "`hold`",
        does: "the server makes no further call",
    },
    Row {
        word: "step",
        form: Form::Harness(Event::Step),
        code: 8,
        weight: 4,
        example: "`step`",
        does: "the held server makes one call, if that call can finish now",
    },
    Row {
        word: "go",
        form: Form::Harness(Event::Go),
        code: 9,
        weight: 1,
        example: "`go`",
        does: "the held server goes on",
    },
    Row {
        word: "fault",
        form: Form::Fault,
        code: 10,
        weight: 2,
        example: "`fault accept EMFILE`",
        does: "the server's next `accept` of a client (or `send` to a client, or `recv` from one) fails with this error",
    },
    Row {
        word: "urgent",
        form: Form::Client(Action::Urgent),
        code: 11,
        weight: 2,
        example: "`a urgent`",
        does: "`send` of one byte with `MSG_OOB`",
    },
    Row {
        word: "stall",
        form: Form::Client(Action::Stall),
        code: 12,
        weight: 2,
        example: "`a stall`",
        does: "reads nothing from here on",
    },
    Row {
        word: "wait",
        form: Form::Wait,
        code: 252,
        weight: 0,
        example: "`wait 300ms`",
        does: "time passes, 1ms to 24h",
    },
    Row {
        word: "repeat",
        form: Form::Repeat,
        code: 254,
        weight: 0,
        example: "`repeat 5 { b connect; b rst }`",
        does: "the block is played so many times, 2 to 10000; blocks are not nested",
    },
    Row {
        word: "limit",
        form: Form::Limit,
        code: 250,
        weight: 2,
        example: "`limit descriptors`, `limit off`",
        does: "the server's processes can open no descriptor beyond those they have, until `limit off` or the end",
    },
    Row {
        word: "signal",
        form: Form::Signal,
        code: 251,
        weight: 2,
        example: "`signal SIGCHLD`",
        does: "each process of the server that has a handler for the signal is sent it (SIGCHLD or SIGURG)",
    },
];

impl Row {
    /// Whether a client acts.
    pub(crate) const fn is_of_client(&self) -> bool {
        matches!(self.form, Form::Client(_) | Form::Send)
    }

    /// The row of this word, among those of clients if `of_client`, else among those of the harness.
    pub(crate) fn of_word(word: &str, of_client: bool) -> Option<&'static Row> {
        EVENTS.iter().find(|row| row.is_of_client() == of_client && row.word == word)
    }

    /// The event with this number as its argument. Any number is valid. `None` for a block.
    pub(crate) fn event(&self, client: Client, argument: u16) -> Option<Event> {
        Some(match &self.form {
            Form::Client(action) => Event::Client(client, action.clone()),
            // Lengths above `MAX_SEND` stand for short ones.
            Form::Send if usize::from(argument) > MAX_SEND => return self.event(client, argument % 64),
            Form::Send => Event::Client(client, Action::Send(Payload::filling(argument.into())?)),
            Form::Harness(event) => event.clone(),
            Form::Fault => Event::Fault(Fault::all().nth(usize::from(argument) % Fault::all().count())?),
            Form::Limit => Event::Limit(Limit::ALL[usize::from(argument) % Limit::ALL.len()]),
            Form::Signal => Event::Signal(HarmlessSignal::ALL[usize::from(argument) % HarmlessSignal::ALL.len()]),
            Form::Wait => Event::Wait(Wait::from_number(argument.into())),
            Form::Repeat => return None,
        })
    }

    /// A random row of those that are `allowed`, by weight. `None` if no allowed row has a weight.
    pub(crate) fn draw(rng: &mut Rng, allowed: impl Fn(&Row) -> bool) -> Option<&'static Row> {
        let all = || EVENTS.iter().filter(|row| row.weight > 0 && allowed(row));
        let total: u32 = all().map(|row| row.weight).sum();
        let mut n = if total == 0 { return None } else { rng.u32(..total) };
        all().find(|row| match n.checked_sub(row.weight) {
            Some(rest) => {
                n = rest;
                false
            }
            None => true,
        })
    }
}

/// The words of events of clients if `of_client`, else of the harness.
pub(crate) fn words(of_client: bool) -> impl Iterator<Item = &'static str> {
    EVENTS.iter().filter(move |row| row.is_of_client() == of_client).map(|row| row.word)
}

/// The table as Markdown, as in the README: an example of each event, and what the event does.
#[doc(hidden)]
pub fn event_table() -> String {
    let mut table = "| event | does |\n|---|---|\n".to_owned();
    for Row { example, does, .. } in &EVENTS {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {example} | {does} |");
    }
    table
}

/// The table for a terminal: plain text, two columns.
#[doc(hidden)]
pub fn event_help() -> String {
    let plain = |text: &str| text.replace('`', "");
    let width = EVENTS.iter().map(|row| plain(row.example).len()).max().unwrap_or(0);
    let line = |row: &Row| format!("  {:width$}  {}", plain(row.example), plain(row.does));
    EVENTS.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Words as a list that ends in `or`.
pub(crate) struct OneOf<'w>(pub(crate) &'w [&'static str]);

impl fmt::Display for OneOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            [one] => f.write_str(one),
            [first @ .., last] => write!(f, "{} or {last}", first.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_row_makes_the_event_whose_row_it_is() {
        for (i, row) in EVENTS.iter().enumerate() {
            match row.event(Client::nth(0), 1) {
                Some(event) => assert_eq!(usize::from(event.row()), i, "{}", row.word),
                None => assert_eq!(row.word, "repeat"),
            }
        }
    }

    #[test]
    fn no_two_rows_have_one_word_or_one_code() {
        assert_eq!(EVENTS.iter().map(|row| row.word).collect::<BTreeSet<_>>().len(), EVENTS.len());
        assert_eq!(EVENTS.iter().map(|row| row.code).collect::<BTreeSet<_>>().len(), EVENTS.len());
    }

    #[test]
    fn every_example_is_a_scenario_of_its_event() {
        for row in &EVENTS {
            for example in row.example.split(", ") {
                let scenario: crate::Scenario = example.trim_matches('`').parse().unwrap();
                assert_eq!(scenario.events()[0].kind().word, row.word);
            }
        }
    }

    #[test]
    fn each_allowed_row_is_drawn_by_its_weight_and_no_other() {
        let mut rng = Rng::with_seed(1);
        let mut drawn = [0u32; EVENTS.len()];
        for _ in 0..20_000 {
            let row = Row::draw(&mut rng, |row| row.word != "fault").unwrap();
            drawn[EVENTS.iter().position(|other| other.word == row.word).unwrap()] += 1;
        }
        for (row, n) in EVENTS.iter().zip(drawn) {
            assert_eq!(n == 0, row.weight == 0 || row.word == "fault", "{} {n}", row.word);
        }
        assert!(drawn[0] > 3 * drawn[4], "{drawn:?}");
        assert!(Row::draw(&mut rng, |_| false).is_none());
    }

    #[test]
    fn the_readme_has_this_table() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        assert!(readme.contains(&event_table()), "the README's table of events should be:\n{}", event_table());
    }

    #[test]
    fn a_list_ends_in_or() {
        let list = |words: &[&'static str]| OneOf(words).to_string();
        assert_eq!(list(&["a", "b", "c"]), "a, b or c");
        assert_eq!(list(&["a", "b"]), "a or b");
        assert_eq!([list(&["a"]), list(&[])], ["a", ""]);
    }
}
