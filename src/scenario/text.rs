//! The text form: one scanner for scenarios and server programs, and errors that say where and what instead.

use super::{
    Action, BadName, Call, Client, Errno, Event, Fault, HarmlessSignal, Limit, MAX_SEND, MAX_WAIT, Payload, ROUNDS,
    Repeat, Scenario, Wait,
};
use std::collections::BTreeSet;
use std::fmt;

/// Text that is no scenario, program, policy or case: where, what was wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Where in the text the faulty piece begins, in bytes from 0.
    pub offset: usize,
    /// How many bytes the faulty piece has; 0 where something is missing.
    pub len: usize,
    /// What was wrong.
    pub problem: String,
    /// What would be right there.
    pub expected: String,
    /// The known word that is nearest to the unknown one, if one is near.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}; expected {}", self.line, self.column, self.problem, self.expected)?;
        match self.nearest {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    /// An error about `len` bytes at `offset` of `text`.
    pub(crate) fn at(text: &str, offset: usize, len: usize, problem: String, expected: &str) -> ParseError {
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        ParseError {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            offset,
            len,
            problem,
            expected: expected.to_owned(),
            nearest: None,
        }
    }

    /// The same error, with the one of `known` that is nearest to `word`, if any is near.
    pub(crate) fn near(mut self, word: &str, known: impl IntoIterator<Item = &'static str>) -> ParseError {
        self.nearest = known
            .into_iter()
            .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), &k.to_lowercase()), k))
            .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
            .min()
            .map(|(_, k)| k);
        self
    }

    /// The same error for a piece of a larger text, `whole`, in which the piece begins at `offset`.
    pub(crate) fn within(self, whole: &str, offset: usize) -> ParseError {
        let nearest = self.nearest;
        ParseError { nearest, ..ParseError::at(whole, offset + self.offset, self.len, self.problem, &self.expected) }
    }
}

/// A word or a quoted payload, and where it stands.
#[derive(Debug)]
struct Token<'t> {
    offset: usize,
    text: &'t str,
    quoted: Option<Vec<u8>>,
}

/// Reads statements: words and quoted payloads up to a `;`, the end of a line or a comment. A `{` ends one too, and a `}` begins one,
/// so that what stands between them is statements of its own.
#[derive(Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

/// One statement, to be read word by word.
#[derive(Debug)]
pub(crate) struct Statement<'t> {
    text: &'t str,
    tokens: std::vec::IntoIter<Token<'t>>,
    end: usize,
}

/// One word of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'t> {
    text: &'t str,
    pub(crate) offset: usize,
    pub(crate) word: &'t str,
}

impl Word<'_> {
    /// An error about this word.
    pub(crate) fn error(&self, problem: impl Into<String>, expected: &str) -> ParseError {
        ParseError::at(self.text, self.offset, self.word.len(), problem.into(), expected)
    }
}

impl<'t> Scanner<'t> {
    /// A scanner at the start of `text`.
    pub(crate) fn new(text: &'t str) -> Scanner<'t> {
        Scanner { text, at: 0 }
    }

    /// The next statement that has a word in it; `None` at the end.
    pub(crate) fn statement(&mut self) -> Result<Option<Statement<'t>>, ParseError> {
        let mut tokens = Vec::new();
        while let Some(c) = self.text[self.at..].chars().next() {
            match c {
                ';' | '\n' => {
                    if !tokens.is_empty() {
                        break;
                    }
                    self.at += 1;
                }
                '{' => {
                    tokens.push(self.brace());
                    break;
                }
                '}' if !tokens.is_empty() => break,
                // What follows on the same line belongs to it, and is then one word too many.
                '}' => tokens.push(self.brace()),
                '#' => self.at += self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at),
                '"' => tokens.push(self.quoted()?),
                c if c.is_whitespace() => self.at += c.len_utf8(),
                _ => tokens.push(self.word()),
            }
        }
        Ok((!tokens.is_empty()).then(|| Statement { text: self.text, tokens: tokens.into_iter(), end: self.at }))
    }

    fn brace(&mut self) -> Token<'t> {
        self.at += 1;
        Token { offset: self.at - 1, text: &self.text[self.at - 1..self.at], quoted: None }
    }

    fn word(&mut self) -> Token<'t> {
        let rest = &self.text[self.at..];
        let len =
            rest.find(|c: char| c.is_whitespace() || matches!(c, ';' | '#' | '"' | '{' | '}')).unwrap_or(rest.len());
        let token = Token { offset: self.at, text: &rest[..len], quoted: None };
        self.at += len;
        token
    }

    /// A quoted payload with C's escapes; its bytes are those of the UTF-8 text.
    fn quoted(&mut self) -> Result<Token<'t>, ParseError> {
        let (whole, start) = (self.text, self.at);
        let mut bytes = Vec::new();
        let mut chars = whole[start + 1..].char_indices().map(|(i, c)| (start + 1 + i, c));
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = at + 1;
                    return Ok(Token { offset: start, text: &whole[start..=at], quoted: Some(bytes) });
                }
                '\n' => break,
                '\\' => bytes.push(escape(whole, at, &mut chars)?),
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        let problem = "a quotation mark that is never closed".to_owned();
        Err(ParseError::at(whole, start, 1, problem, "a `\"` on the same line"))
    }
}

