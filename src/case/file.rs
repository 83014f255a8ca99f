//! Case files of both kinds, told apart by their headers.

use super::{Case, CaseError, TargetCase, load, save};
use crate::scenario::{ParseError, Scenario};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A case file: the case of a program, or of a target.
///
/// ```
/// use brokenpipe::CaseFile;
///
/// let file: CaseFile = "brokenpipe case 1\ncommand: ./server {port}\nexpect: exit\n\na connect; a rst".parse()?;
/// assert!(matches!(file, CaseFile::Target(_)));
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseFile {
    /// The case of a program, with the header `program:`.
    Program(Case),
    /// The case of a target, with the header `command:`.
    Target(TargetCase),
}

impl CaseFile {
    /// Reads a case file.
    ///
    /// # Errors
    ///
    /// [`CaseError::Read`] if the file cannot be read or is not UTF-8, [`CaseError::Parse`] if it is not a valid case.
    pub fn load(path: impl AsRef<Path>) -> Result<CaseFile, CaseError> {
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

    /// What the clients do.
    pub const fn scenario(&self) -> &Scenario {
        match self {
            CaseFile::Program(case) => &case.scenario,
            CaseFile::Target(case) => &case.scenario,
        }
    }
}

impl FromStr for CaseFile {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<CaseFile, ParseError> {
        let mut headers = text.lines().take_while(|line| !line.trim().is_empty());
        if headers.any(|line| line.starts_with("command:")) {
            text.parse().map(CaseFile::Target)
        } else {
            text.parse().map(CaseFile::Program)
        }
    }
}

impl fmt::Display for CaseFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaseFile::Program(case) => case.fmt(f),
            CaseFile::Target(case) => case.fmt(f),
        }
    }
}
