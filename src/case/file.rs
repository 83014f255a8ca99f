//! Case files of either kind.

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
    /// Of a program, with `program:`.
    Program(Case),
    /// Of a target, with `command:`.
    Target(TargetCase),
}

impl CaseFile {
    /// Reads a case file.
    ///
    /// # Errors
    ///
    /// [`CaseError::Read`] if it cannot be read or is no UTF-8, [`CaseError::Parse`] if it is no case.
    pub fn load(path: impl AsRef<Path>) -> Result<CaseFile, CaseError> {
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
