//! Cases of a target: a command, a scenario, and the failure that the scenario causes.

use super::form::{FIRST, Form, Header, Value};
use super::text::write_cause;
use super::{CaseError, load, save};
use crate::detect::Symptom;
use crate::hunt::TargetFinding;
use crate::scenario::text::write_quoted;
use crate::scenario::{OneOf, ParseError, Scenario};
use crate::subject::{Polite, Sigpipe, Target};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::str::FromStr;

/// A case of a target: the server, a scenario, and the failure that the scenario causes.
///
/// Its text form is a file like that of a [`Case`](super::Case), with `command:` in place of `program:` and `policy:`. The value of
/// `command:` is a list of shell words. `env:`, with one variable each, and `say:` may occur several times. Only `command:` and `expect:`
/// are required.
///
/// ```
/// use brokenpipe::{Symptom, TargetCase};
///
/// let case: TargetCase = r#"brokenpipe case 1
/// command: ./server --port {port}
/// protocol: http
/// say: "GET / HTTP/1.0\r\n\r\n"
/// options: no-gate
/// expect: sigpipe
///
/// a connect
/// a rst
/// "#.parse()?;
/// assert_eq!(case.target.words(), ["./server", "--port", "{port}"]);
/// assert_eq!(case.expect, Symptom::Sigpipe);
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCase {
    /// The server, how to start it, and what clients send to it.
    pub target: Target,
    /// The failure that the scenario must cause.
    pub expect: Symptom,
    /// What was observed, for people: one line, or empty.
    pub cause: String,
    /// What the clients do.
    pub scenario: Scenario,
}

impl TargetCase {
    /// A case that expects the failure of `finding`, and is played with the gate if the finding was made with it.
    pub fn of(target: &Target, finding: &TargetFinding) -> TargetCase {
        TargetCase {
            target: target.clone().gate(finding.gate),
            expect: finding.identity.symptom,
            // The evidence may quote the server's output, which may contain control characters.
            cause: finding.evidence.replace(char::is_control, " "),
            scenario: finding.scenario.clone(),
        }
    }

    /// Reads a case file.
    ///
    /// # Errors
    ///
    /// [`CaseError::Read`] if the file cannot be read or is not UTF-8, [`CaseError::Parse`] if it is not a valid case of a target.
    pub fn load(path: impl AsRef<Path>) -> Result<TargetCase, CaseError> {
        load(path.as_ref())
    }

    /// Writes the case in its canonical form. An existing file is replaced atomically: a concurrent reader sees the old file or the new
    /// one.
    ///
    /// # Errors
    ///
    /// [`CaseError::Write`] if the file cannot be written; an existing file is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CaseError> {
        save(path.as_ref(), self)
    }
}

const HEADERS: [Header; 11] = [
    Header::words("command"),
    Header::many("env"),
    Header::once("cwd"),
    Header::once("setup"),
    Header::once("sigpipe"),
    Header::once("protocol"),
    Header::many("say"),
    Header::once("polite"),
    Header::once("options"),
    Header::once("expect"),
    Header::once("cause"),
];
const A_HEADER: &str = "`command:`, `env:`, `cwd:`, `setup:`, `sigpipe:`, `protocol:`, `say:`, `polite:`, `options:`, `expect:`, \
                        `cause:`, or an empty line and then the events";

const NO_GATE: &str = "no-gate";
const NO_NETNS: &str = "no-netns";
const LISTEN_FD: &str = "listen-fd";
const OPTIONS: [&str; 3] = [NO_GATE, NO_NETNS, LISTEN_FD];

/// The names of the options that are set.
pub(crate) fn options(target: &Target) -> Vec<&'static str> {
    let set = [!target.gate, !target.namespace, target.listen_fd];
    OPTIONS.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