/// The payload that `text` stands for, with C's escapes and nothing around it: quotation marks and new lines in it are its own.
pub(crate) fn unquoted(text: &str) -> Result<Payload, ParseError> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => bytes.push(escape(text, at, &mut chars)?),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Payload::bytes(&bytes).ok_or_else(|| too_many(&Word { text, offset: 0, word: text }, bytes.len()))
}

/// The byte that an escape stands for whose backslash is at `at`; `chars` has what follows it, and loses what belongs to it.
fn escape(whole: &str, at: usize, chars: &mut impl Iterator<Item = (usize, char)>) -> Result<u8, ParseError> {
    let error = |len, problem: &str, expected| Err(ParseError::at(whole, at, len, problem.to_owned(), expected));
    Ok(match chars.next() {
        Some((_, 'n')) => b'\n',
        Some((_, 'r')) => b'\r',
        Some((_, 't')) => b'\t',
        Some((_, '0')) => 0,
        Some((_, c @ ('\\' | '"'))) => c as u8,
        Some((x, 'x')) => {
            let digits = whole.get(x + 1..x + 3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let Some(byte) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) else {
                return error(2, "`\\x` without two hexadecimal digits", "as in `\\x0d`");
            };
            chars.next();
            chars.next();
            byte
        }
        other => {
            let len = 1 + other.map_or(0, |(_, c)| c.len_utf8());
            return error(len, "an unknown escape", "one of \\n \\r \\t \\0 \\\\ \\\" \\xNN");
        }
    })
}

impl<'t> Statement<'t> {
    /// The next word.
    pub(crate) fn word(&mut self, expected: &str) -> Result<Word<'t>, ParseError> {
        let token = self.tokens.next().ok_or_else(|| self.missing(expected))?;
        let word = Word { text: self.text, offset: token.offset, word: token.text };
        match token.quoted {
            None => Ok(word),
            Some(_) => Err(word.error("a quoted payload", expected)),
        }
    }

    /// The next piece, as the payload of a send: a number of bytes, or the bytes themselves.
    pub(crate) fn payload(&mut self) -> Result<Payload, ParseError> {
        const EXPECTED: &str = "a number of bytes, or a quoted payload";
        let token = self.tokens.next().ok_or_else(|| self.missing(EXPECTED))?;
        let word = Word { text: self.text, offset: token.offset, word: token.text };
        match token.quoted {
            Some(bytes) => Payload::bytes(&bytes).ok_or_else(|| too_many(&word, bytes.len())),
            None => count(&word, EXPECTED).map(|n| Payload(super::event::Content::Filling(n as u16))),
        }
    }

    /// The next piece, which must be quoted: its bytes, however many.
    pub(crate) fn quoted(&mut self, expected: &str) -> Result<Vec<u8>, ParseError> {
        let token = self.tokens.next().ok_or_else(|| self.missing(expected))?;
        let word = Word { text: self.text, offset: token.offset, word: token.text };
        token.quoted.ok_or_else(|| word.error(format!("`{}` is not quoted", word.word), expected))
    }

    /// The next word, as a number of bytes to send.
    pub(crate) fn count(&mut self, expected: &str) -> Result<usize, ParseError> {
        count(&self.word(expected)?, expected)
    }

    /// Whether something follows.
    pub(crate) fn more(&self) -> bool {
        !self.tokens.as_slice().is_empty()
    }

    /// That nothing follows.
    pub(crate) fn end(mut self) -> Result<(), ParseError> {
        match self.tokens.next() {
            None => Ok(()),
            Some(t) => {
                let word = Word { text: self.text, offset: t.offset, word: t.text };
                Err(word.error(format!("`{}` where the statement should end", t.text), "`;` or a new line"))
            }
        }
    }

    fn missing(&self, expected: &str) -> ParseError {
        let offset = self.text[..self.end].trim_end().len();
        ParseError::at(self.text, offset, 0, "something is missing here".to_owned(), expected)
    }
}

