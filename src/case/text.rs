//! The text form of a program's case.

use super::Case;
use super::form::{FIRST, Form, Header};
use crate::scenario::ParseError;
use crate::subject::Policy;
use std::fmt;
use std::str::FromStr;

const HEADERS: [Header; 4] =
    [Header::once("program"), Header::once("policy"), Header::once("expect"), Header::once("cause")];
const A_HEADER: &str = "`program:`, `policy:`, `expect:`, `cause:`, or an empty line and then the events";

impl FromStr for Case {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Case, ParseError> {
        let form = Form::read(text, &HEADERS, A_HEADER)?;
        Ok(Case {
            program: form.need("program")?.parse()?,
            policy: form.get("policy").map_or(Ok(Policy::Default), |policy| policy.parse())?,
            expect: form.need("expect")?.parse()?,
            cause: form.get("cause").map_or("", |cause| cause.text).to_owned(),
            scenario: form.scenario()?,
        })
    }
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
        write_cause(f, &self.cause)?;
        writeln!(f)?;
        self.scenario.events().iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

/// Writes the header `cause:`, unless `cause` is blank. A header is one line: white space in `cause`, line ends
/// included, becomes single blanks.
pub(super) fn write_cause(f: &mut fmt::Formatter<'_>, cause: &str) -> fmt::Result {
    let cause: Vec<&str> = cause.split_whitespace().collect();
    if cause.is_empty() { Ok(()) } else { writeln!(f, "cause: {}", cause.join(" ")) }
}
