//! Case files: a scenario with what it must come to, in a form that people read, commit and replay.

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

/// A case: what clients do to which server, and what must come of it.
///
/// Its text form is a file: the line `brokenpipe case 1`, the headers `program:`, `policy:`, `expect:` and `cause:` in any
/// order, an empty line, and the scenario. `policy` and `cause` may be left out. `Display` gives the canonical file, with
/// one event a line, and [`str::parse`] reads it back.
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
    /// What it does about SIGPIPE.
    pub policy: Policy,
    /// What must come of it.
    pub expect: Expect,
    /// Why it is so, for people: one line, or empty.
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
        /// What the system said.
        source: io::Error,
    },
    /// The file is no case.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where it is none, and why.
        source: ParseError,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Case {
    /// The case that holds a run to what it did: it must end as in `trace`, and by the same call if that broke.
    pub fn of(scenario: &Scenario, setup: &Setup, trace: &Trace, cause: impl Into<String>) -> Case {
        let Setup { program, policy } = setup.clone();
        Case { program, policy, expect: Expect::of(trace), cause: cause.into(), scenario: scenario.clone() }
    }

    /// The server that it is played against.
    pub fn setup(&self) -> Setup {
        Setup::new(self.program.clone(), self.policy)
    }

    /// Reads a case file.
    ///
    /// # Errors
    ///
    /// [`CaseError::Read`] if it cannot be read or is no UTF-8, [`CaseError::Parse`] if it is no case.
    pub fn load(path: impl AsRef<Path>) -> Result<Case, CaseError> {
        load(path.as_ref())
    }

    /// Writes the canonical file, over one that is there. Whoever looks finds the old file or the new, never half of one.
    ///
    /// # Errors
    ///
    /// [`CaseError::Write`]; what was there before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CaseError> {
        save(path.as_ref(), self)
    }

    /// Whether a run of it came to what it must.
    ///
    /// # Errors
    ///
    /// A [`Mismatch`] that says what was expected and what came instead.
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

/// Writes a file under a name of its own beside `path`, then gives it that name.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Two threads may save at once, and two processes: the name is neither's alone without both numbers.
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
        // The error that matters is the first; a file that could not be made cannot be removed either.
        let _ = fs::remove_file(&beside);
    }
    renamed
}

#[cfg(test)]
mod tests;
