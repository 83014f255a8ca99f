//! The structure of every case file: a first line, headers, an empty line, and the events.

use crate::scenario::text::{Scanner, Statement};
use crate::scenario::{ParseError, Scenario};
use std::str::FromStr;

/// The first line of every case file. The number is the version of the format.
pub(super) const FIRST: &str = "brokenpipe case 1";
/// The first line without the version.
const MAGIC: &str = "brokenpipe case";

/// A header that case files of one kind may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) name: &'static str,
    /// Whether the header may occur more than once.
    many: bool,
    /// Whether the value is a list of shell words, in which a quoted string may extend over several lines.
    words: bool,
}

impl Header {
    pub(super) const fn once(name: &'static str) -> Header {
        Header { name, many: false, words: false }
    }

    pub(super) const fn many(name: &'static str) -> Header {
        Header { name, many: true, words: false }
    }

    pub(super) const fn words(name: &'static str) -> Header {
        Header { name, many: false, words: true }
    }
}

/// The value of a header, and its byte offset in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'t> {
    whole: &'t str,
    offset: usize,
    pub(super) text: &'t str,
}

impl<'t> Value<'t> {
    pub(super) fn parse<T: FromStr<Err = ParseError>>(self) -> Result<T, ParseError> {
        self.text.parse().map_err(|e: ParseError| self.within(e))
    }

    /// Parses the value with `read`, which must consume all of it. An empty value is an error, and so is a second statement.
    pub(super) fn scan<T>(
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
    pub(super) fn error(self, problem: String, expected: &str) -> ParseError {
        ParseError::at(self.whole, self.offset, self.text.len(), problem, expected)
    }

    fn within(self, error: ParseError) -> ParseError {
        error.within(self.whole, self.offset)
    }
}

/// A case file, split into its headers and the events.
#[derive(Debug)]
pub(super) struct Form<'t> {
    whole: &'t str,
    values: Vec<(&'static str, Value<'t>)>,
    headers_end: usize,
    events: usize,
}

impl<'t> Form<'t> {
    /// Splits a file. `headers` are the allowed headers, and `expected` names them in error messages.
    pub(super) fn read(whole: &'t str, headers: &[Header], expected: &str) -> Result<Form<'t>, ParseError> {
        // Some editors on Windows begin a file with a byte order mark.
        let mark = whole.strip_prefix('\u{feff}').map_or(0, |rest| whole.len() - rest.len());
        let first = line(whole, mark);
        first_line(whole, mark, first.trim_end())?;
        let end = whole.trim_end().len();
        let mut form = Form { whole, values: Vec::new(), headers_end: end, events: whole.len() };
        let mut at = mark + first.len();
        while at < whole.len() {
            let this = line(whole, at);
            let text = this.trim_end();
            if text.is_empty() {
                (form.headers_end, form.events) = (at.saturating_sub(1), at);
                break;
            }
            let (header, start) = header(whole, at, text, headers, expected)?;
            let (from, mut end) = (at + start, at + this.len());
            let value = if header.words {
                end = end_of_words(whole, from, end)?;
                &whole[from..end]
            } else {
                &text[start..]
            };
            let value = Value { whole, offset: from, text: value };
            if !header.many && form.get(header.name).is_some() {
                let problem = format!("a second `{}:`", header.name);
                return Err(ParseError::at(whole, at, header.name.len(), problem, "each header once"));
            }
            form.values.push((header.name, value));
            at = end;
        }
        Ok(form)
    }

    /// The first value of a header, if the file has it.
    pub(super) fn get(&self, name: &str) -> Option<Value<'t>> {
        self.all(name).next()
    }

    /// All values of a header.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Value<'t>> {
        self.values.iter().filter(move |(header, _)| *header == name).map(|(_, value)| *value)
    }

    /// The value of a header that the file must have.
    pub(super) fn need(&self, name: &str) -> Result<Value<'t>, ParseError> {
        let expected = || format!("a line `{name}: …` before this");
        self.get(name).ok_or_else(|| {
            ParseError::at(self.whole, self.headers_end, 0, format!("`{name}:` is missing"), &expected())
        })
    }

    /// The events.
    pub(super) fn scenario(&self) -> Result<Scenario, ParseError> {
        Value { whole: self.whole, offset: self.events, text: &self.whole[self.events..] }.parse()
    }
}

/// The line that begins at `at`, including its line end.
fn line(text: &str, at: usize) -> &str {
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

fn first_line(text: &str, at: usize, line: &str) -> Result<(), ParseError> {
    let expected = format!("`{FIRST}` as the first line");
    match line.strip_prefix(MAGIC) {
        Some(" 1") => Ok(()),
        Some(version) if version.starts_with(' ') => {
            let problem = format!("`{}` is no version known here", version.trim_start());
            let offset = at + line.len() - version.trim_start().len();
            Err(ParseError::at(text, offset, version.trim_start().len(), problem, &expected))
        }
        _ => {
            Err(ParseError::at(text, at, line.len(), "this is no case file".to_owned(), &expected).near(line, [FIRST]))
        }
    }
}

/// Parses the header line that begins at `offset` of `text`. Gives the header, and the offset of its value in the line.
fn header(
    text: &str,
    offset: usize,
    line: &str,
    headers: &[Header],
    expected: &str,
) -> Result<(Header, usize), ParseError> {
    let names = || headers.iter().map(|header| header.name);
    let Some((name, value)) = line.split_once(':') else {
        let problem = format!("`{line}` is no header");
        let word = line.split_whitespace().next().unwrap_or(line);
        return Err(ParseError::at(text, offset, line.len(), problem, expected).near(word, names()));
    };
    let Some(header) = headers.iter().find(|header| header.name == name) else {
        let error = ParseError::at(text, offset, name.len(), format!("`{name}` is no header"), expected);
        return Err(error.near(name.trim(), names()));
    };
    Ok((*header, line.len() - value.trim_start().len()))
}
