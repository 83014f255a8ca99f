//! What a server does about SIGPIPE.

use crate::scenario::ParseError;
use std::fmt;
use std::str::FromStr;

/// What a server does about SIGPIPE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// `SIG_DFL`: a broken send kills the server.
    #[default]
    Default,
    /// `SIG_IGN`: a broken send fails with EPIPE.
    Ignore,
    /// A handler that returns: a broken send fails with EPIPE, and the handler runs.
    Handler,
    /// `SIG_DFL`, and `MSG_NOSIGNAL` on each send: a broken send fails with EPIPE, without a signal.
    NoSignal,
    /// `SIG_DFL`, blocked in the thread's mask: a broken send fails with EPIPE, and one SIGPIPE stays pending.
    Blocked,
}

impl Policy {
    /// Every policy, in order.
    pub const ALL: [Policy; 5] = [Policy::Default, Policy::Ignore, Policy::Handler, Policy::NoSignal, Policy::Blocked];
    /// The handled policies: under these a server must survive every scenario.
    pub const HANDLED: [Policy; 4] = [Policy::Ignore, Policy::Handler, Policy::NoSignal, Policy::Blocked];

    /// The policy's name in the text form and the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Default => "default",
            Policy::Ignore => "ignore",
            Policy::Handler => "handler",
            Policy::NoSignal => "nosignal",
            Policy::Blocked => "blocked",
        }
    }

    /// Whether a send that fails with EPIPE raises SIGPIPE under this policy (`sk_stream_error` in the kernel's
    /// `net/core/stream.c`).
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
