//! What a server does with a connection, as data.

use crate::scenario::text::{Scanner, Statement, Word};
use crate::scenario::{MAX_SEND, ParseError};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Maximum number of ops of a program.
pub const MAX_OPS: usize = 32;

/// The named programs: each name, and the text that it stands for.
pub const PRESETS: [(&str, &str); 7] = [
    ("greeter", "accept; send 26; recv-all; close"),
    ("echo", "accept; echo; close"),
    ("double-greeter", "accept; send 26; send 26; recv-all; close"),
    ("late-greeter", "accept; recv-or-close; send 26; send 26; close"),
    ("careless", "accept; recv; send 26; send 26; close"),
    ("farewell", "accept; recv-all; send 26; close"),
    ("greeter-echo", "accept; send 26; echo; close"),
];

/// One step of a program. A server ignores errors unless the variant says otherwise, as most real programs do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Accepts the next connection, and tries again after an error. A program has exactly one, as its first op.
    Accept,
    /// One send of this many bytes, at most [`MAX_SEND`].
    Send(u16),
    /// One recv.
    Recv,
    /// Recv until EOF or an error.
    RecvAll,
    /// Recv, then send the same number of bytes back, until EOF or an error of either call.
    Echo,
    /// One recv; on EOF or an error the program skips to its `close`.
    RecvOrClose,
    /// `shutdown(2)` with `SHUT_WR`.
    Shutdown,
    /// `close(2)`. A program has exactly one, as its last op; then it starts again.
    Close,
}

