//! `brokenpipe triage`.

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, say};
use super::interrupt::Interrupt;
use super::store;
use brokenpipe::{Finding, Group, Input, Kernel, Triage as Verdict, report, triage};
use clap::Args;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Turn a fuzzer's artifacts into cases
///
/// Each is played three times against a fresh server. Those that fail in the same way are one finding: the same kind, at the same
/// call of the server's, on a socket in the same state. Each finding is cut down to the fewest events, shown, and kept as a case file.
#[derive(Debug, Args)]
pub(super) struct Triage {
    /// Artifacts or files of a corpus, and folders of them
    #[arg(required = true, value_name = "ARTIFACT|DIR")]
    paths: Vec<PathBuf>,
    /// Where the case files go
    #[arg(long, value_name = "DIR", default_value = "tests/cases")]
    out: PathBuf,
}

impl Triage {
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        let files = files(&self.paths)?;
        if files.is_empty() {
            say("nothing ran: there is no artifact there");
            return Ok(Exit::NOTHING_RAN);
        }
        let interrupt = Interrupt::listen()?;
        let mut kernel = Kernel::fresh()?;
        let mut findings: Vec<(&Path, Finding)> = Vec::new();
        for path in &files {
            if interrupt.asked() {
                say("interrupted: no case was written");
                return Ok(Exit::INTERRUPTED);
            }
            let bytes = fs::read(path).map_err(|e| Failure::read(path, e))?;
            match triage(&mut kernel, &Input::decode(&bytes))? {
                Verdict::Holds => writeln!(out, "holds   {}", path.display())?,
                Verdict::Fails(finding) => {
                    writeln!(out, "fails   {}: {}", path.display(), finding.kind)?;
                    findings.push((path, *finding));
                }
                Verdict::Flaky { failed, finding } => {
                    writeln!(out, "flaky   {}: failed {failed} of {} times", path.display(), Verdict::TIMES)?;
                    findings.push((path, *finding));
                }
            }
        }
        if findings.is_empty() {
            return Ok(Exit::HELD);
        }
        let count = findings.len();
        let groups = Group::all(findings);
        for group in &groups {
            self.show(&group.clone().reduced(&mut kernel)?, out)?;
        }
        let plural = if groups.len() == 1 { "" } else { "s" };
        writeln!(out, "\n{} finding{plural}, from {count} of {} files", groups.len(), files.len())?;
        Ok(Exit::FINDING)
    }

    /// Shows a finding, and writes its case file. If there can be no file, it is shown all the same.
    fn show(&self, group: &Group<&Path>, out: &mut Out) -> Result<(), Failure> {
        let saved = store::save(&group.finding, &self.out);
        let replay = match &saved {
            Ok(path) => store::replay_command(path),
            Err(_) => store::run_command(&group.finding),
        };
        writeln!(out, "\n== {}\n\n{}", group.signature, report::finding(&group.finding, &replay))?;
        for source in &group.sources {
            writeln!(out, "from:   {}", source.display())?;
        }
        writeln!(out, "case:   {}", saved?.display())?;
        Ok(())
    }
}

/// These files, and those in these folders, sorted; hidden ones are none.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let unreadable = |source: io::Error| Failure::read(path, source);
        if !fs::metadata(path).map_err(unreadable)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
        let shown = |path: &PathBuf| !path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        let mut inside: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).filter(shown).collect();
        inside.retain(|path| path.is_file());
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}
