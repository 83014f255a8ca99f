//! The file form of a case.

use super::Case;
use crate::scenario::ParseError;
use crate::server::Policy;
use std::fmt;
use std::str::FromStr;

/// The first line of every case file. The number is the version of the form.
const FIRST: &str = "brokenpipe case 1";
/// The first line without the version.
const MAGIC: &str = "brokenpipe case";

const HEADERS: [&str; 4] = ["program", "policy", "expect", "cause"];
const A_HEADER: &str = "`program:`, `policy:`, `expect:`, `cause:`, or an empty line and then the events";

/// The value of a header, and where in the file it begins.
#[derive(Clone, Copy)]
struct Value<'t> {
    offset: usize,
    text: &'t str,
}

impl Value<'_> {
    fn parse<T: FromStr<Err = ParseError>>(self, whole: &str) -> Result<T, ParseError> {
        self.text.parse().map_err(|e: ParseError| e.within(whole, self.offset))
    }
}

impl FromStr for Case {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Case, ParseError> {
        let mut lines = lines(text);
        first_line(text, lines.next().map_or("", |(_, line)| line))?;
        let mut values: [Option<Value<'_>>; HEADERS.len()] = [None; HEADERS.len()];
        let mut events = text.len();
        let mut headers_end = text.trim_end().len();
        for (offset, line) in lines {
            if line.trim().is_empty() {
                (headers_end, events) = (offset.saturating_sub(1), offset);
                break;
            }
            let (i, value) = header(text, offset, line)?;
            if values[i].replace(value).is_some() {
                let problem = format!("a second `{}:`", HEADERS[i]);
                return Err(ParseError::at(text, offset, HEADERS[i].len(), problem, "each header once"));
            }
        }
        let [program, policy, expect, cause] = values;
        let missing = |name: &str| {
            ParseError::at(
                text,
                headers_end,
                0,
                format!("`{name}:` is missing"),
                &format!("a line `{name}: …` before this"),
            )
        };
        Ok(Case {
            program: program.ok_or_else(|| missing("program"))?.parse(text)?,
            policy: policy.map_or(Ok(Policy::Default), |policy| policy.parse(text))?,
            expect: expect.ok_or_else(|| missing("expect"))?.parse(text)?,
            cause: cause.map_or("", |cause| cause.text).to_owned(),
            scenario: Value { offset: events, text: &text[events..] }.parse(text)?,
        })
    }
}

/// The lines of a text without their ends, and where each begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let offset = *at;
        *at += line.len();
        Some((offset, line.trim_end()))
    })
}

fn first_line(text: &str, line: &str) -> Result<(), ParseError> {
    let expected = format!("`{FIRST}` as the first line");
    match line.strip_prefix(MAGIC) {
        Some(" 1") => Ok(()),
        Some(version) if version.starts_with(' ') => {
            let problem = format!("`{}` is no version known here", version.trim_start());
            let offset = line.len() - version.trim_start().len();
            Err(ParseError::at(text, offset, version.trim_start().len(), problem, &expected))
        }
        _ => Err(ParseError::at(text, 0, line.len(), "this is no case file".to_owned(), &expected).near(line, [FIRST])),
    }
}

/// A header line: which header, and its value.
fn header<'t>(text: &str, offset: usize, line: &'t str) -> Result<(usize, Value<'t>), ParseError> {
    let Some((name, value)) = line.split_once(':') else {
        let problem = format!("`{line}` is no header");
        let word = line.split_whitespace().next().unwrap_or(line);
        return Err(ParseError::at(text, offset, line.len(), problem, A_HEADER).near(word, HEADERS));
    };
    let Some(i) = HEADERS.iter().position(|h| *h == name) else {
        let error = ParseError::at(text, offset, name.len(), format!("`{name}` is no header"), A_HEADER);
        return Err(error.near(name.trim(), HEADERS));
    };
    let trimmed = value.trim_start();
    Ok((i, Value { offset: offset + line.len() - trimmed.len(), text: trimmed }))
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}")?;
        match self.program.preset() {
            Some(preset) => writeln!(f, "program: {preset}")?,
            None => writeln!(f, "program: {}", self.program)?,
        }
        writeln!(f, "policy: {}", self.policy)?;
        writeln!(f, "expect: {}", self.expect)?;
        // A header is one line, whatever the cause was made of.
        let cause: Vec<&str> = self.cause.split_whitespace().collect();
        if !cause.is_empty() {
            writeln!(f, "cause: {}", cause.join(" "))?;
        }
        writeln!(f)?;
        self.scenario.events().iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}
