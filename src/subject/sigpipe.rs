//! The dispositions of SIGPIPE with which a command is started.

use crate::scenario::ParseError;
use std::fmt;
use std::str::FromStr;

/// The disposition of SIGPIPE with which a server is started. The server may change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sigpipe {
    /// SIG_DFL: what a shell sets.
    #[default]
    Default,
    /// SIG_IGN, which survives `execve`: what a careless parent leaves.
    Ignore,
    /// SIG_DFL, with SIGPIPE blocked in the signal mask, which survives `execve` too.
    Blocked,
}

impl Sigpipe {
    /// Every disposition, in order.
    pub const ALL: [Sigpipe; 3] = [Sigpipe::Default, Sigpipe::Ignore, Sigpipe::Blocked];

    /// The name on the command line, in case files and in the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Sigpipe::Default => "default",
            Sigpipe::Ignore => "ignore",
            Sigpipe::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Sigpipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Sigpipe {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Sigpipe, ParseError> {
        let word = text.trim();
        Sigpipe::ALL.into_iter().find(|sigpipe| sigpipe.name() == word).ok_or_else(|| {
            let offset = text.len() - text.trim_start().len();
            let problem = format!("`{word}` is nothing that SIGPIPE can be set to");
            ParseError::at(text, offset, word.len(), problem, "default, ignore or blocked")
                .near(word, Sigpipe::ALL.map(Sigpipe::name))
        })
    }
}
