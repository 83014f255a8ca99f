//! Case files: a server, a scenario and the expected result, as text that people can read, commit and replay.

mod expect;
mod text;

pub use expect::{Expect, ExpectedRun, Mismatch};

use crate::detect::Finding;
use crate::scenario::{ParseError, Scenario};
use crate::subject::{Setup, Subject};
use crate::trace::Trace;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A case: a server, a scenario that is played against it, and the expected result.
///
/// Its text form is a file: the line `brokenpipe case 1`, headers in any order, an empty line, and the scenario. `Display` gives the
/// canonical file, with one event per line, and [`str::parse`] reads it back.
///
/// A case of a program has the headers `program:` and `policy:`. `expect:` says how a run ends and which calls the server makes:
///
/// ```
/// use brokenpipe::{Case, Model, Subject, Trace, play};
///
/// let case: Case = "\
/// brokenpipe case 1
/// program: greeter
/// expect: killed by SIGPIPE at 4; send b EPIPE SIGPIPE
///
/// a connect
/// b connect
/// b fin
/// b rst      # while it waits in the accept queue
/// a close
/// ".parse()?;
/// let Subject::Program(setup) = &case.subject else { unreachable!("it has a program") };
/// let mut trace = Trace::default();
/// play(&mut Model::default(), setup, &case.scenario, &mut trace)?;
/// assert_eq!(case.check(&trace), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A case of a command has the header `command:`, whose value is a list of shell words, and others that say how the server is started and
/// what clients send. `env:`, with one variable each, and `say:` may occur several times. `expect:` is a kind of finding:
///
/// ```
/// use brokenpipe::{Case, Expect, Kind, Subject};
///
/// let case: Case = r#"brokenpipe case 1
/// command: ./server --port {port}
/// protocol: http
/// say: "GET / HTTP/1.0\r\n\r\n"
/// options: no-gate
/// expect: sigpipe
///
/// a connect
/// a rst
/// "#.parse()?;
/// let Subject::Command(target) = &case.subject else { unreachable!("it has a command") };
/// assert_eq!(target.words(), ["./server", "--port", "{port}"]);
/// assert_eq!(case.expect, Expect::Finding(Kind::Sigpipe));
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
///
/// `cause:` is an explanation for people. Of all headers only `program:` or `command:`, and `expect:`, are required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The server.
    pub subject: Subject,
    /// The expected result. A case that is read from text has one of the subject's kind.
    pub expect: Expect,
    /// An explanation of the expected result, for people: one line, or empty.
    pub cause: String,
    /// What the clients do.
    pub scenario: Scenario,
}

/// Why a case could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a valid case.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The place of the error, and the reason.
        source: ParseError,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Case {
    /// A case of a program that expects the result in `trace`: its outcome, and its first send that failed with EPIPE, if there is one.
    pub fn of(scenario: &Scenario, setup: &Setup, trace: &Trace, cause: impl Into<String>) -> Case {
        Case {
            subject: Subject::Program(setup.clone()),
            expect: Expect::Run(ExpectedRun::of(trace)),
            cause: cause.into(),
            scenario: scenario.clone(),
        }
    }

    /// A case that expects what the finding shows: for a program the result of its run, for a command the failure. It is played with the gate
    /// if the finding was made with it.
    pub fn of_finding(finding: &Finding, cause: impl Into<String>) -> Case {
        let Finding { subject, scenario, trace, gate, .. } = finding;
        match subject {
            Subject::Program(setup) => Case::of(scenario, setup, trace, cause),
            Subject::Command(target) => Case {
                subject: Subject::Command(target.clone().gate(gate.is_on())),
                expect: Expect::Finding(finding.kind()),
                // It may quote the server's output, which may contain control characters.
                cause: cause.into().replace(char::is_control, " "),
                scenario: scenario.clone(),
            },
        }
    }

    /// Reads a case file.
    ///
    /// # Errors
    ///
    /// [`CaseError::Read`] if the file cannot be read or is not UTF-8, [`CaseError::Parse`] if it is not a valid case.
    pub fn load(path: impl AsRef<Path>) -> Result<Case, CaseError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| CaseError::Read { path: path.to_owned(), source })?;
        text.parse().map_err(|source| CaseError::Parse { path: path.to_owned(), source })
    }

    /// Writes the case in its canonical form. An existing file is replaced atomically: a concurrent reader sees the old file or the new
    /// one.
    ///
    /// # Errors
    ///
    /// [`CaseError::Write`] if the file cannot be written; an existing file is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CaseError> {
        let path = path.as_ref();
        let saved = self.written_beside(path).and_then(|file| Ok(file.persist(path)?));
        saved.map(drop).map_err(|source| CaseError::Write { path: path.to_owned(), source })
    }

    /// Writes the case in its canonical form, unless there is a file of this name already. Returns whether it was written.
    ///
    /// # Errors
    ///
    /// [`CaseError::Write`] if the file cannot be written.
    pub fn save_new(&self, path: impl AsRef<Path>) -> Result<bool, CaseError> {
        let path = path.as_ref();
        let saved = self.written_beside(path).and_then(|file| Ok(file.persist_noclobber(path)?));
        match saved {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(CaseError::Write { path: path.to_owned(), source }),
        }
    }

    /// Writes the case to a temporary file in the folder of `path`.
    fn written_beside(&self, path: &Path) -> io::Result<NamedTempFile> {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        // As other new files have them: the process's umask is applied.
        let permissions = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
        file.write_all(self.to_string().as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Compares the trace of a run with the expected result. A trace never shows a finding: whether a case of a command holds is found out
    /// with [`Target::confirm`](crate::Target::confirm).
    ///
    /// # Errors
    ///
    /// A [`Mismatch`] with the expected and the actual result, if they differ.
    pub fn check(&self, trace: &Trace) -> Result<(), Mismatch> {
        match &self.expect {
            Expect::Run(run) => run.check(trace),
            Expect::Finding(kind) => Err(Mismatch::new(kind, trace, None)),
        }
    }
}

#[cfg(test)]
mod tests;
