//! What keeps a command from going on, and how it is shown.

use super::exit::Exit;
use brokenpipe::report::printable;
use brokenpipe::{CaseError, KernelError, ParseError, TargetError};
use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteHandlerOpts, MietteSpanContents, Report, SourceCode, SourceSpan,
    SpanContents,
};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// What keeps a command from going on. The messages are lower-case fragments.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(super) enum Failure {
    /// Text that is not what it should be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Text(Box<BadText>),
    /// A use of the command line that clap does not know to be wrong.
    #[error("{0}")]
    #[diagnostic(help("see `brokenpipe --help`"))]
    Usage(String),
    /// A file or folder, or standard input, cannot be read.
    #[error("cannot read {what}: {source}")]
    Read {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel world does not work.
    #[error(transparent)]
    #[diagnostic(help(
        "`brokenpipe doctor` shows what this machine lacks; `--world model` of `run` and `explain` needs nothing"
    ))]
    Kernel(#[from] KernelError),
    /// A server cannot be hunted.
    #[error("{}", lines(.0))]
    #[diagnostic(help(
        "`brokenpipe hunt --help` shows how a server is started and talked to, `brokenpipe doctor` what this machine lacks"
    ))]
    Target(#[from] TargetError),
    /// A case file cannot be written.
    #[error("cannot write a case file into {}: {source}", dir.display())]
    #[diagnostic(help("`--out DIR` names another folder"))]
    Save {
        /// Where to.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of another kind cannot be written.
    #[error("cannot write into {}: {source}", dir.display())]
    Write {
        /// Where to.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// Ctrl-C, while something was played.
    #[error("interrupted")]
    Interrupted,
    /// The workers of a hunt cannot be waited for.
    #[error("cannot wait for the workers: {0}")]
    Workers(String),
    /// Ctrl-C cannot be listened for.
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(String),
}

/// Every error of writing that a command lets pass through is one of standard output; those of files are named where
/// they occur.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

impl Failure {
    /// The error that a case could not be loaded with. For text that is no case, `path` is read again to show the
    /// place.
    pub(super) fn case(error: CaseError) -> Failure {
        match error {
            CaseError::Read { path, source } | CaseError::Write { path, source } => Failure::read(&path, source),
            CaseError::Parse { path, source } => {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                BadText::new(path.display().to_string(), &text, source).into()
            }
            // The enum may grow.
            other => Failure::Usage(other.to_string()),
        }
    }

    /// A file or folder that cannot be read.
    pub(super) fn read(path: &Path, source: io::Error) -> Failure {
        Failure::Read { what: path.display().to_string(), source }
    }

    /// Shows it on standard error, and gives the exit code for it.
    pub(super) fn show(self) -> u8 {
        let code = match &self {
            Failure::Interrupted | Failure::Target(TargetError::Stopped) => {
                say("interrupted");
                return Exit::INTERRUPTED;
            }
            Failure::Text(_) | Failure::Usage(_) | Failure::Read { .. } | Failure::Target(TargetError::Command(_)) => {
                Exit::USAGE
            }
            Failure::Kernel(_)
            | Failure::Target(_)
            | Failure::Save { .. }
            | Failure::Write { .. }
            | Failure::Output(_)
            | Failure::Workers(_)
            | Failure::Signals(_) => Exit::MACHINE,
        };
        say(format_args!("{:?}", Report::new(self)));
        code
    }
}

/// A line on standard error. `eprintln!` would panic where that is closed; then there is nobody left to tell.
pub(super) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// How failures are shown: off a terminal, messages are not broken into lines, so that they can be searched for.
pub(super) fn set_style() {
    let wrap = io::stderr().is_terminal();
    let style = move || MietteHandlerOpts::new().wrap_lines(wrap).without_cause_chain().build();
    // It fails only if it is set a second time.
    let _ = miette::set_hook(Box::new(move |_| Box::new(style())));
}

/// Text that is not what it should be: where it comes from, the text, and the error.
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

    /// The same, with something else to say about how it may have come about.
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

/// The line with the error in it, or the part of a long one around it, as it can be shown.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    /// Where the faulty piece begins in `text`.
    offset: usize,
    /// The number of the line in the whole, from 0.
    line: usize,
}

/// So much of a line is shown, in bytes, to either side of where the error begins.
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

    /// How long a label may be.
    fn room(&self) -> usize {
        self.text.len() - self.offset
    }
}

/// The number of a line is that in the whole, of which only this line is kept.
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

/// An error that may quote what a server wrote, line by line.
pub(super) fn lines(error: &TargetError) -> String {
    error.to_string().lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Longest problem that is shown whole, in characters: it quotes the faulty word, which may be a whole file.
const LONGEST: usize = 200;

/// The text, without its middle if it is long.
fn shortened(text: String) -> String {
    let count = text.chars().count();
    if count <= LONGEST {
        return text;
    }
    let part = |skip, take| text.chars().skip(skip).take(take).collect::<String>();
    format!("{}…{}", part(0, LONGEST / 2), part(count - LONGEST / 2, LONGEST / 2))
}
