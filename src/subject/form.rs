//! The text form of a subject: headers, as in a case file.

use super::{Policy, Polite, Setup, Sigpipe, Subject, Target};
use crate::protocol::{Dialogue, Protocol, Turn};
use crate::scenario::ParseError;
use crate::scenario::text::headers::{Header, Headers, Value};
use crate::scenario::text::write_quoted;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The headers of a program.
const PROGRAM: &[Header] = &[Header::once("program"), Header::once("policy")];
/// The headers of a command.
const COMMAND: &[Header] = &[
    Header::words("command"),
    Header::many("env"),
    Header::once("cwd"),
    Header::once("setup"),
    Header::once("sigpipe"),
    Header::once("protocol"),
    Header::many("say"),
    Header::once("polite"),
    Header::many("dialogue"),
    Header::once("options"),
];

const NO_GATE: &str = "no-gate";
const NO_NETNS: &str = "no-netns";
const LISTEN_FD: &str = "listen-fd";
const REAL_TIME: &str = "real-time";
const OPTIONS: [&str; 4] = [NO_GATE, NO_NETNS, LISTEN_FD, REAL_TIME];

/// The names of the options that are set.
pub(crate) fn options(target: &Target) -> Vec<&'static str> {
    let set = [!target.gate, !target.namespace, target.listen_fd, target.real_time];
    OPTIONS.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

impl Subject {
    /// The headers that a text with these lines may have: those of a command if one of the lines is `command:`, those of a program if one is
    /// `program:`, else both.
    pub(crate) fn headers<'t>(lines: impl Iterator<Item = &'t str> + Clone) -> Vec<Header> {
        let has = |name| lines.clone().any(|line| line.starts_with(name));
        if has("command:") {
            COMMAND.to_vec()
        } else if has("program:") {
            PROGRAM.to_vec()
        } else {
            [PROGRAM, COMMAND].concat()
        }
    }

    pub(crate) fn read(headers: &Headers<'_>) -> Result<Subject, ParseError> {
        match headers.get("command") {
            Some(words) => command(words, headers).map(Subject::Command),
            None => {
                let missing = || headers.missing("program", "a line `program: …` or `command: …` before this");
                let program = headers.get("program").ok_or_else(missing)?.parse()?;
                let policy = headers.get("policy").map_or(Ok(Policy::Default), Value::parse)?;
                Ok(Subject::Program(Setup { program, policy }))
            }
        }
    }
}

fn command(line: Value<'_>, headers: &Headers<'_>) -> Result<Target, ParseError> {
    let mut target = Target::command(words(line)?);
    for header in headers.all("env") {
        let text = string(header)?;
        let expected = "NAME=VALUE";
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| header.error(format!("`{text}` sets no variable"), expected))?;
        target = target.env(name, value);
        if let Some(name) = target.set_twice() {
            return Err(header.error(format!("`{name}` is set twice"), "each variable once"));
        }
    }
    if let Some(value) = headers.get("cwd") {
        target = target.cwd(OsString::from_vec(bytes(value)?));
    }
    if let Some(value) = headers.get("setup") {
        target = target.setup(string(value)?);
    }
    target = target.sigpipe(headers.get("sigpipe").map_or(Ok(Sigpipe::Default), Value::parse)?);
    target = target.protocol(headers.get("protocol").map_or(Ok(Protocol::default()), Value::parse)?);
    for value in headers.all("say") {
        let payload = value.scan(PAYLOAD, |statement| statement.payload())?;
        let Some(given) = payload.given() else {
            return Err(value.error("this is not quoted".to_owned(), PAYLOAD));
        };
        target = target.say(given);
    }
    if let Some(value) = headers.get("polite") {
        target = target.polite(match value.text.parse() {
            Ok(protocol) => Polite::As(protocol),
            Err(_) => Polite::Command(string(value)?),
        });
    }
    let turns = headers.all("dialogue").map(|value| value.scan(TURN, Turn::read)).collect::<Result<Vec<_>, _>>()?;
    if !turns.is_empty() {
        target = target.polite(Polite::Dialogue(Dialogue::new(turns)));
    }
    for option in headers.get("options").map_or("", |value| value.text).split_whitespace() {
        target = match option {
            NO_GATE => target.gate(false),
            NO_NETNS => target.namespace(false),
            LISTEN_FD => target.listen_fd(true),
            REAL_TIME => target.real_time(true),
            _ => {
                let expected = "no-gate, no-netns, listen-fd, real-time";
                let error = headers.need("options")?.error(format!("`{option}` is no option"), expected);
                return Err(error.near(option, OPTIONS));
            }
        };
    }
    Ok(target)
}

const PAYLOAD: &str = "what clients send, quoted, with C escapes";
const TURN: &str = "a turn of a dialogue, such as `send \"HELO x\\r\\n\"` or `expect \"250\"`";
const TEXT: &str = "text on one line, or the whole of it quoted, with C escapes";

fn words(value: Value<'_>) -> Result<Vec<String>, ParseError> {
    // `split` does not fail: `Headers::read` accepts no open quotation mark.
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

/// The headers, one per line.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Program(Setup { program, policy }) => {
                match program.preset() {
                    Some(preset) => writeln!(f, "program: {preset}")?,
                    None => writeln!(f, "program: {program}")?,
                }
                writeln!(f, "policy: {policy}")
            }
            Subject::Command(target) => write_command(f, target),
        }
    }
}

fn write_command(f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
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
        Polite::Dialogue(dialogue) => dialogue.turns().iter().try_for_each(|turn| writeln!(f, "dialogue: {turn}"))?,
        // A command with the name of a protocol is quoted, so that it is not read back as the protocol.
        Polite::Command(command) if command.parse::<Protocol>().is_ok() => {
            writeln!(f, "polite: {}", Text::Quoted(command.as_bytes()))?;
        }
        Polite::Command(command) => writeln!(f, "polite: {}", Text::of(command.as_bytes()))?,
    }
    let options = options(target);
    if !options.is_empty() {
        writeln!(f, "options: {}", options.join(" "))?;
    }
    Ok(())
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
