//! Shows what a hunt reports: the server, each finding as it comes, and the last line.

use super::progress::{Progress, SoFar};
use super::{Format, bar};
use crate::cli::Out;
use crate::cli::failure::{Failure, say};
use crate::cli::store;
use brokenpipe::report::{self, FindingJson};
use brokenpipe::{Baseline, Finding, Hunt, HuntError, HuntEvent, HuntOptions, HuntReport, Severity, Subject};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

/// How many suspicions that no fresh server confirmed are shown as text.
const MOST_SUSPICIONS: usize = 10;

/// What the hunting thread has to say.
enum Word {
    Ready(Box<Baseline>),
    Found(Box<Finding>),
    Skipped(&'static str),
}

/// Shows findings as they come, and keeps them.
pub(super) struct Watch<'s> {
    pub(super) subject: &'s Subject,
    pub(super) how: &'s HuntOptions,
    /// The folder for case files.
    pub(super) dir: &'s Path,
    pub(super) format: Format,
    pub(super) start: Instant,
    baseline: Option<Baseline>,
    /// How many findings were shown that count as failures.
    pub(super) findings: usize,
    /// Whether a case could not be written. The hunt goes on: what it finds is shown.
    pub(super) is_unsaved: bool,
}

impl<'s> Watch<'s> {
    pub(super) fn new(subject: &'s Subject, how: &'s HuntOptions, dir: &'s Path, format: Format) -> Watch<'s> {
        Watch { subject, how, dir, format, start: Instant::now(), baseline: None, findings: 0, is_unsaved: false }
    }

    /// Runs a hunt on a thread of its own, and shows what it reports. The inner error is one of the hunt, the outer one of showing it.
    pub(super) fn run(&mut self, hunt: Hunt<'_>, out: &mut Out) -> Result<Result<HuntReport, HuntError>, Failure> {
        let how = self.how;
        let bar = bar(how.time.is_none().then_some(how.cases));
        let (tell, told) = mpsc::channel();
        // A server is a child of the hunting thread; the output is this thread's.
        let (shown, report) = std::thread::scope(|scope| {
            let hunting = scope.spawn(|| {
                let tell = tell;
                hunt.run(|event| {
                    let heard = match event {
                        HuntEvent::Ready(baseline) => tell.send(Word::Ready(Box::new(baseline.clone()))),
                        HuntEvent::Found(finding) => tell.send(Word::Found(Box::new(finding.clone()))),
                        HuntEvent::Skipped(what) => tell.send(Word::Skipped(what)),
                        HuntEvent::Played(played, _) => {
                            bar.set_position(played);
                            Ok(())
                        }
                        _ => Ok(()),
                    };
                    // An error means that nobody is listening any more.
                    how.stop.fetch_or(heard.is_err(), Relaxed);
                })
            });
            // Where there is a bar, it shows the same.
            let mut progress = bar.is_hidden().then(|| Progress::new(self.start));
            let shown = loop {
                let word = match &progress {
                    Some(progress) => told.recv_timeout(progress.due_in()),
                    None => told.recv().map_err(RecvTimeoutError::from),
                };
                match word {
                    Ok(word) => {
                        if let Err(error) = bar.suspend(|| self.show(word, out)) {
                            break Err(error);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break Ok(()),
                }
                let so_far = SoFar { played: bar.position(), findings: self.findings, now: how.activity.now() };
                if let Some(line) = progress.as_mut().and_then(|progress| progress.line(so_far)) {
                    say(line);
                }
            };
            how.stop.fetch_or(shown.is_err(), Relaxed);
            drop(told);
            (shown, hunting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        bar.finish_and_clear();
        shown.map(|()| report)
    }

    fn show(&mut self, word: Word, out: &mut Out) -> Result<(), Failure> {
        match word {
            Word::Ready(baseline) => {
                if let Subject::Command(target) = self.subject {
                    let text = report::server(target, &baseline);
                    match self.format {
                        Format::Text => writeln!(out, "{text}")?,
                        Format::Json => say(text.trim_end()),
                    }
                }
                self.baseline = Some(*baseline);
            }
            Word::Found(finding) => match self.found(&finding, out) {
                Err(failure @ (Failure::Save { .. } | Failure::Write { .. })) => {
                    self.is_unsaved = true;
                    writeln!(out)?;
                    out.flush()?;
                    failure.show();
                }
                found => found?,
            },
            Word::Skipped(what) => say(what),
        }
        // Somebody may be waiting for it.
        Ok(out.flush()?)
    }

    fn found(&mut self, finding: &Finding, out: &mut Out) -> Result<(), Failure> {
        if self.how.counts(finding.severity()) {
            self.findings += 1;
            out.found();
        }
        if self.format == Format::Text {
            store::show(finding, self.dir, out)?;
            // The last line of a program's hunt belongs to its finding.
            if let Subject::Command(_) = self.subject {
                writeln!(out)?;
            }
            return Ok(());
        }
        // What did not come true each time would not replay each time.
        let saved = finding.is_confirmed().then(|| store::save(finding, self.dir)).transpose();
        let path = saved.as_ref().ok().and_then(Option::as_ref);
        path.map(|path| store::save_output(finding, path)).transpose()?;
        let case = path.map(|path| path.display().to_string());
        FindingJson { finding, baseline: self.baseline.as_ref(), case: case.as_deref() }.write_line(&mut *out)?;
        saved.map(drop)
    }

    /// What no fresh server confirmed, before the last line: in text the first few, a line each; as JSON all of them, but on standard error,
    /// so that standard output has a line for each finding and no other.
    pub(super) fn suspicions(&self, report: &HuntReport, out: &mut Out) -> Result<(), Failure> {
        let HuntReport { unconfirmed, baseline, distrusted, .. } = report;
        if *distrusted > 0 {
            say(format_args!(
                "not reported: what {distrusted} runs showed in which a signal of brokenpipe's made a call fail with EINTR"
            ));
        }
        if self.format == Format::Json {
            for finding in unconfirmed {
                let mut line = Vec::new();
                FindingJson { finding, baseline: baseline.as_ref(), case: None }.write_line(&mut line)?;
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

    /// The last line.
    pub(super) fn tally(&self, report: &HuntReport) -> String {
        let took = self.start.elapsed().as_secs_f64();
        let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let scenarios = counted(report.played, "scenario");
        if let Subject::Program(_) = self.subject {
            let (seed, played) = (self.how.seed, format!("played {scenarios} in {took:.2} s"));
            return match (report.number, report.played) {
                (Some(number), _) => format!("found:  scenario {number} of seed {seed}; {played}"),
                _ if report.ended.is_some() => format!("{played} of seed {seed}"),
                _ if report.stopped => format!("interrupted: {played} of seed {seed}, and all of them held"),
                (None, 0) => format!("nothing ran: {played} of seed {seed}"),
                (None, _) => format!("nothing found: {played} of seed {seed}, and all of them held"),
            };
        }
        let count = |severity| report.findings.iter().filter(|f| f.severity() == severity).count() as u64;
        let [findings, warnings, flaky] = [Severity::Finding, Severity::Warning, Severity::Flaky].map(count);
        let mut text = format!("{scenarios}, {}", counted(findings, "finding"));
        if warnings > 0 {
            text += &format!(", {}", counted(warnings, "warning"));
        }
        if flaky > 0 {
            text += &format!(", {flaky} flaky");
        }
        if !report.unconfirmed.is_empty() {
            text += &format!(", {} not confirmed", report.unconfirmed.len());
        }
        text + &format!(" in {took:.2} s")
    }
}
