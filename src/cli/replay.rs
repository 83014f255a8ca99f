//! `brokenpipe replay`.

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, say};
use super::interrupt::Interrupt;
use super::user;
use super::worlds::{World, Worlds};
use brokenpipe::{CONFIRMATIONS, Case, Expect, HuntError, Kind, Scenario, Setup, Subject, Target, report};
use clap::Args;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Play case files, and compare the results with those that they expect
///
/// The case of a program is played on the kernel, and the result is compared with the expected one and with the model's. A case with a
/// command is played three times, each time on a fresh server; if it was found without the gate, its failure need show only once. One line
/// is printed for each case. The commands that a case is going to run on this machine are shown first, on standard error.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Case files, and folders whose *.case files are played
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
}

/// The number of cases by their result.
#[derive(Debug, Default)]
struct Count {
    held: usize,
    failed: usize,
    unreadable: usize,
    /// Cases whose server could not be started, or did not answer a polite client.
    unplayable: usize,
}

impl Replay {
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let mut files = Vec::new();
        for path in &self.paths {
            collect(path, &mut files)?;
        }
        if files.is_empty() {
            say("nothing ran: there is no *.case file there");
            return Ok(Exit::NOTHING_RAN);
        }
        let cases: Vec<_> = files.iter().map(Case::load).collect();
        if cases
            .iter()
            .flatten()
            .any(|case| matches!(&case.subject, Subject::Command(target) if target.has_namespace()))
        {
            // Before any other thread is started: only a process with a single thread can enter a user namespace.
            user::enter_namespace();
        }
        let interrupt = Interrupt::listen()?;
        let mut worlds = None;
        let mut count = Count::default();
        for (path, case) in files.iter().zip(cases) {
            let replayed = match case {
                _ if interrupt.asked() => Err(Failure::Interrupted),
                Ok(case) => match (&case.subject, &case.expect) {
                    (Subject::Command(target), Expect::Finding(kind)) => {
                        // The worlds pin this thread to one core, and the server would inherit that.
                        worlds = None;
                        replay_command(target, &case.scenario, *kind, path, &interrupt, &mut count, out)
                    }
                    (Subject::Program(setup), _) => {
                        let worlds = match &mut worlds {
                            Some(worlds) => worlds,
                            none => none.insert(Worlds::new(World::Both, &interrupt)?),
                        };
                        replay_program(setup, &case, path, worlds, &mut count, out)
                    }
                    (Subject::Command(_), Expect::Run(_)) => unreachable!("no file expects this of a command"),
                },
                Err(error) => {
                    // The other cases are played all the same.
                    count.unreadable += 1;
                    out.flush()?;
                    Failure::case(error).show();
                    Ok(())
                }
            };
            match replayed {
                Err(Failure::Interrupted) => {
                    say(format_args!("interrupted: {count}"));
                    return Ok(Exit::INTERRUPTED);
                }
                replayed => replayed?,
            }
        }
        writeln!(out, "{count}")?;
        Ok(match count {
            Count { unreadable: 1.., .. } => Exit::USAGE,
            Count { unplayable: 1.., .. } => Exit::MACHINE,
            Count { failed: 1.., .. } => Exit::FINDING,
            Count { .. } => Exit::HELD,
        })
    }
}

fn replay_program(
    setup: &Setup,
    case: &Case,
    path: &Path,
    worlds: &mut Worlds,
    count: &mut Count,
    out: &mut Out,
) -> Result<(), Failure> {
    let played = worlds.play(setup, &case.scenario)?;
    let expected = case.check(played.trace);
    let path = shown(path);
    if expected.is_ok() && !matches!(played.compared, Some(Err(_))) {
        count.held += 1;
        writeln!(out, "ok      {path}: {}", case.expect)?;
        return Ok(());
    }
    count.failed += 1;
    out.found();
    writeln!(out, "FAILED  {path}")?;
    if let Err(mismatch) = expected {
        for line in mismatch.to_string().lines() {
            writeln!(out, "        {line}")?;
        }
    }
    if let Some(Err(difference)) = played.compared {
        writeln!(out, "        the kernel and the model disagree: {difference}")?;
    }
    Ok(())
}

/// A path, safe to print on a terminal: another user may have chosen the names in the folder.
fn shown(path: &Path) -> String {
    report::printable(&path.to_string_lossy())
}

fn replay_command(
    target: &Target,
    scenario: &Scenario,
    expect: Kind,
    path: &Path,
    interrupt: &Interrupt,
    count: &mut Count,
    out: &mut Out,
) -> Result<(), Failure> {
    let path = shown(path);
    // A reader gets the results of the cases before this one before its server starts.
    out.flush()?;
    say(format_args!("starts:   {path}\n{}", report::commands(target).trim_end()));
    let stop = interrupt.flag();
    let played = target.confirm_until(scenario, expect, &stop).and_then(|finding| {
        // If the failure did not reproduce at all, one more run shows what happens instead.
        let instead = if finding.confirmed == 0 { Some(target.play_until(scenario, &stop)?) } else { None };
        Ok((finding, instead))
    });
    let (finding, instead) = match played {
        Ok(played) => played,
        Err(HuntError::Stopped) => return Err(Failure::Interrupted),
        Err(error) => {
            count.unplayable += 1;
            writeln!(out, "FAILED  {path}: it could not be played")?;
            out.flush()?;
            Failure::from(error).show();
            return Ok(());
        }
    };
    let times = finding.confirmed;
    // Without the gate the order of the server's calls is left to the scheduler, so one reproduction is enough.
    if finding.is_confirmed() || (!finding.gate.is_on() && times > 0) {
        count.held += 1;
        writeln!(out, "ok      {path}: {expect} {times} of {CONFIRMATIONS}")?;
        return Ok(());
    }
    count.failed += 1;
    out.found();
    writeln!(out, "FAILED  {path}\n        expected: {expect} {CONFIRMATIONS} of {CONFIRMATIONS}")?;
    match instead {
        None => writeln!(out, "             got: {expect} {times} of {CONFIRMATIONS}")?,
        Some(run) if run.seen.is_empty() => writeln!(out, "             got: nothing wrong")?,
        Some(run) => {
            for seen in &run.seen {
                writeln!(out, "             got: {}: {}", seen.signature.kind, report::printable(&seen.evidence))?;
            }
        }
    }
    Ok(())
}

/// Adds the file, or every `*.case` file in the folder and its subfolders, sorted by name within each folder.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |source: io::Error| Failure::read(path, source);
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable);
    let mut entries = entries?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // A symbolic link to a folder is not followed, because it may form a cycle.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            collect(&entry.path(), files)?;
        } else if entry.path().extension().is_some_and(|e| e == "case") && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Count { held, failed, unreadable, unplayable } = self;
        let all = held + failed + unreadable + unplayable;
        write!(f, "{all} {}: {held} ok, {failed} failed", if all == 1 { "case" } else { "cases" })?;
        if *unplayable > 0 {
            write!(f, ", {unplayable} not played")?;
        }
        if *unreadable > 0 { write!(f, ", {unreadable} unreadable") } else { Ok(()) }
    }
}
