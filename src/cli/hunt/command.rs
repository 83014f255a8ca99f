//! The hunt of any server.

use super::progress::{Progress, SoFar};
use super::{Search, bar, seconds};
use crate::cli::Out;
use crate::cli::exit::Exit;
use crate::cli::failure::{BadText, Failure, lines, say};
use crate::cli::interrupt::Interrupt;
use crate::cli::options::{Name, value};
use crate::cli::{store, user};
use brokenpipe::report::{self, FindingJson};
use brokenpipe::{
    Baseline, Finding, HuntError, HuntEvent, HuntOptions, HuntReport, MAX_SEND, Polite, Protocol, Severity, Sigpipe,
    Target, parse_payload,
};
use clap::{Args, ValueEnum};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

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
    /// A file with what clients send, byte for byte; may be repeated
    #[arg(long, value_name = "FILE", requires = "command")]
    say_file: Vec<PathBuf>,
    /// How a polite client asks, if not as the protocol says: another protocol, or a shell command with {port} in it, whose exit code 0
    /// means a full answer
    #[arg(long, value_name = "CMD|NAME", requires = "command")]
    polite: Option<String>,
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
    no_netns: bool,
    /// Do not hold back the server's calls: `hold` then stops its processes
    #[arg(long, requires = "command")]
    no_gate: bool,
    /// Inject no errors: play no `fault` events
    #[arg(long, requires = "command")]
    no_faults: bool,
    /// Count warnings as findings, for the exit code and for `--first`
    #[arg(long, requires = "command")]
    strict: bool,
    /// Stop at the first confirmed finding
    #[arg(long, requires = "command")]
    first: bool,
    /// Output format
    #[arg(long, short, value_enum, default_value_t = Format::Text, requires = "command")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A description of the server, and a full report of each finding
    Text,
    /// One object for each finding, each on a line, see docs/json.md
    Json,
}

/// Most scenarios if nothing else is asked for; of events as the library has it.
const CASES: u64 = 1000;

