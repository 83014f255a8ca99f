//! Shows findings, saves their cases, and gives the commands that play them again.

use super::Out;
use super::failure::Failure;
use brokenpipe::{Case, CaseError, Death, Finding, Kind, Scenario, Setup, Subject, Target, report};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most characters of the program's name in the name of a case file.
const LONGEST_PROGRAM: usize = 100;

/// Writes the report of a finding, saves its case in `dir`, and writes the command that plays the case. If the case cannot be saved, the
/// report ends with the command that plays the scenario of a program, or with the text of the case of a command.
///
/// # Errors
///
/// Those of [`save`] and [`save_output`], and [`Failure::Output`] if the report cannot be written.
pub(super) fn show(finding: &Finding, dir: &Path, out: &mut Out) -> Result<(), Failure> {
    out.write_all(report::finding(finding).as_bytes())?;
    // What did not come true each time would not replay each time.
    if !finding.is_confirmed() {
        return Ok(());
    }
    let path = match (save(finding, dir), &finding.subject) {
        (Ok(path), _) => path,
        (Err(error), Subject::Program(setup)) => {
            writeln!(out, "replay: {}", run_command(setup, &finding.scenario))?;
            return Err(error);
        }
        (Err(error), Subject::Command(_)) => {
            write!(out, "{}", case(finding))?;
            return Err(error);
        }
    };
    writeln!(out, "case:   {}", path.display())?;
    if let Some(output) = save_output(finding, &path)? {
        writeln!(out, "output: {}", output.display())?;
    }
    Ok(writeln!(out, "replay: {}", replay_command(&path))?)
}

/// The case of a finding, with its explanation.
fn case(finding: &Finding) -> Case {
    let Finding { subject, scenario, trace, evidence, .. } = finding;
    let cause = match subject {
        Subject::Program(setup) => report::why(scenario, setup, trace),
        Subject::Command(_) => evidence.clone(),
    };
    Case::of_finding(finding, cause)
}

/// Writes the case of a finding into `dir`, and gives the path. The file's name says which server it is and what is wrong.
///
/// # Errors
///
/// [`Failure::Save`].
pub(super) fn save(finding: &Finding, dir: &Path) -> Result<PathBuf, Failure> {
    let stem = match &finding.subject {
        Subject::Program(setup) => stem_of_program(finding, setup),
        Subject::Command(target) => stem_of_command(finding.kind(), target),
    };
    keep(&case(finding), &stem, dir)
}

/// Writes the server's output during a finding to a file beside the case, with the extension `output`. Gives the path; `None` if there is
/// no output.
///
/// # Errors
///
/// [`Failure::Write`].
pub(super) fn save_output(finding: &Finding, case: &Path) -> Result<Option<PathBuf>, Failure> {
    if finding.output.is_empty() {
        return Ok(None);
    }
    let path = case.with_extension("output");
    let dir = case.parent().unwrap_or(case).to_owned();
    fs::write(&path, &finding.output).map_err(|source| Failure::Write { dir, source })?;
    Ok(Some(path))
}

