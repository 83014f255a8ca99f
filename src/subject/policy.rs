//! What a server does about SIGPIPE.

use crate::scenario::ParseError;
use std::fmt;
use std::str::FromStr;

/// What a server does about SIGPIPE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// `SIG_DFL`: a broken send kills it.
    #[default]
    Default,
    /// `SIG_IGN`: a broken send is EPIPE.
    Ignore,
    /// A handler that returns: EPIPE, and the handler has run.
    Handler,
    /// `SIG_DFL`, and `MSG_NOSIGNAL` on each send: EPIPE, and no signal at all.
    NoSignal,
    /// `SIG_DFL`, blocked in the thread's mask: EPIPE, and one SIGPIPE left pending.
    Blocked,
}

impl Policy {
    /// Every policy, in order.
    pub const ALL: [Policy; 5] = [Policy::Default, Policy::Ignore, Policy::Handler, Policy::NoSignal, Policy::Blocked];
    /// Those under which a server must survive everything.
    pub const HANDLED: [Policy; 4] = [Policy::Ignore, Policy::Handler, Policy::NoSignal, Policy::Blocked];

    /// Its name in the text form and the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Default => "default",
            Policy::Ignore => "ignore",
            Policy::Handler => "handler",
            Policy::NoSignal => "nosignal",
            Policy::Blocked => "blocked",
        }
    }

    /// Whether a send that is EPIPE raises SIGPIPE under it (`sk_stream_error` in the kernel's `net/core/stream.c`).
    pub const fn raises(self) -> bool {
        !matches!(self, Policy::NoSignal)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Policy, ParseError> {
        let word = text.trim();
        Policy::ALL.into_iter().find(|p| p.name() == word).ok_or_else(|| {
            let offset = text.len() - text.trim_start().len();
            ParseError::at(
                text,
                offset,
                word.len(),
                format!("`{word}` is no policy"),
                "default, ignore, handler, nosignal or blocked",
            )
            .near(word, Policy::ALL.map(Policy::name))
        })
    }
}
