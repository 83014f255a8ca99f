//! Errors that end a command, and how they are shown.

use super::exit::Exit;
use brokenpipe::report::printable;
use brokenpipe::{CaseError, HuntError, KernelError, ParseError, Stopped};
use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteHandlerOpts, MietteSpanContents, Report, SourceCode, SourceSpan,
    SpanContents,
};
use std::convert::Infallible;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// An error that ends a command. The messages are lower-case fragments.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(super) enum Failure {
    /// Text that does not parse.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Text(Box<BadText>),
    /// Wrong usage that clap does not detect.
    #[error("{0}")]
    #[diagnostic(help("see `brokenpipe --help`"))]
    Usage(String),
    /// A file or folder, or standard input, cannot be read.
    #[error("cannot read {what}: {source}")]
    Read {
        /// The name of the file, folder or stream.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The kernel world failed.
    #[error(transparent)]
    #[diagnostic(help(
        "`brokenpipe doctor` shows what this machine lacks; `--world model` of `run` and `explain` needs nothing"
    ))]
    Kernel(#[from] KernelError),
    /// A program cannot be hunted.
    #[error("{0}")]
    #[diagnostic(help(
        "`brokenpipe doctor` shows what this machine lacks; `--world model` of `run` and `explain` needs nothing"
    ))]
    Playing(#[source] HuntError),
    /// A target cannot be hunted or played.
    #[error("{}", lines(.0))]
    #[diagnostic(help(
        "`brokenpipe hunt --help` shows how a server is started and talked to, `brokenpipe doctor` what this machine lacks"
    ))]
    Target(#[from] HuntError),
    /// A case file cannot be written.
    #[error("cannot write a case file into {}: {source}", dir.display())]
    #[diagnostic(help("`--out DIR` names another folder"))]
    Save {
        /// The folder.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file of another kind cannot be written.
    #[error("cannot write into {}: {source}", dir.display())]
    Write {
        /// The folder.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// The user interrupted a run.
    #[error("interrupted")]
    Interrupted,
    /// The handler for Ctrl-C cannot be installed.
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(String),
}

/// An `io::Error` that a command returns by `?` concerns standard output. Errors of files are converted where they
/// occur.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

impl From<Stopped<KernelError>> for Failure {
    fn from(stopped: Stopped<KernelError>) -> Failure {
        match stopped {
            Stopped::Interrupted => Failure::Interrupted,
            Stopped::World(error) => error.into(),
        }
    }
}

impl From<Stopped<Infallible>> for Failure {
    fn from(stopped: Stopped<Infallible>) -> Failure {
        match stopped {
            Stopped::Interrupted => Failure::Interrupted,
            Stopped::World(never) => match never {},
        }
    }
}

impl Failure {
    /// The failure for a case that could not be loaded. If the file does not parse, it is read again to show the faulty
    /// line.
    pub(super) fn case(error: CaseError) -> Failure {
        match error {
            CaseError::Read { path, source } | CaseError::Write { path, source } => Failure::read(&path, source),
            CaseError::Parse { path, source } => {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                BadText::new(path.display().to_string(), &text, source).into()
            }
            // The enum is non-exhaustive.
            other => Failure::Usage(other.to_string()),
        }
    }

    /// A file or folder that cannot be read.
    pub(super) fn read(path: &Path, source: io::Error) -> Failure {
        Failure::Read { what: path.display().to_string(), source }
    }

    /// Prints the failure on standard error, and gives its exit code.
    pub(super) fn show(self) -> u8 {
        let code = match &self {
            Failure::Interrupted | Failure::Target(HuntError::Stopped) => {
                say("interrupted");
                return Exit::INTERRUPTED;
            }
            Failure::Text(_) | Failure::Usage(_) | Failure::Read { .. } | Failure::Target(HuntError::Command(_)) => {
                Exit::USAGE
            }
            Failure::Kernel(_)
            | Failure::Playing(_)
            | Failure::Target(_)
            | Failure::Save { .. }
            | Failure::Write { .. }
            | Failure::Output(_)
            | Failure::Signals(_) => Exit::MACHINE,
        };
        say(format_args!("{:?}", Report::new(self)));
        code
    }
}

/// Prints a line on standard error. `eprintln!` would panic if standard error is closed; here the line is then dropped.
pub(super) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Sets how failures are printed. Unless standard error is a terminal, messages are not wrapped, so that they can be
/// searched for.
pub(super) fn set_style() {
    let wrap = io::stderr().is_terminal();
    let style = move || MietteHandlerOpts::new().wrap_lines(wrap).without_cause_chain().build();
    // It fails only if a hook is set already.
    let _ = miette::set_hook(Box::new(move |_| Box::new(style())));
}

/// Text that does not parse: the error, the name of the source, and an excerpt.
#[derive(Debug)]
pub(super) struct BadText {
    error: ParseError,
    source: Excerpt,
    note: Option<String>,
}

impl BadText {
    /// An error in `text`, which comes from `name`: a file, an option, an argument.
    pub(super) fn new(name: impl Into<String>, text: &str, error: ParseError) -> BadText {
        BadText { source: Excerpt::new(name.into(), text, &error), error, note: None }
    }

    /// Adds a note about a possible cause.
    pub(super) fn note(self, note: impl Into<String>) -> BadText {
        BadText { note: Some(note.into()), ..self }
    }
}

impl From<BadText> for Failure {
    fn from(error: BadText) -> Failure {
        Failure::Text(Box::new(error))
    }
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseError { line, column, problem, .. } = &self.error;
        write!(f, "{}, line {line}, column {column}: {}", self.source.name, shortened(printable(problem)))
    }
}

impl std::error::Error for BadText {}

impl Diagnostic for BadText {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let nearest = self.error.nearest.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        let note = self.note.as_ref().map(|note| format!("\n{note}")).unwrap_or_default();
        Some(Box::new(format!("expected {}{nearest}{note}", self.error.expected)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label =
            LabeledSpan::new(Some("here".to_owned()), self.source.offset, self.error.len.min(self.source.room()));
        Some(Box::new(std::iter::once(label)))
    }
}

/// The line that contains the error, safe to print on a terminal. Of a long line, only the part around the error.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    /// The byte offset of the error in `text`.
    offset: usize,
    /// The number of the line in the source, from 0.
    line: usize,
}

/// How many bytes of a line are shown on either side of the start of the error.
const AROUND: usize = 100;

impl Excerpt {
    fn new(name: String, text: &str, error: &ParseError) -> Excerpt {
        let at = error.offset.min(text.len());
        let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let line_end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        let start = (at.saturating_sub(AROUND).max(line_start)..=at).find(|i| text.is_char_boundary(*i)).unwrap_or(at);
        let end = ((at + AROUND).min(line_end)..=line_end).find(|i| text.is_char_boundary(*i)).unwrap_or(line_end);
        let cut = |is_cut| if is_cut { "…" } else { "" };
        let (before, after) = (cut(start > line_start), cut(end < line_end));
        Excerpt {
            name,
            text: format!("{before}{}{after}", printable(&text[start..end])),
            offset: before.len() + at - start,
            line: error.line - 1,
        }
    }

    /// The greatest length of a label, in bytes.
    fn room(&self) -> usize {
        self.text.len() - self.offset
    }
}

/// The line number is that in the source, although only this line is kept.
impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, lines_before, lines_after)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line() + self.line,
            inner.column(),
            inner.line_count(),
        )))
    }
}

/// The text of an error, safe to print on a terminal: it may quote the server's output. Line ends are kept.
pub(super) fn lines(error: &HuntError) -> String {
    error.to_string().lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Longest message that is shown in full, in characters: it quotes the faulty word, which may be a whole file.
const LONGEST: usize = 200;

/// The text. If it is longer than [`LONGEST`], its middle is replaced by `…`.
fn shortened(text: String) -> String {
    let count = text.chars().count();
    if count <= LONGEST {
        return text;
    }
    let part = |skip, take| text.chars().skip(skip).take(take).collect::<String>();
    format!("{}…{}", part(0, LONGEST / 2), part(count - LONGEST / 2, LONGEST / 2))
}