/// Writes a case into `dir`. An existing file with the same content is kept. If an existing file has other content, the new file gets a
/// number in its name.
fn keep(case: &Case, stem: &str, dir: &Path) -> Result<PathBuf, Failure> {
    let failed = |source| Failure::Save { dir: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    let names = std::iter::once(format!("{stem}.case")).chain((2..).map(|n: u64| format!("{stem}-{n}.case")));
    for path in names.map(|name| dir.join(name)) {
        match case.save_new(&path) {
            Ok(true) => return Ok(path),
            Ok(false) if fs::read_to_string(&path).is_ok_and(|text| text == case.to_string()) => return Ok(path),
            Ok(false) => {}
            Err(CaseError::Write { source, .. }) => return Err(failed(source)),
            Err(other) => return Err(failed(io::Error::other(other))),
        }
    }
    Err(failed(io::ErrorKind::AlreadyExists.into()))
}

/// The name of the case file without its extension: the program, the policy and what is wrong.
fn stem_of_program(finding: &Finding, setup: &Setup) -> String {
    let program = setup.program.preset().unwrap_or("server");
    let what = match (finding.kind(), Death::of(&finding.trace)) {
        (Kind::Death | Kind::HandledDeath | Kind::WrongEnd, Some(death)) => death.to_string(),
        (kind, _) => kind.to_string(),
    };
    let what = what.trim_start_matches("killed by ").to_lowercase();
    format!("{program}-{}-{}", setup.policy, plain(&what))
}

/// The same for a command: the name of its program, and what is wrong.
fn stem_of_command(kind: Kind, target: &Target) -> String {
    let program = target.words().first().and_then(|word| Path::new(word).file_name()).unwrap_or_default();
    // A file name has at most 255 bytes, and the rest of the name needs some of them.
    let program: String = plain(&program.to_string_lossy()).chars().take(LONGEST_PROGRAM).collect();
    format!("{program}-{kind}")
}

/// Replaces every character but ASCII letters and digits by a hyphen.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// The command that replays a case file, for a shell in the current folder.
fn replay_command(path: &Path) -> String {
    let path = path.display().to_string();
    // A path that begins with `-` would be taken for an option.
    let path = if path.starts_with('-') { format!("./{path}") } else { path };
    format!("{} replay {}", program(), quoted(&path))
}

/// The command that plays a scenario against a program.
fn run_command(setup: &Setup, scenario: &Scenario) -> String {
    let (program, scenario) = (setup.program.to_string(), scenario.to_string());
    format!("{} run --program {} --policy {} {}", self::program(), quoted(&program), setup.policy, quoted(&scenario))
}

/// The name by which this process was started, so that the command can be copied even if brokenpipe is not in PATH.
fn program() -> String {
    let name = std::env::args().next().unwrap_or_default();
    if name.is_empty() { "brokenpipe".to_owned() } else { quoted(&name) }
}

/// Quotes a word for a shell, if necessary.
fn quoted(word: &str) -> String {
    // Only a zero byte cannot be quoted, and arguments and paths contain none.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brokenpipe::{Model, Trace, judge, play};

    fn death(scenario: &str) -> Finding {
        let (scenario, setup): (Scenario, _) = (scenario.parse().unwrap(), Setup::default());
        let mut trace = Trace::default();
        let Ok(()) = play(&mut Model::default(), &setup, &scenario, &mut trace);
        judge(&scenario, &setup, &trace, &trace).unwrap()
    }

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_says_the_same_is_kept_and_one_that_says_something_else_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let [one, other] =
            ["a connect; b connect; b fin; b rst; a fin", "hold; a connect; a fin; a rst; go"].map(death);
        let name = "greeter-default-sigpipe-in-send.case";
        assert_eq!(save(&one, &dir).unwrap(), dir.join(name));
        let text = fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(save(&one, &dir).unwrap(), dir.join(name));
        assert_eq!(save(&other, &dir).unwrap(), dir.join("greeter-default-sigpipe-in-send-2.case"));
        assert_eq!(save(&other, &dir).unwrap(), dir.join("greeter-default-sigpipe-in-send-2.case"));
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), text);
        assert_eq!(files(&dir), ["greeter-default-sigpipe-in-send-2.case", name]);
    }

    #[test]
    fn what_is_saved_can_be_loaded_and_holds() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let found = death("a connect; b connect; b fin; b rst; a fin");
        let case = Case::load(save(&found, &dir.join("made/for it")).unwrap()).unwrap();
        assert_eq!(case.check(&found.trace), Ok(()));
        assert!(case.cause.starts_with("b half-closed"), "{}", case.cause);
    }

    #[test]
    fn a_program_with_the_longest_name_there_can_be_has_a_case_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x".repeat(255), "é".repeat(127)] {
            let target = Target::command([format!("/usr/bin/{name}")]);
            let finding = Finding { subject: Subject::Command(target), ..death("hold; a connect; a fin; a rst; go") };
            let path = save(&finding, folder.path()).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name.len() < 128 && name.ends_with("-death.case"), "{name}");
        }
    }

    #[test]
    fn a_word_for_the_shell_is_quoted_only_if_it_must_be() {
        assert_eq!(quoted("./a/b-2.case"), "./a/b-2.case");
        assert_eq!(quoted("it's $HOME; ls"), r#""it's "'$HOME; ls'"#);
        assert_eq!(quoted(""), "''");
    }
}