impl Op {
    /// The words of the ops, in the order of `row`.
    const WORDS: [&'static str; 8] =
        ["accept", "send", "recv", "recv-all", "echo", "recv-or-close", "shutdown", "close"];

    const fn row(self) -> usize {
        match self {
            Op::Accept => 0,
            Op::Send(_) => 1,
            Op::Recv => 2,
            Op::RecvAll => 3,
            Op::Echo => 4,
            Op::RecvOrClose => 5,
            Op::Shutdown => 6,
            Op::Close => 7,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Op::WORDS[self.row()])?;
        match self {
            Op::Send(n) => write!(f, " {n}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a server does with each connection. It serves one connection after the other, without end.
///
/// The text form is like that of a scenario: ops on lines, or joined by `;`. The name of one of the [`PRESETS`] stands for its
/// text.
///
/// ```
/// use brokenpipe::Program;
///
/// let greeter: Program = "greeter".parse()?;
/// assert_eq!(greeter.to_string(), "accept; send 26; recv-all; close");
/// assert_eq!(greeter.preset(), Some("greeter"));
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Program {
    ops: Arc<[Op]>,
}

/// Why a list of ops is not a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The first op is not the only `accept`: the program would have no connection to work on, or two.
    #[error("a program that begins with `accept` and has no other")]
    Accept,
    /// The last op is not the only `close`: the program would leak connections, or use them after their close.
    #[error("a program that ends with `close` and has no other")]
    Close,
    /// The program has more than [`MAX_OPS`] ops.
    #[error("a program of at most {MAX_OPS} ops")]
    TooLong,
    /// A send is longer than [`MAX_SEND`].
    #[error("a send of at most {MAX_SEND} bytes")]
    SendTooLong,
}

impl Program {
    /// A program of these ops.
    ///
    /// # Errors
    ///
    /// A [`ProgramError`] with the reason, and the index of the offending op.
    pub fn new(ops: &[Op]) -> Result<Program, (ProgramError, usize)> {
        let last = ops.len().saturating_sub(1);
        if ops.len() > MAX_OPS {
            return Err((ProgramError::TooLong, MAX_OPS));
        }
        for (i, op) in ops.iter().enumerate() {
            match op {
                Op::Accept if i != 0 => return Err((ProgramError::Accept, i)),
                Op::Close if i != last => return Err((ProgramError::Close, i)),
                Op::Send(n) if usize::from(*n) > MAX_SEND => return Err((ProgramError::SendTooLong, i)),
                _ => {}
            }
        }
        match (ops.first(), ops.last()) {
            (Some(Op::Accept), Some(Op::Close)) => Ok(Program { ops: ops.into() }),
            (Some(Op::Accept), _) => Err((ProgramError::Close, last)),
            _ => Err((ProgramError::Accept, 0)),
        }
    }

    /// The ops, `accept` first and `close` last.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The name of the preset that has these ops, or `None`.
    pub fn preset(&self) -> Option<&'static str> {
        let text = self.to_string();
        PRESETS.into_iter().find(|p| p.1 == text).map(|p| p.0)
    }

    /// The seven presets.
    pub fn presets() -> impl Iterator<Item = Program> {
        PRESETS.into_iter().filter_map(|p| p.1.parse().ok())
    }
}

/// The greeter.
impl Default for Program {
    fn default() -> Program {
        Program { ops: Arc::new([Op::Accept, Op::Send(26), Op::RecvAll, Op::Close]) }
    }
}

impl FromStr for Program {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Program, ParseError> {
        if let Some(preset) = PRESETS.into_iter().find(|p| p.0 == text.trim() && p.0 != "echo") {
            return preset.1.parse();
        }
        if text.trim() == "echo" {
            // A lone `echo` must be the preset: as an op it needs an `accept` before it.
            return Program::new(&[Op::Accept, Op::Echo, Op::Close]).map_err(|e| whole(text, e.0));
        }
        let mut scanner = Scanner::new(text);
        let mut ops = Vec::new();
        let mut words: Vec<Word<'_>> = Vec::new();
        while let Some(mut statement) = scanner.statement()? {
            let word = statement.word(OPS)?;
            ops.push(op(&word, &mut statement)?);
            words.push(word);
            statement.end()?;
        }
        Program::new(&ops).map_err(|(error, i)| match words.get(i) {
            Some(word) => word.error(format!("`{}` does not fit here", word.word), &error.to_string()),
            None => whole(text, error),
        })
    }
}

const OPS: &str = "accept, send N, recv, recv-all, echo, recv-or-close, shutdown or close";

fn whole(text: &str, error: ProgramError) -> ParseError {
    ParseError::at(text, 0, text.len(), "this is no program".to_owned(), &error.to_string())
}

fn op(word: &Word<'_>, statement: &mut Statement<'_>) -> Result<Op, ParseError> {
    Ok(match word.word {
        "accept" => Op::Accept,
        "send" => Op::Send(statement.count("a number of bytes")? as u16),
        "recv" => Op::Recv,
        "recv-all" => Op::RecvAll,
        "echo" => Op::Echo,
        "recv-or-close" => Op::RecvOrClose,
        "shutdown" => Op::Shutdown,
        "close" => Op::Close,
        other => {
            let known = Op::WORDS.into_iter().chain(PRESETS.into_iter().map(|p| p.0));
            let expected = format!("{OPS}; or, alone, the name of a preset: {}", PRESETS.map(|p| p.0).join(", "));
            return Err(word.error(format!("`{other}` is nothing a server does"), &expected).near(other, known));
        }
    })
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, op) in self.ops.iter().enumerate() {
            write!(f, "{}{op}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_only_names_for_their_texts() {
        for (name, text) in PRESETS {
            let program: Program = name.parse().expect(name);
            assert_eq!(program.to_string(), text);
            assert_eq!(text.parse(), Ok(program.clone()));
            assert_eq!(program.preset(), Some(name));
        }
        assert_eq!(Program::default().preset(), Some("greeter"));
    }

    #[test]
    fn a_program_that_cannot_be_right_is_refused_with_the_place_and_the_reason() {
        let error = |text: &str| text.parse::<Program>().expect_err(text).to_string();
        assert!(error("send 26; close").contains("begins with `accept`"));
        assert!(error("").contains("begins with `accept`"));
        assert!(
            error("accept; send 26")
                .contains("line 1, column 9: `send` does not fit here; expected a program that ends with `close`")
        );
        assert!(error("accept; close; recv; close").contains("column 9"));
        assert!(error("accept; accept; close").contains("column 9"));
        assert!(error("accept; send 99999; close").contains("at most 16384"));
        assert!(error("greter").contains("did you mean `greeter`?"));
        assert!(error(&format!("accept; {} close", "recv; ".repeat(31))).contains("at most 32 ops"));
    }
}