fn count(word: &Word<'_>, expected: &str) -> Result<usize, ParseError> {
    match word.word.parse::<usize>() {
        Ok(n) if n <= MAX_SEND => Ok(n),
        Ok(n) => Err(too_many(word, n)),
        Err(_) if !word.word.is_empty() && word.word.bytes().all(|b| b.is_ascii_digit()) => {
            Err(too_many(word, usize::MAX))
        }
        Err(_) => Err(word.error(format!("`{}` is no number", word.word), expected)),
    }
}

fn too_many(word: &Word<'_>, n: usize) -> ParseError {
    let problem = match n {
        usize::MAX => "more bytes than one send may carry".to_owned(),
        n => format!("{n} bytes are more than one send may carry"),
    };
    word.error(problem, &format!("at most {MAX_SEND}"))
}

/// The words that begin an event of no client.
const OTHER_WORDS: [&str; 8] = ["hold", "step", "go", "fault", "wait", "repeat", "limit", "signal"];
/// The words that follow a client's name.
const ACTION_WORDS: [&str; 9] = ["connect", "send", "recv", "fin", "close", "rst", "vanish", "urgent", "stall"];

/// Reads a whole scenario.
pub(super) fn scenario(text: &str) -> Result<Scenario, ParseError> {
    let mut scanner = Scanner::new(text);
    let mut events = Vec::new();
    let mut clients = BTreeSet::new();
    while let Some(mut statement) = scanner.statement()? {
        let first = statement.word("an event")?;
        match first.word {
            "repeat" => events.push(Event::Repeat(repeat(statement, &mut scanner, &mut clients)?)),
            "}" => return Err(first.error("a `}` that closes nothing", "an event")),
            _ => events.push(single(&first, statement, &mut clients)?),
        }
    }
    Ok(Scenario::from_valid(events))
}

/// Reads a block, from after its first word to after its `}`.
fn repeat<'t>(
    mut statement: Statement<'t>,
    scanner: &mut Scanner<'t>,
    clients: &mut BTreeSet<Client>,
) -> Result<Repeat, ParseError> {
    let expected = format!("a number of rounds, {} to {}", ROUNDS.start(), ROUNDS.end());
    let word = statement.word(&expected)?;
    let times = match word.word.parse() {
        Ok(times) if ROUNDS.contains(&times) => times,
        _ => return Err(word.error(format!("`{}` is no such number", word.word), &expected)),
    };
    const OPEN: &str = "`{`, then events, then `}`";
    let open = statement.word(OPEN)?;
    if open.word != "{" {
        return Err(open.error(format!("`{}` where a block should begin", open.word), OPEN));
    }
    statement.end()?;
    let mut events = Vec::new();
    while let Some(mut statement) = scanner.statement()? {
        let first = statement.word("an event")?;
        match first.word {
            "repeat" => return Err(first.error("a block in a block", "any other event, or `}`")),
            "}" => {
                statement.end()?;
                return Repeat::new(times, &events).ok_or_else(|| first.error("a block of no events", "an event"));
            }
            _ => events.push(single(&first, statement, clients)?),
        }
    }
    Err(open.error("a `{` that is never closed", "a `}` after the last event of the block"))
}

/// Reads the rest of an event that is no block.
fn single(first: &Word<'_>, mut statement: Statement<'_>, clients: &mut BTreeSet<Client>) -> Result<Event, ParseError> {
    let event = event(first, &mut statement)?;
    if let Some(client) = event.client() {
        clients.insert(client);
        if clients.len() > super::MAX_CLIENTS {
            let problem = format!("`{client}` is one client too many");
            return Err(first.error(problem, &format!("at most {} clients", super::MAX_CLIENTS)));
        }
    }
    statement.end()?;
    Ok(event)
}

fn event(first: &Word<'_>, statement: &mut Statement<'_>) -> Result<Event, ParseError> {
    match first.word {
        "hold" => Ok(Event::Hold),
        "step" => Ok(Event::Step),
        "go" => Ok(Event::Go),
        "fault" => fault(statement).map(Event::Fault),
        "wait" => wait(statement).map(Event::Wait),
        "limit" => limit(statement).map(Event::Limit),
        "signal" => signal(statement).map(Event::Signal),
        name => match name.parse() {
            Ok(client) => action(client, first, statement).map(|action| Event::Client(client, action)),
            Err(why) => Err(first
                .error(
                    format!("`{name}` names no client{}", if why == BadName::Reserved { ": it is a word of the language" } else { "" }),
                    "a client's name (a lower-case letter, then up to seven of a-z, 0-9 and _), or hold, step, go, fault, wait, repeat, limit or signal",
                )
                .near(name, OTHER_WORDS)),
        },
    }
}

