//! `brokenpipe triage`.

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, say};
use super::interrupt::Interrupt;
use super::store;
use brokenpipe::{Finding, Group, Input, Kernel, Stoppable, Triage as Verdict, triage};
use clap::Args;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Turn a fuzzer's artifacts into cases
///
/// Each artifact is played three times, each time against a fresh server. Artifacts that fail in the same way are one finding: of the same
/// kind, at the same call of the server, on a socket in the same state. Each finding is minimised, shown, and saved as a case file.
///
/// An artifact may have at most 4096 bytes, which is libFuzzer's default (`-max_len`), and at most 10000 events; those of a block count
/// once for each round.
#[derive(Debug, Args)]
pub(super) struct Triage {
    /// Artifacts or corpus files, and folders of such files
    #[arg(required = true, value_name = "ARTIFACT|DIR")]
    paths: Vec<PathBuf>,
    /// The folder for the case files
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
        // All files are read before the first input is played, so that a file that is no artifact is reported at once.
        let inputs = files.iter().map(|path| input(path)).collect::<Result<Vec<_>, _>>()?;
        let interrupt = Interrupt::listen()?;
        let mut kernel = Stoppable::new(Kernel::fresh()?, interrupt.flag());
        let mut written = 0;
        match self.play(&files, &inputs, &mut kernel, &mut written, out) {
            Err(Failure::Interrupted) => {
                let cases = if written == 1 { "case was" } else { "cases were" };
                say(format_args!("interrupted: {written} {cases} written"));
                Ok(Exit::INTERRUPTED)
            }
            done => done,
        }
    }

    fn play(
        &self,
        files: &[PathBuf],
        inputs: &[Input],
        kernel: &mut Stoppable<Kernel>,
        written: &mut usize,
        out: &mut Out,
    ) -> Result<u8, Failure> {
        let mut findings: Vec<(&Path, Finding)> = Vec::new();
        for (path, input) in files.iter().zip(inputs) {
            match triage(kernel, input)? {
                Verdict::Holds => writeln!(out, "holds   {}", path.display())?,
                Verdict::Fails(finding) => {
                    out.found();
                    writeln!(out, "fails   {}: {}", path.display(), finding.kind())?;
                    findings.push((path, *finding));
                }
                Verdict::Flaky { failed, finding } => {
                    out.found();
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
            self.show(&group.clone().reduced(kernel)?, out)?;
            *written += 1;
        }
        let plural = if groups.len() == 1 { "" } else { "s" };
        writeln!(out, "\n{} finding{plural}, from {count} of {} files", groups.len(), files.len())?;
        Ok(Exit::FINDING)
    }

    /// Shows a finding and writes its case file. If the file cannot be written, the finding is shown all the same.
    fn show(&self, group: &Group<&Path>, out: &mut Out) -> Result<(), Failure> {
        writeln!(out, "\n== {}\n", group.signature)?;
        let shown = store::show(&group.finding, &self.out, out);
        for source in &group.sources {
            writeln!(out, "from:   {}", source.display())?;
        }
        shown
    }
}

/// Most bytes of an artifact: libFuzzer's default for `-max_len`.
const MAX_BYTES: u64 = 4096;
/// Most events of an artifact, those of a block counted once for each round. The fuzz targets play at most 256.
const MAX_PLAYED: usize = 10_000;

/// Reads an input from a file. Fails if the file cannot be read, has more than [`MAX_BYTES`] bytes, or gives more than [`MAX_PLAYED`]
/// events.
pub(super) fn input(path: &Path) -> Result<Input, Failure> {
    let unreadable = |source: io::Error| Failure::read(path, source);
    let mut bytes = Vec::new();
    // Reads at most one byte more than allowed, which shows that a file is too long even if it grows meanwhile.
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    let path = path.display();
    if bytes.len() as u64 > MAX_BYTES {
        let problem =
            format!("{path} is no artifact: it has more than {MAX_BYTES} bytes, which libFuzzer makes at most");
        return Err(Failure::Usage(problem));
    }
    let input = Input::decode(&bytes);
    let played = input.scenario.played();
    if played > MAX_PLAYED {
        let problem =
            format!("{path} is no artifact: it comes to {played} events, and at most {MAX_PLAYED} are played");
        return Err(Failure::Usage(problem));
    }
    Ok(input)
}

/// The given files, and the files in the given folders, sorted by name within each folder. Hidden files in a folder are left out, and so is
/// everything but regular files: opening a FIFO would block until another process opens it for writing.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let unreadable = |source: io::Error| Failure::read(path, source);
        let kind = fs::metadata(path).map_err(unreadable)?;
        if kind.is_file() {
            files.push(path.clone());
            continue;
        }
        if !kind.is_dir() {
            return Err(Failure::Usage(format!("{} is neither a regular file nor a folder", path.display())));
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
