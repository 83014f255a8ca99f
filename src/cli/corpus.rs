//! `brokenpipe corpus`.

use super::Out;
use super::exit::Exit;
use super::failure::{Failure, say};
use super::triage::{files, input};
use brokenpipe::{Case, CaseError, Input};
use clap::{Args, Subcommand};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Turn cases into a fuzzer's corpus, or a corpus into cases
#[derive(Debug, Args)]
pub(super) struct Corpus {
    #[command(subcommand)]
    way: Way,
}

#[derive(Debug, Subcommand)]
enum Way {
    /// Write each case as a corpus file, NAME.seed
    Export {
        /// The corpus
        dir: PathBuf,
        /// The folder with the cases
        #[arg(long, value_name = "DIR", default_value = "tests/cases")]
        cases: PathBuf,
    },
    /// Write each corpus file as a case, NAME.case, which expects the result that the model gives
    Import {
        /// The corpus
        dir: PathBuf,
        /// The folder for the cases
        #[arg(long, value_name = "DIR", default_value = "tests/cases")]
        cases: PathBuf,
    },
}

impl Corpus {
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        match self.way {
            Way::Export { dir, cases } => export(&cases, &dir, out),
            Way::Import { dir, cases } => import(&dir, &cases, out),
        }
    }
}

fn export(cases: &Path, dir: &Path, out: &mut Out) -> Result<u8, Failure> {
    let mut from = files(&[cases.to_owned()])?;
    from.retain(|path| path.extension().is_some_and(|e| e == "case"));
    made(dir)?;
    let mut written = 0;
    for path in &from {
        let Some(input) = Input::of(&Case::load(path).map_err(Failure::case)?) else {
            say(format_args!("left out: {} is the case of a command, which no fuzz target plays", path.display()));
            continue;
        };
        let to = place(path, dir, "seed");
        fs::write(&to, input.encode()).map_err(|source| Failure::Write { dir: dir.to_owned(), source })?;
        written += 1;
    }
    done(written, dir, out)
}

fn import(dir: &Path, cases: &Path, out: &mut Out) -> Result<u8, Failure> {
    let from = files(&[dir.to_owned()])?;
    made(cases)?;
    let mut written = 0;
    for path in &from {
        let to = place(path, cases, "case");
        // An existing file may have been written by hand.
        if to.exists() {
            say(format_args!("left alone: {} is there already", to.display()));
            continue;
        }
        let case = input(path)?.case(format!("from a fuzzer's corpus, {}", path.display()));
        case.save(&to).map_err(|error| match error {
            CaseError::Write { source, .. } => Failure::Write { dir: cases.to_owned(), source },
            other => Failure::Write { dir: cases.to_owned(), source: io::Error::other(other) },
        })?;
        written += 1;
    }
    done(written, cases, out)
}

/// The path in `dir` with the file stem of `path` and this extension.
fn place(path: &Path, dir: &Path, extension: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    dir.join(name)
}

fn made(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|source| Failure::Write { dir: dir.to_owned(), source })
}

fn done(files: usize, dir: &Path, out: &mut Out) -> Result<u8, Failure> {
    writeln!(out, "{files} {} written into {}", if files == 1 { "file" } else { "files" }, dir.display())?;
    Ok(if files == 0 { Exit::NOTHING_RAN } else { Exit::HELD })
}