fn action(client: Client, first: &Word<'_>, statement: &mut Statement<'_>) -> Result<Action, ParseError> {
    const EXPECTED: &str = "connect, send N, recv, fin, close, rst, vanish, urgent or stall";
    let word = statement.word(EXPECTED).map_err(|e| {
        // A lone word that looks like a client may be a misspelt word of the server's.
        let problem = format!("nothing follows the client `{client}`");
        if e.len == 0 { ParseError { problem, ..e }.near(first.word, OTHER_WORDS) } else { e }
    })?;
    Ok(match word.word {
        "connect" => Action::Connect,
        "send" => Action::Send(statement.payload()?),
        "recv" => Action::Recv,
        "fin" => Action::Fin,
        "close" => Action::Close,
        "rst" => Action::Rst,
        "vanish" => Action::Vanish,
        "urgent" => Action::Urgent,
        "stall" => Action::Stall,
        other => {
            let error = word.error(format!("`{other}` is nothing a client does"), EXPECTED).near(other, ACTION_WORDS);
            // Or else what looks like a client is a misspelt word that takes an argument.
            return Err(if error.nearest.is_some() { error } else { error.near(first.word, OTHER_WORDS) });
        }
    })
}

fn wait(statement: &mut Statement<'_>) -> Result<Wait, ParseError> {
    let expected = format!("milliseconds, 1ms to {MAX_WAIT}ms");
    let word = statement.word(&expected)?;
    let digits = word.word.strip_suffix("ms").unwrap_or(word.word);
    let problem = match digits.parse().ok().and_then(Wait::millis) {
        Some(wait) if digits.len() < word.word.len() => return Ok(wait),
        Some(_) => format!("`{}` has no unit", word.word),
        None => format!("`{}` is no time to wait", word.word),
    };
    Err(word.error(problem, &expected))
}

fn limit(statement: &mut Statement<'_>) -> Result<Limit, ParseError> {
    const EXPECTED: &str = "descriptors or off";
    let word = statement.word(EXPECTED)?;
    Limit::ALL.into_iter().find(|limit| limit.word() == word.word).ok_or_else(|| {
        let error = word.error(format!("`{}` cannot be limited", word.word), EXPECTED);
        error.near(word.word, Limit::ALL.map(Limit::word))
    })
}

fn signal(statement: &mut Statement<'_>) -> Result<HarmlessSignal, ParseError> {
    const EXPECTED: &str = "SIGCHLD or SIGURG";
    let word = statement.word(EXPECTED)?;
    HarmlessSignal::ALL.into_iter().find(|signal| signal.name() == word.word).ok_or_else(|| {
        let error = word.error(format!("`{}` is no signal that can be sent", word.word), EXPECTED);
        error.near(word.word, HarmlessSignal::ALL.map(HarmlessSignal::name))
    })
}

fn fault(statement: &mut Statement<'_>) -> Result<Fault, ParseError> {
    const CALLS: &str = "accept, send or recv";
    let word = statement.word(CALLS)?;
    let faultable = || Call::ALL.into_iter().filter(|c| !c.faults().is_empty());
    let call = match Call::ALL.into_iter().find(|c| c.name() == word.word) {
        Some(call) if !call.faults().is_empty() => call,
        Some(call) => return Err(word.error(format!("{call} cannot be made to fail: no program looks"), CALLS)),
        None => {
            let error = word.error(format!("`{}` is no call of the server's", word.word), CALLS);
            return Err(error.near(word.word, faultable().map(Call::name)));
        }
    };
    let names: Vec<String> = call.faults().iter().map(Errno::to_string).collect();
    let expected = format!("one of {}", names.join(", "));
    let word = statement.word(&expected)?;
    match word.word.parse().ok().and_then(|errno| Fault::new(call, errno)) {
        Some(fault) => Ok(fault),
        None => {
            let error = word.error(format!("`{}` is no error that {call} can be given", word.word), &expected);
            let known: Vec<&'static str> = call.faults().iter().filter_map(|e| e.name()).collect();
            Err(error.near(word.word, known))
        }
    }
}

/// Writes `bytes` between quotation marks, in printable ASCII. An apostrophe is written as an escape, so that a scenario can be
/// put between apostrophes for a shell.
pub(crate) fn write_quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    for &b in bytes {
        match b {
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            b'\\' => f.write_str("\\\\")?,
            b'"' => f.write_str("\\\"")?,
            b' '..=b'~' if b != b'\'' => write!(f, "{}", b as char)?,
            _ => write!(f, "\\x{b:02x}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests;