impl FromStr for TargetCase {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<TargetCase, ParseError> {
        let form = Form::read(text, &HEADERS, A_HEADER)?;
        let mut target = Target::command(command(form.need("command")?)?);
        for header in form.all("env") {
            let text = string(header)?;
            let expected = "NAME=VALUE";
            let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) = pair.ok_or_else(|| header.error(format!("`{text}` sets no variable"), expected))?;
            target = target.env(name, value);
            if let Some(name) = target.set_twice() {
                return Err(header.error(format!("`{name}` is set twice"), "each variable once"));
            }
        }
        if let Some(value) = form.get("cwd") {
            target = target.cwd(OsString::from_vec(bytes(value)?));
        }
        if let Some(value) = form.get("setup") {
            target = target.setup(string(value)?);
        }
        target = target.sigpipe(form.get("sigpipe").map_or(Ok(Sigpipe::Default), Value::parse)?);
        target = target.protocol(form.get("protocol").map_or(Ok(crate::Protocol::default()), Value::parse)?);
        for value in form.all("say") {
            let payload = value.scan(PAYLOAD, |statement| statement.payload())?;
            let Some(given) = payload.given() else {
                return Err(value.error("this is not quoted".to_owned(), PAYLOAD));
            };
            target = target.say(given);
        }
        if let Some(value) = form.get("polite") {
            target = target.polite(match value.text.parse() {
                Ok(protocol) => Polite::As(protocol),
                Err(_) => Polite::Command(string(value)?),
            });
        }
        for option in form.get("options").map_or("", |value| value.text).split_whitespace() {
            target = match option {
                NO_GATE => target.gate(false),
                NO_NETNS => target.namespace(false),
                LISTEN_FD => target.listen_fd(true),
                _ => {
                    let error =
                        form.need("options")?.error(format!("`{option}` is no option"), "no-gate, no-netns, listen-fd");
                    return Err(error.near(option, OPTIONS));
                }
            };
        }
        let expect = form.need("expect")?;
        Ok(TargetCase {
            target,
            expect: expect.text.parse().map_err(|_| {
                let names = Symptom::ALL.map(Symptom::name);
                let problem = format!("`{}` is no kind of finding", expect.text);
                expect.error(problem, &OneOf(&names).to_string()).near(expect.text, names)
            })?,
            cause: form.get("cause").map_or("", |cause| cause.text).to_owned(),
            scenario: form.scenario()?,
        })
    }
}

const PAYLOAD: &str = "what clients send, quoted, with C escapes";
const TEXT: &str = "text on one line, or the whole of it quoted, with C escapes";

fn command(value: Value<'_>) -> Result<Vec<String>, ParseError> {
    // `split` does not fail: `Form::read` accepts no open quotation mark.
    let words = shlex::split(value.text).unwrap_or_default();
    let expected = "the words of a command, as for a shell";
    if words.is_empty() { Err(value.error("there is no command".to_owned(), expected)) } else { Ok(words) }
}

/// The bytes of a value: those between its quotation marks, unescaped, or else the text as it is.
fn bytes(value: Value<'_>) -> Result<Vec<u8>, ParseError> {
    match value.text {
        "" => Err(value.error("something is missing here".to_owned(), TEXT)),
        text if text.starts_with('"') => value.scan(TEXT, |statement| statement.quoted(TEXT)),
        text => Ok(text.as_bytes().to_vec()),
    }
}

fn string(value: Value<'_>) -> Result<String, ParseError> {
    String::from_utf8(bytes(value)?).map_err(|_| value.error("this is no UTF-8".to_owned(), TEXT))
}

impl fmt::Display for TargetCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TargetCase { target, expect, cause, scenario } = self;
        writeln!(f, "{FIRST}")?;
        writeln!(f, "command: {}", target.command_line())?;
        for (name, value) in &target.environment {
            writeln!(f, "env: {}", Text::of(format!("{name}={value}").as_bytes()))?;
        }
        if let Some(cwd) = &target.cwd {
            writeln!(f, "cwd: {}", Text::of(cwd.as_os_str().as_bytes()))?;
        }
        if let Some(setup) = &target.setup {
            writeln!(f, "setup: {}", Text::of(setup.as_bytes()))?;
        }
        if target.sigpipe != Sigpipe::Default {
            writeln!(f, "sigpipe: {}", target.sigpipe)?;
        }
        writeln!(f, "protocol: {}", target.protocol)?;
        target.says.iter().try_for_each(|say| writeln!(f, "say: {say}"))?;
        match &target.polite {
            Polite::Protocol => {}
            Polite::As(protocol) => writeln!(f, "polite: {protocol}")?,
            // A command with the name of a protocol is quoted, so that it is not read back as the protocol.
            Polite::Command(command) if command.parse::<crate::Protocol>().is_ok() => {
                writeln!(f, "polite: {}", Text::Quoted(command.as_bytes()))?;
            }
            Polite::Command(command) => writeln!(f, "polite: {}", Text::of(command.as_bytes()))?,
        }
        let options = options(target);
        if !options.is_empty() {
            writeln!(f, "options: {}", options.join(" "))?;
        }
        writeln!(f, "expect: {expect}")?;
        write_cause(f, cause)?;
        writeln!(f)?;
        scenario.events().iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

/// A header's value on one line.
enum Text<'t> {
    Plain(&'t str),
    Quoted(&'t [u8]),
}

impl<'t> Text<'t> {
    /// Quotes the value only if the plain text would not be read back unchanged.
    fn of(bytes: &'t [u8]) -> Text<'t> {
        match str::from_utf8(bytes) {
            Ok(text)
                if !text.is_empty()
                    && text.trim() == text
                    && !text.starts_with('"')
                    && !text.contains(char::is_control) =>
            {
                Text::Plain(text)
            }
            _ => Text::Quoted(bytes),
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text::Plain(text) => f.write_str(text),
            Text::Quoted(bytes) => write_quoted(f, bytes),
        }
    }
}

#[cfg(test)]
mod tests;
