//! The text form of cases.

use super::{Case, Expect};
use crate::detect::Kind;
use crate::scenario::text::headers::{Header, Headers, Value, line};
use crate::scenario::{OneOf, ParseError};
use crate::subject::Subject;
use std::fmt;
use std::str::FromStr;

/// The first line of every case file. The number is the version of the format.
const FIRST: &str = "brokenpipe case 1";
/// The first line without the version.
const MAGIC: &str = "brokenpipe case";
/// The headers after those of the subject.
const HEADERS: [Header; 2] = [Header::once("expect"), Header::once("cause")];

impl FromStr for Case {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Case, ParseError> {
        // Some editors on Windows begin a file with a byte order mark.
        let mark = text.strip_prefix('\u{feff}').map_or(0, |rest| text.len() - rest.len());
        let first = line(text, mark);
        first_line(text, mark, first.trim_end())?;
        let mut known = Subject::headers(text.lines().take_while(|line| !line.trim().is_empty()));
        known.extend(HEADERS);
        let headers = Headers::read(text, mark + first.len(), &known)?;
        let subject = Subject::read(&headers)?;
        let expect = headers.need("expect")?;
        let expect = match &subject {
            Subject::Program(_) => Expect::Run(expect.parse()?),
            Subject::Command(_) => Expect::Finding(kind(expect)?),
        };
        let cause = headers.get("cause").map_or("", |cause| cause.text).to_owned();
        Ok(Case { subject, expect, cause, scenario: headers.scenario()? })
    }
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

fn kind(value: Value<'_>) -> Result<Kind, ParseError> {
    let of_commands = |kind: &Kind| !kind.is_of_programs();
    value.text.parse().ok().filter(of_commands).ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.into_iter().filter(of_commands).map(Kind::name).collect();
        let problem = format!("`{}` is no kind of finding", value.text);
        value.error(problem, &OneOf(&names).to_string()).near(value.text, names)
    })
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { subject, expect, cause, scenario } = self;
        write!(f, "{FIRST}\n{subject}")?;
        writeln!(f, "expect: {expect}")?;
        // A header is one line: line ends and other white space become single blanks.
        let cause: Vec<&str> = cause.split_whitespace().collect();
        if !cause.is_empty() {
            writeln!(f, "cause: {}", cause.join(" "))?;
        }
        writeln!(f)?;
        scenario.events().iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}
