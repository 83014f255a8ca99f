//! Splits text into statements of words and quoted payloads, and writes quoted payloads.

use super::ParseError;
use crate::scenario::{MAX_SEND, Payload};
use std::fmt;

/// A word or a quoted payload, with its position.
#[derive(Debug)]
struct Token<'t> {
    offset: usize,
    text: &'t str,
    quoted: Option<Vec<u8>>,
}

/// Reads statements: words and quoted payloads up to a `;`, the end of a line or a comment. A `{` also ends a statement and a `}`
/// begins one, so that what is between them is read as statements of its own.
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

    /// The next statement that has a word in it; `None` at the end of the text.
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
                // A word after the `}` on the same line belongs to this statement, which makes it an error.
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

    /// A quoted payload with C's escapes. Its bytes are those of the text in UTF-8.
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

/// The payload that `text` stands for. C's escapes are replaced. There are no quotation marks around the text: those in it, and
/// line ends, stand for themselves.
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

/// The byte that the escape with its backslash at `at` stands for. Takes the rest of the escape from `chars`.
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

    /// The next word or quoted payload, as the payload of a send: a number of bytes, or the bytes themselves.
    pub(crate) fn payload(&mut self) -> Result<Payload, ParseError> {
        const EXPECTED: &str = "a number of bytes, or a quoted payload";
        let token = self.tokens.next().ok_or_else(|| self.missing(EXPECTED))?;
        let word = Word { text: self.text, offset: token.offset, word: token.text };
        match token.quoted {
            Some(bytes) => Payload::bytes(&bytes).ok_or_else(|| too_many(&word, bytes.len())),
            None => count(&word, EXPECTED).and_then(|n| Payload::filling(n).ok_or_else(|| too_many(&word, n))),
        }
    }

    /// The bytes of the next quoted payload, of any length. An error if a word is next.
    pub(crate) fn quoted(&mut self, expected: &str) -> Result<Vec<u8>, ParseError> {
        let token = self.tokens.next().ok_or_else(|| self.missing(expected))?;
        let word = Word { text: self.text, offset: token.offset, word: token.text };
        token.quoted.ok_or_else(|| word.error(format!("`{}` is not quoted", word.word), expected))
    }

    /// The next word, as a number of bytes to send.
    pub(crate) fn count(&mut self, expected: &str) -> Result<usize, ParseError> {
        count(&self.word(expected)?, expected)
    }

    /// Whether another word or quoted payload follows.
    pub(crate) fn more(&self) -> bool {
        !self.tokens.as_slice().is_empty()
    }

    /// Fails if another word or quoted payload follows.
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

/// Writes `bytes` between quotation marks, in printable ASCII. An apostrophe is written as an escape, so that a scenario can be
/// put between apostrophes in a shell.
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
