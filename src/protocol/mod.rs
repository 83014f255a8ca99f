//! What a server talks: the payloads that clients send it, and how a good client asks. Pure: nothing here connects.

mod answer;
mod dialogue;
mod http_response;
mod talk;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Progress};
pub use dialogue::{Dialogue, Turn};
pub(crate) use http::{paths_in, with_ranges};

use crate::scenario::{OneOf, ParseError, Payload, text};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use talk::Talk;

/// Makes the type of protocols, and the tables that go by it, of one list: each protocol is a file with a `NAME` and a `talk`.
macro_rules! protocols {
    ($($(#[$attribute:meta])+ $protocol:ident in $file:ident,)+) => {
        $(mod $file;)+

        /// What a server talks.
        ///
        /// ```
        /// use brokenpipe::{Progress, Protocol};
        ///
        /// let redis: Protocol = "redis".parse()?;
        /// let ping = &redis.polite()[0];
        /// assert_eq!(ping.answer.check(b"+PO", false), Progress::More);
        /// assert_eq!(ping.answer.check(b"+PONG\r\n", false), Progress::Full(7));
        /// # Ok::<(), brokenpipe::ParseError>(())
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Protocol {
            $($(#[$attribute])+ $protocol,)+
        }

        impl Protocol {
            /// Every protocol, in order.
            pub const ALL: [Protocol; [$(Protocol::$protocol),+].len()] = [$(Protocol::$protocol),+];

            /// Its name on the command line and in case files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Protocol::$protocol => $file::NAME,)+
                }
            }
        }

        static TALKS: LazyLock<[Talk; Protocol::ALL.len()]> = LazyLock::new(|| [$($file::talk()),+]);
    };
}

protocols! {
    /// HTTP/1.0 and 1.1.
    Http in http,
    /// The protocol of Redis, RESP.
    Redis in redis,
    /// The text protocol of memcached.
    Memcached in memcached,
    /// SMTP. The server speaks first.
    Smtp in smtp,
    /// FTP, up to the login. The server speaks first.
    Ftp in ftp,
    /// Whatever is sent comes back.
    Echo in echo,
    /// Nothing is known: a few bytes are sent, and a good client looks whether it is let in, and leaves.
    #[default]
    None in none,
}

/// One thing that a client sends, and what it then waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// What it sends. Nothing, where the server speaks first.
    pub send: Vec<u8>,
    /// What a full answer is.
    pub answer: Answer,
}

/// A request of any size: filling stands between its head and its tail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// What comes before so many bytes of filling.
    pub(crate) head: fn(usize) -> String,
    /// What comes after them.
    pub(crate) tail: &'static str,
    /// Whether the head says how many bytes of filling follow.
    pub(crate) is_declared: bool,
}

impl Protocol {
    /// What clients send, each a payload for one `send`, and whole: to cut them short and to send many in a row is up to whoever
    /// plays them.
    pub fn say(self) -> Vec<Payload> {
        self.talk().say.clone()
    }

    /// What a good client says first on each connection, once.
    pub fn opening(self) -> &'static [Exchange] {
        &self.talk().opening
    }

    /// How a good client asks, after the [opening](Protocol::opening). Where the protocol [keeps](Protocol::keeps_alive) its
    /// connections it can ask so again and again on the same one.
    pub fn polite(self) -> &'static [Exchange] {
        &self.talk().polite
    }

    /// How a good client takes its leave. It may as well just close.
    pub fn closing(self) -> &'static [Exchange] {
        &self.talk().closing
    }

    /// Requests of any size.
    pub(crate) fn frames(self) -> &'static [Frame] {
        self.talk().frames
    }

    /// Whether the protocol allows a second question on a connection. A server may still close after the first:
    /// [`Answer::keeps_open`] tells.
    pub const fn keeps_alive(self) -> bool {
        !matches!(self, Protocol::None)
    }

    fn talk(self) -> &'static Talk {
        &TALKS[self as usize]
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Protocol {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Protocol, ParseError> {
        let word = text.trim();
        Protocol::ALL.into_iter().find(|p| p.name() == word).ok_or_else(|| {
            let offset = text.len() - text.trim_start().len();
            let problem = format!("`{word}` is no protocol");
            let names = Protocol::ALL.map(Protocol::name);
            ParseError::at(text, offset, word.len(), problem, &OneOf(&names).to_string()).near(word, names)
        })
    }
}

/// The payload that a text with C's escapes stands for, as a command line has it: with nothing around it.
///
/// ```
/// let payload = brokenpipe::parse_payload(r"GET / HTTP/1.0\r\n\r\n")?;
/// assert_eq!(payload.given(), Some(&b"GET / HTTP/1.0\r\n\r\n"[..]));
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
///
/// # Errors
///
/// [`ParseError`] for an escape that is none, and for more than [`MAX_SEND`](crate::MAX_SEND) bytes.
pub fn parse_payload(text: &str) -> Result<Payload, ParseError> {
    text::unquoted(text)
}
