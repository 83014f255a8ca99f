//! Saves the cases of findings, and gives the commands that play them again.

use super::failure::Failure;
use brokenpipe::{Case, CaseError, Death, Finding, Kind, Target, TargetFinding, report};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Most characters of the program's name in the name of a case file.
const LONGEST_PROGRAM: usize = 100;

/// The case of a finding. It expects what the server did.
pub(super) fn case(finding: &Finding) -> Case {
    let Finding { scenario, setup, kernel, .. } = finding;
    Case::of(scenario, setup, kernel, report::why(scenario, setup, kernel))
}

/// Writes the case of a finding into `dir`, and gives the path. The file's name says which server it is and what is wrong.
///
/// # Errors
///
/// [`Failure::Save`].
pub(super) fn save(finding: &Finding, dir: &Path) -> Result<PathBuf, Failure> {
    keep(&case(finding), &stem(finding), dir)
}

/// Writes the case of a finding about `target` into `dir`, and gives the path. The file is named after the program and the failure.
///
/// # Errors
///
/// [`Failure::Save`].
pub(super) fn save_target(target: &Target, case: &Case, dir: &Path) -> Result<PathBuf, Failure> {
    let program = target.words().first().and_then(|word| Path::new(word).file_name()).unwrap_or_default();
    // A file name has at most 255 bytes, and the rest of the name needs some of them.
    let program: String = plain(&program.to_string_lossy()).chars().take(LONGEST_PROGRAM).collect();
    keep(case, &format!("{program}-{}", case.expect), dir)
}

/// Writes the server's output during a finding to a file beside the case, with the extension `output`. Gives the path; `None` if there is
/// no output.
///
/// # Errors
///
/// [`Failure::Write`].
pub(super) fn save_output(finding: &TargetFinding, case: &Path) -> Result<Option<PathBuf>, Failure> {
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

/// The name of a finding's case file without its extension: the server, the policy and what is wrong.
fn stem(finding: &Finding) -> String {
    let program = finding.setup.program.preset().unwrap_or("server");
    let what = match (finding.kind, Death::of(&finding.kernel)) {
        (Kind::Death | Kind::HandledDeath | Kind::WrongEnd, Some(death)) => death.to_string(),
        (kind, _) => kind.to_string(),
    };
    let what = what.trim_start_matches("killed by ").to_lowercase();
    format!("{program}-{}-{}", finding.setup.policy, plain(&what))
}

/// Replaces every character but ASCII letters and digits by a hyphen.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// The command that replays a case file, for a shell in the current folder.
pub(super) fn replay_command(path: &Path) -> String {
    let path = path.display().to_string();
    // A path that begins with `-` would be taken for an option.
    let path = if path.starts_with('-') { format!("./{path}") } else { path };
    format!("{} replay {}", program(), quoted(&path))
}

/// The command that plays a finding again without a case file.
pub(super) fn run_command(finding: &Finding) -> String {
    let Finding { setup, scenario, .. } = finding;
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
    use brokenpipe::{Model, Scenario, Setup, Subject, Trace, judge, play};

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
        assert_eq!(case.check(&found.kernel), Ok(()));
        assert!(case.cause.starts_with("b half-closed"), "{}", case.cause);
    }

    #[test]
    fn a_program_with_the_longest_name_there_can_be_has_a_case_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x".repeat(255), "é".repeat(127)] {
            let case = format!("brokenpipe case 1\ncommand: /usr/bin/{name}\nexpect: sigpipe\n\na connect\na rst\n");
            let case: Case = case.parse().unwrap();
            let Subject::Command(target) = &case.subject else { unreachable!("it has a command") };
            let path = save_target(target, &case, folder.path()).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name.len() < 128 && name.ends_with("-sigpipe.case"), "{name}");
        }
    }

    #[test]
    fn a_word_for_the_shell_is_quoted_only_if_it_must_be() {
        assert_eq!(quoted("./a/b-2.case"), "./a/b-2.case");
        assert_eq!(quoted("it's $HOME; ls"), r#""it's "'$HOME; ls'"#);
        assert_eq!(quoted(""), "''");
    }
}
