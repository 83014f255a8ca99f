//! The options of the hunt of any server.

use super::seconds;
use crate::cli::failure::{BadText, Failure};
use crate::cli::options::{Name, value};
use brokenpipe::{HuntOptions, Polite, Protocol, Sigpipe, Target, parse_payload};
use clap::Args;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum number of bytes of a file with what clients send.
const MOST_SAID: u64 = 64 << 20;

/// What is asked of the hunt of any server alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for a command after `--`")]
pub(super) struct CommandOptions {
    /// The server's protocol: what clients send, and how a polite client asks [default: none]
    #[arg(long, value_name = "NAME", requires = "command", value_parser = Name(|| Protocol::ALL.map(Protocol::name).to_vec()))]
    protocol: Option<String>,
    /// What clients send, with C escapes, in place of the protocol's payloads; may be repeated
    #[arg(long, value_name = "BYTES", requires = "command", allow_hyphen_values = true)]
    say: Vec<String>,
    /// A file with what clients send, byte for byte, of at most 64 MiB; may be repeated
    #[arg(long, value_name = "FILE", requires = "command")]
    say_file: Vec<PathBuf>,
    /// How a polite client asks, if not as the protocol says: another protocol, or a shell command with {port} in it, whose exit code 0
    /// means a full answer
    #[arg(long, value_name = "CMD|NAME", requires = "command")]
    polite: Option<String>,
    /// A file with the conversation of a good client: what it sends, and what it waits for in between; `brokenpipe record` writes one
    #[arg(long, value_name = "FILE", requires = "command", conflicts_with = "polite")]
    dialogue: Option<PathBuf>,
    /// Give the server its listener as descriptor 3, as sd_listen_fds(3) describes
    #[arg(long, requires = "command")]
    listen_fd: bool,
    /// Set a variable of the server's environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "command", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Run the server in this folder [default: the fresh folder {dir}]
    #[arg(long, value_name = "DIR", requires = "command")]
    cwd: Option<PathBuf>,
    /// Run a shell command before each start of the server, in the fresh folder
    #[arg(long, value_name = "CMD", requires = "command")]
    setup: Option<String>,
    /// The most seconds that the first start of the server may take until it listens [default: 120]
    #[arg(long, value_name = "S", requires = "command", allow_negative_numbers = true, value_parser = seconds)]
    start_timeout: Option<Duration>,
    /// The disposition of SIGPIPE with which the server starts [default: default]
    #[arg(long, value_name = "HOW", requires = "command", value_parser = Name(|| Sigpipe::ALL.map(Sigpipe::name).to_vec()))]
    sigpipe: Option<String>,
    /// Do not give the server a network namespace of its own
    #[arg(long, requires = "command")]
    pub(super) no_netns: bool,
    /// Do not hold back the server's calls: `hold` then stops its processes
    #[arg(long, requires = "command")]
    no_gate: bool,
    /// Do not put the server's clock forward while the server waits for it
    #[arg(long, requires = "command")]
    real_time: bool,
    /// Count warnings as findings, for the exit code and for `--first`
    #[arg(long, requires = "command")]
    strict: bool,
    /// Stop at the first confirmed finding
    #[arg(long, requires = "command")]
    first: bool,
}

/// The bytes of a file.
fn said(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| Failure::read(path, e))?;
    file.take(MOST_SAID + 1).read_to_end(&mut bytes).map_err(|e| Failure::read(path, e))?;
    if bytes.len() as u64 > MOST_SAID {
        let text =
            format!("--say-file {}: these are more bytes than clients send at most, {MOST_SAID}", path.display());
        return Err(Failure::Usage(text));
    }
    Ok(bytes)
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

impl CommandOptions {
    /// The configuration of the hunt, as far as these options set it.
    pub(super) fn how(&self, how: HuntOptions) -> HuntOptions {
        how.first(self.first).strict(self.strict)
    }

    /// What is hunted.
    pub(super) fn target(&self, command: Vec<String>) -> Result<Target, Failure> {
        let mut target = Target::command(command)
            .protocol(self.protocol.as_deref().map_or(Ok(Protocol::default()), |text| value("--protocol", text))?)
            .polite(self.polite()?)
            .sigpipe(self.sigpipe.as_deref().map_or(Ok(Sigpipe::Default), |text| value("--sigpipe", text))?)
            .listen_fd(self.listen_fd)
            .namespace(!self.no_netns)
            .gate(!self.no_gate)
            .real_time(self.real_time);
        for text in &self.say {
            let payload = parse_payload(text).map_err(|error| BadText::new("--say", text, error))?;
            target = target.say(payload.given().unwrap_or_default());
        }
        for path in &self.say_file {
            target = target.upload(said(path)?);
        }
        for (i, (name, value)) in self.env.iter().enumerate() {
            if self.env[..i].iter().any(|(other, _)| other == name) {
                return Err(Failure::Usage(format!("--env {name} is given twice: give it one value")));
            }
            target = target.env(name, value);
        }
        if let Some(cwd) = &self.cwd {
            target = target.cwd(cwd);
        }
        if let Some(setup) = &self.setup {
            target = target.setup(setup);
        }
        if let Some(time) = self.start_timeout {
            target = target.start_timeout(time);
        }
        Ok(target)
    }

    fn polite(&self) -> Result<Polite, Failure> {
        if let Some(path) = &self.dialogue {
            let text = fs::read_to_string(path).map_err(|e| Failure::read(path, e))?;
            let dialogue = text.parse().map_err(|error| BadText::new(path.display().to_string(), &text, error))?;
            return Ok(Polite::Dialogue(dialogue));
        }
        let Some(text) = &self.polite else { return Ok(Polite::Protocol) };
        match text.parse::<Protocol>() {
            Ok(protocol) => Ok(Polite::As(protocol)),
            // A command of one word that is nearly a protocol's name is one misspelt: it would not even know the port.
            Err(error) if error.nearest.is_some() && !text.contains(char::is_whitespace) => {
                Err(BadText::new("--polite", text, error).note("or a shell command").into())
            }
            Err(_) => Ok(Polite::Command(text.clone())),
        }
    }
}