/// How many suspicions that no fresh server confirmed are shown as text.
const MOST_SUSPICIONS: usize = 10;

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// What the hunting thread has to say.
enum Word {
    Ready(Baseline),
    Found(Box<Finding>),
    Skipped(&'static str),
}

impl CommandOptions {
    pub(super) fn run(self, command: Vec<String>, search: &Search, out: &mut Out) -> Result<u8, Failure> {
        let target = self.target(command)?;
        let cases = search.cases.unwrap_or(CASES);
        if search.seconds.map_or(cases == 0, |time| time.is_zero()) {
            say("nothing ran: there was no scenario to play");
            return Ok(Exit::NOTHING_RAN);
        }
        if !self.no_netns {
            // Before there is any other thread.
            user::enter_namespace();
        }
        let interrupt = Interrupt::listen()?;
        let mut how = HuntOptions::default().cases(cases).seed(search.seed).clients(search.clients.into());
        how = how.first(self.first).strict(self.strict).faults(!self.no_faults).stop(interrupt.flag());
        how.time = search.seconds;
        how.max_events = search.max_events.map_or(how.max_events, usize::from);
        let bar = bar(search.seconds.is_none().then_some(cases));
        let start = Instant::now();
        let (tell, told) = mpsc::channel();
        // The server's thread is a child's of this one; the output is this one's.
        let (shown, report) = std::thread::scope(|scope| {
            let hunting = scope.spawn(|| {
                let tell = tell;
                target.hunt(&how, |event| {
                    let heard = match event {
                        HuntEvent::Ready(baseline) => tell.send(Word::Ready(baseline.clone())),
                        HuntEvent::Found(finding) => tell.send(Word::Found(Box::new(finding.clone()))),
                        HuntEvent::Skipped(what) => tell.send(Word::Skipped(what)),
                        HuntEvent::Played(played, _) => {
                            bar.set_position(played);
                            Ok(())
                        }
                        HuntEvent::Unconfirmed(_) => Ok(()),
                    };
                    // An error means that nobody is listening any more.
                    how.stop.fetch_or(heard.is_err(), Ordering::Relaxed);
                })
            });
            let mut shower = Shower {
                target: &target,
                how: &how,
                dir: &search.out,
                format: self.format,
                baseline: None,
                findings: 0,
            };
            // Where there is a bar, it shows the same.
            let mut progress = bar.is_hidden().then(|| Progress::new(start));
            let shown = loop {
                let word = match &progress {
                    Some(progress) => told.recv_timeout(progress.due_in()),
                    None => told.recv().map_err(RecvTimeoutError::from),
                };
                match word {
                    Ok(word) => {
                        if let Err(error) = bar.suspend(|| shower.show(word, out)) {
                            break Err(error);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break Ok(()),
                }
                let so_far = SoFar { played: bar.position(), findings: shower.findings, now: how.activity.now() };
                if let Some(line) = progress.as_mut().and_then(|progress| progress.line(so_far)) {
                    say(line);
                }
            };
            how.stop.fetch_or(shown.is_err(), Ordering::Relaxed);
            drop(told);
            (shown, hunting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        bar.finish_and_clear();
        shown?;
        let report = match report {
            Err(HuntError::Stopped) => {
                say("interrupted before the server listened");
                return Ok(Exit::INTERRUPTED);
            }
            report => report?,
        };
        if interrupt.asked() {
            say("interrupted");
        }
        if let Some(error) = &report.ended {
            say(format_args!("the hunt ended early: {}", lines(error)));
        }
        self.suspicions(&report, out)?;
        let tally = tally(&report, start);
        match self.format {
            Format::Text => writeln!(out, "{tally}")?,
            Format::Json => say(&tally),
        }
        let found = report.findings.iter().any(|finding| how.counts(finding.severity()));
        Ok(match report.played {
            _ if interrupt.asked() => Exit::INTERRUPTED,
            _ if found => Exit::FINDING,
            _ if report.ended.is_some() => Exit::MACHINE,
            0 => Exit::NOTHING_RAN,
            _ => Exit::HELD,
        })
    }

    /// What no fresh server confirmed, before the last line: in text the first few, a line each; as JSON all of them, but on standard error,
    /// so that standard output has a line for each finding and no other.
    fn suspicions(&self, report: &HuntReport, out: &mut Out) -> Result<(), Failure> {
        let HuntReport { unconfirmed, baseline, distrusted, .. } = report;
        if *distrusted > 0 {
            say(format_args!(
                "not reported: what {distrusted} runs showed in which a signal of brokenpipe's made a call fail with EINTR"
            ));
        }
        if self.format == Format::Json {
            for finding in unconfirmed {
                let mut line = Vec::new();
                FindingJson { finding, baseline, case: None }.write_line(&mut line)?;
                say(String::from_utf8_lossy(&line).trim_end());
            }
            return Ok(());
        }
        for finding in unconfirmed.iter().take(MOST_SUSPICIONS) {
            write!(out, "{}", report::suspicion(finding))?;
        }
        match unconfirmed.len().saturating_sub(MOST_SUSPICIONS) {
            0 => {}
            more => writeln!(out, "not confirmed: {more} more")?,
        }
        Ok(())
    }

    /// What is hunted.
    fn target(&self, command: Vec<String>) -> Result<Target, Failure> {
        let mut target = Target::command(command)
            .protocol(self.protocol.as_deref().map_or(Ok(Protocol::default()), |text| value("--protocol", text))?)
            .polite(self.polite()?)
            .sigpipe(self.sigpipe.as_deref().map_or(Ok(Sigpipe::Default), |text| value("--sigpipe", text))?)
            .listen_fd(self.listen_fd)
            .namespace(!self.no_netns)
            .gate(!self.no_gate);
        for text in &self.say {
            let payload = parse_payload(text).map_err(|error| BadText::new("--say", text, error))?;
            target = target.say(payload.given().unwrap_or_default());
        }
        for path in &self.say_file {
            let bytes = fs::read(path).map_err(|e| Failure::read(path, e))?;
            if bytes.len() > MAX_SEND {
                let (path, len) = (path.display(), bytes.len());
                return Err(Failure::Usage(format!(
                    "--say-file {path}: {len} bytes are more than one send may carry, {MAX_SEND}"
                )));
            }
            target = target.say(bytes);
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

/// Shows findings as they come, and keeps them.
struct Shower<'s> {
    target: &'s Target,
    how: &'s HuntOptions,
    dir: &'s Path,
    format: Format,
    baseline: Option<Baseline>,
    /// How many findings were shown that count as failures.
    findings: usize,
}

impl Shower<'_> {
    fn show(&mut self, word: Word, out: &mut Out) -> Result<(), Failure> {
        match word {
            Word::Ready(baseline) => {
                let text = report::server(self.target, &baseline);
                match self.format {
                    Format::Text => writeln!(out, "{text}")?,
                    Format::Json => say(text.trim_end()),
                }
                self.baseline = Some(baseline);
            }
            Word::Found(finding) => {
                self.findings += usize::from(self.how.counts(finding.severity()));
                self.found(&finding, out)?;
            }
            Word::Skipped(what) => say(what),
        }
        // Somebody may be waiting for it.
        Ok(out.flush()?)
    }

    fn found(&self, finding: &Finding, out: &mut Out) -> Result<(), Failure> {
        // The first thing that is told is what the server is like.
        let Some(baseline) = &self.baseline else { return Ok(()) };
        if self.how.counts(finding.severity()) {
            out.found();
        }
        if self.format == Format::Text {
            store::show(finding, self.dir, out)?;
            return Ok(writeln!(out)?);
        }
        // What did not come true each time would not replay each time.
        let saved = finding.is_confirmed().then(|| store::save(finding, self.dir)).transpose();
        let path = saved.as_ref().ok().and_then(Option::as_ref);
        path.map(|path| store::save_output(finding, path)).transpose()?;
        let case = path.map(|path| path.display().to_string());
        FindingJson { finding, baseline, case: case.as_deref() }.write_line(&mut *out)?;
        saved.map(drop)
    }
}

/// The last line.
fn tally(report: &HuntReport, start: Instant) -> String {
    let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let count = |severity| report.findings.iter().filter(|f| f.severity() == severity).count() as u64;
    let [findings, warnings, flaky] = [Severity::Finding, Severity::Warning, Severity::Flaky].map(count);
    let mut text = format!("{}, {}", counted(report.played, "scenario"), counted(findings, "finding"));
    if warnings > 0 {
        text += &format!(", {}", counted(warnings, "warning"));
    }
    if flaky > 0 {
        text += &format!(", {flaky} flaky");
    }
    if !report.unconfirmed.is_empty() {
        text += &format!(", {} not confirmed", report.unconfirmed.len());
    }
    text + &format!(" in {:.2} s", start.elapsed().as_secs_f64())
}
