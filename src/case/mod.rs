//! Case files: a server, a scenario and the expected result, as text that people can read, commit and replay.

mod expect;
mod file;
mod form;
mod target;
mod text;

pub use expect::{Expect, Mismatch};
pub use file::CaseFile;
pub use target::TargetCase;
pub(crate) use target::options;

use crate::scenario::{ParseError, Scenario};
use crate::subject::{Policy, Program, Setup};
use crate::trace::Trace;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// A case: a server, a scenario that is played against it, and the expected result.
///
/// Its text form is a file: the line `brokenpipe case 1`, the headers `program:`, `policy:`, `expect:` and `cause:` in any order, an empty
/// line, and the scenario. `policy` and `cause` may be left out. `Display` gives the canonical file, with one event per line, and
/// [`str::parse`] reads it back.
///
/// ```
/// use brokenpipe::{Case, Model, Trace, play};
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
/// let mut trace = Trace::default();
/// play(&mut Model::default(), &case.setup(), &case.scenario, &mut trace)?;
/// assert_eq!(case.check(&trace), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What the server does with a connection.
    pub program: Program,
    /// What the server does about SIGPIPE.
    pub policy: Policy,
    /// The expected outcome and calls.
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
    /// A case that expects the result in `trace`: its outcome, and its first send that failed with EPIPE, if there is one.
    pub fn of(scenario: &Scenario, setup: &Setup, trace: &Trace, cause: impl Into<String>) -> Case {
        let Setup { program, policy } = setup.clone();
        Case { program, policy, expect: Expect::of(trace), cause: cause.into(), scenario: scenario.clone() }
    }

    /// The server that the case is played against.
    pub fn setup(&self) -> Setup {
        Setup::new(self.program.clone(), self.policy)
    }

    /// Reads a case file.
    ///
    /// # Errors
    ///
    /// [`CaseError::Read`] if the file cannot be read or is not UTF-8, [`CaseError::Parse`] if it is not a valid case.
    pub fn load(path: impl AsRef<Path>) -> Result<Case, CaseError> {
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

    /// Compares the trace of a run with the expected result.
    ///
    /// # Errors
    ///
    /// A [`Mismatch`] with the expected and the actual result, if they differ.
    pub fn check(&self, trace: &Trace) -> Result<(), Mismatch> {
        self.expect.check(trace)
    }
}

fn load<T: FromStr<Err = ParseError>>(path: &Path) -> Result<T, CaseError> {
    let text = fs::read_to_string(path).map_err(|source| CaseError::Read { path: path.to_owned(), source })?;
    text.parse().map_err(|source| CaseError::Parse { path: path.to_owned(), source })
}

fn save(path: &Path, case: &impl fmt::Display) -> Result<(), CaseError> {
    replace(path, &case.to_string()).map_err(|source| CaseError::Write { path: path.to_owned(), source })
}

/// Writes `text` to a temporary file in the same folder, then renames that file to `path`.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Several threads and processes may save at once: the process id and the counter together make the temporary name unique.
    static SAVES: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this names no file"))?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}-{}.tmp", std::process::id(), SAVES.fetch_add(1, Ordering::Relaxed)));
    let beside = path.with_file_name(beside);
    let written = File::create_new(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    if renamed.is_err() {
        // The first error is the one to report. Removing fails too if the temporary file could not be created.
        let _ = fs::remove_file(&beside);
    }
    renamed
}

#[cfg(test)]
mod tests;
