//! A conversation with a server: what a good client says, and what it waits for before it goes on.

use super::{Answer, Exchange};
use crate::scenario::text::{Scanner, Statement, write_quoted};
use crate::scenario::{ParseError, Payload};
use std::fmt;
use std::str::FromStr;

/// A conversation of a good client with a server, from its connect on.
///
/// In its text form each line is a turn. `send` is followed by what the client sends, quoted, with C's escapes; `expect` by bytes that must come
/// before the client goes on, anywhere in what has come since it last sent something.
///
/// ```
/// use brokenpipe::Dialogue;
///
/// let login: Dialogue = r#"
///     expect "220"
///     send "USER anonymous\r\n"
///     expect "331"
///     send "PASS guest\r\n"
///     expect "230"
/// "#.parse()?;
/// assert_eq!(login.sends().count(), 2);
/// assert_eq!(login.to_string().parse(), Ok(login));
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialogue {
    turns: Vec<Turn>,
}

/// One turn of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The client sends this.
    Send(Payload),
    /// The client waits until these bytes are among those that have come since it last sent something.
    Expect(Vec<u8>),
}

const TURN: &str = "`send` or `expect`";
const SEND: &str = "what the client sends, quoted, with C escapes";
const EXPECT: &str = "what has to come, quoted, with C escapes";

impl Dialogue {
    /// A dialogue of these turns.
    pub fn new(turns: Vec<Turn>) -> Dialogue {
        Dialogue { turns }
    }

    /// The turns, in order.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// What the client sends, in order.
    pub fn sends(&self) -> impl Iterator<Item = &Payload> {
        self.turns.iter().filter_map(|turn| match turn {
            Turn::Send(payload) => Some(payload),
            Turn::Expect(_) => None,
        })
    }

    /// The same as exchanges: each is a send and what is expected after it. The first sends nothing if the server speaks first.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        let mut exchanges: Vec<Exchange> = Vec::new();
        for turn in &self.turns {
            match turn {
                Turn::Send(payload) => {
                    let send = payload.given().map_or_else(|| vec![b'x'; payload.len()], <[u8]>::to_vec);
                    exchanges.push(Exchange { send, answer: Answer::Nothing });
                }
                Turn::Expect(bytes) => {
                    let answer = Answer::Contains(bytes.clone());
                    match exchanges.last_mut().filter(|last| last.answer == Answer::Nothing) {
                        Some(last) => last.answer = answer,
                        None => exchanges.push(Exchange { send: Vec::new(), answer }),
                    }
                }
            }
        }
        exchanges
    }
}

impl Turn {
    pub(crate) fn read(statement: &mut Statement<'_>) -> Result<Turn, ParseError> {
        let word = statement.word(TURN)?;
        match word.word {
            "send" => statement.payload().map(Turn::Send),
            "expect" => statement.quoted(EXPECT).map(Turn::Expect),
            other => {
                let error = word.error(format!("`{other}` is no turn of a dialogue"), TURN);
                Err(error.near(other, ["send", "expect"]))
            }
        }
    }
}

impl FromStr for Dialogue {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Dialogue, ParseError> {
        let mut scanner = Scanner::new(text);
        let mut turns = Vec::new();
        while let Some(mut statement) = scanner.statement()? {
            turns.push(Turn::read(&mut statement)?);
            statement.end()?;
        }
        let dialogue = Dialogue { turns };
        if dialogue.sends().next().is_none() {
            return Err(ParseError::at(
                text,
                0,
                0,
                "in this dialogue the client says nothing".to_owned(),
                &format!("`send` and {SEND}"),
            ));
        }
        Ok(dialogue)
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Turn::Send(payload) => write!(f, "send {payload}"),
            Turn::Expect(bytes) => {
                f.write_str("expect ")?;
                write_quoted(f, bytes)
            }
        }
    }
}

/// One turn on each line.
impl fmt::Display for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.turns.iter().try_for_each(|turn| writeln!(f, "{turn}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_dialogue_is_refused_with_the_place() {
        let error = |text: &str| text.parse::<Dialogue>().unwrap_err().to_string();
        assert!(error("sned \"a\"").contains("`sned` is no turn"), "{}", error("sned \"a\""));
        assert!(error("expect \"220\"").contains("the client says nothing"));
        assert!(error("send \"a\"; expect 5").contains("expect"), "{}", error("send \"a\"; expect 5"));
    }

    #[test]
    fn an_exchange_is_a_send_and_what_is_expected_after_it() {
        let dialogue: Dialogue = r#"expect "220"; send "a"; send "b"; expect "1"; expect "2""#.parse().unwrap();
        let contains = |text: &str| Answer::Contains(text.as_bytes().to_vec());
        let told: Vec<(Vec<u8>, Answer)> = dialogue.exchanges().into_iter().map(|e| (e.send, e.answer)).collect();
        let expected = [
            (b"".to_vec(), contains("220")),
            (b"a".to_vec(), Answer::Nothing),
            (b"b".to_vec(), contains("1")),
            (b"".to_vec(), contains("2")),
        ];
        assert_eq!(told, expected);
    }
}
