//! Headers, each a name and a value on a line, then an empty line, and events.

use super::{ParseError, Scanner, Statement};
use crate::scenario::Scenario;
use std::str::FromStr;

/// A header that a text may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) name: &'static str,
    /// Whether the header may occur more than once.
    many: bool,
    /// Whether the value is a list of shell words, in which a quoted string may extend over several lines.
    words: bool,
}

impl Header {
    pub(crate) const fn once(name: &'static str) -> Header {
        Header { name, many: false, words: false }
    }

    pub(crate) const fn many(name: &'static str) -> Header {
        Header { name, many: true, words: false }
    }

    pub(crate) const fn words(name: &'static str) -> Header {
        Header { name, many: false, words: true }
    }
}

/// The value of a header, and its byte offset in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    whole: &'t str,
    offset: usize,
    pub(crate) text: &'t str,
}

impl<'t> Value<'t> {
    pub(crate) fn parse<T: FromStr<Err = ParseError>>(self) -> Result<T, ParseError> {
        self.text.parse().map_err(|e: ParseError| self.within(e))
    }

    /// Parses the value with `read`, which must consume all of it. An empty value is an error, and so is a second statement.
    pub(crate) fn scan<T>(
        self,
        expected: &str,
        read: impl FnOnce(&mut Statement<'_>) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        let mut scanner = Scanner::new(self.text);
        let scanned = (|| {
            let nothing = || ParseError::at(self.text, 0, 0, "something is missing here".to_owned(), expected);
            let mut statement = scanner.statement()?.ok_or_else(nothing)?;
            let value = read(&mut statement)?;
            statement.end()?;
            match scanner.statement()? {
                None => Ok(value),
                Some(_) => {
                    Err(ParseError::at(self.text, 0, self.text.len(), "there is more than one".to_owned(), expected))
                }
            }
        })();
        scanned.map_err(|e| self.within(e))
    }

    /// An error about the whole value.
    pub(crate) fn error(self, problem: String, expected: &str) -> ParseError {
        ParseError::at(self.whole, self.offset, self.text.len(), problem, expected)
    }

    fn within(self, error: ParseError) -> ParseError {
        error.within(self.whole, self.offset)
    }
}

/// A text, split into its headers and the events.
#[derive(Debug)]
pub(crate) struct Headers<'t> {
    whole: &'t str,
    values: Vec<(&'static str, Value<'t>)>,
    headers_end: usize,
    events: usize,
}

impl<'t> Headers<'t> {
    /// Splits the text that begins at byte `at` of `whole`. `known` are the headers that it may have.
    pub(crate) fn read(whole: &'t str, mut at: usize, known: &[Header]) -> Result<Headers<'t>, ParseError> {
        let end = whole.trim_end().len();
        let mut headers = Headers { whole, values: Vec::new(), headers_end: end, events: whole.len() };
        while at < whole.len() {
            let this = line(whole, at);
            let text = this.trim_end();
            if text.is_empty() {
                (headers.headers_end, headers.events) = (at.saturating_sub(1), at);
                break;
            }
            let (header, start) = header(whole, at, text, known)?;
            let (from, mut end) = (at + start, at + this.len());
            let value = if header.words {
                end = end_of_words(whole, from, end)?;
                &whole[from..end]
            } else {
                &text[start..]
            };
            let value = Value { whole, offset: from, text: value };
            if !header.many && headers.get(header.name).is_some() {
                let problem = format!("a second `{}:`", header.name);
                return Err(ParseError::at(whole, at, header.name.len(), problem, "each header once"));
            }
            headers.values.push((header.name, value));
            at = end;
        }
        Ok(headers)
    }

    /// The first value of a header, if the file has it.
    pub(crate) fn get(&self, name: &str) -> Option<Value<'t>> {
        self.all(name).next()
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = Value<'t>> {
        self.values.iter().filter(move |(header, _)| *header == name).map(|(_, value)| *value)
    }

    /// The value of a header that the text must have.
    pub(crate) fn need(&self, name: &str) -> Result<Value<'t>, ParseError> {
        self.get(name).ok_or_else(|| self.missing(name, &format!("a line `{name}: …` before this")))
    }

    /// The error that the text lacks this header.
    pub(crate) fn missing(&self, name: &str, expected: &str) -> ParseError {
        ParseError::at(self.whole, self.headers_end, 0, format!("`{name}:` is missing"), expected)
    }

    /// The events.
    pub(crate) fn scenario(&self) -> Result<Scenario, ParseError> {
        Value { whole: self.whole, offset: self.events, text: &self.whole[self.events..] }.parse()
    }
}

/// The line that begins at `at`, including its line end.
pub(crate) fn line(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    &rest[..rest.find('\n').map_or(rest.len(), |n| n + 1)]
}

/// The offset at which the shell words that begin at `from` end: `end`, or the first later line end outside quotation marks. Fails if the
/// file ends inside them.
fn end_of_words(whole: &str, from: usize, mut end: usize) -> Result<usize, ParseError> {
    while shlex::split(&whole[from..end]).is_none() {
        if end == whole.len() {
            let first = line(whole, from).trim_end();
            let problem = "a quotation mark that is never closed".to_owned();
            return Err(ParseError::at(whole, from, first.len(), problem, "words as for a shell"));
        }
        end += line(whole, end).len();
    }
    Ok(end)
}

/// Parses the header line that begins at `offset` of `text`. Gives the header, and the offset of its value in the line.
fn header(text: &str, offset: usize, line: &str, known: &[Header]) -> Result<(Header, usize), ParseError> {
    let names = || known.iter().map(|header| header.name);
    let expected =
        || names().map(|name| format!("`{name}:`, ")).collect::<String>() + "or an empty line and then the events";
    let Some((name, value)) = line.split_once(':') else {
        let problem = format!("`{line}` is no header");
        let word = line.split_whitespace().next().unwrap_or(line);
        return Err(ParseError::at(text, offset, line.len(), problem, &expected()).near(word, names()));
    };
    let Some(header) = known.iter().find(|header| header.name == name) else {
        let error = ParseError::at(text, offset, name.len(), format!("`{name}` is no header"), &expected());
        return Err(error.near(name.trim(), names()));
    };
    Ok((*header, line.len() - value.trim_start().len()))
}
