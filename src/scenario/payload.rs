//! What a client sends.

use super::text;
use std::fmt;
use std::sync::Arc;

/// Most bytes one `send` may carry, a client's or the server's: one call always takes them whole.
pub const MAX_SEND: usize = 16_384;

/// What a client sends: so many bytes of filling, or the very bytes given. At most [`MAX_SEND`] of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payload(Content);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Content {
    Filling(u16),
    Bytes(Arc<[u8]>),
}

impl Payload {
    /// Five bytes of filling: what generators send unless they have something better.
    pub(crate) const FIVE: Payload = Payload(Content::Filling(5));

    /// `len` bytes of filling, or `None` above [`MAX_SEND`].
    pub const fn filling(len: usize) -> Option<Payload> {
        if len <= MAX_SEND { Some(Payload(Content::Filling(len as u16))) } else { None }
    }

    /// These bytes, or `None` if there are more than [`MAX_SEND`].
    pub fn bytes(bytes: &[u8]) -> Option<Payload> {
        (bytes.len() <= MAX_SEND).then(|| Payload(Content::Bytes(bytes.into())))
    }

    /// How many bytes it has.
    #[allow(clippy::len_without_is_empty)] // An empty payload is a legal one, not a special case that anyone asks for.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Filling(len) => usize::from(*len),
            Content::Bytes(bytes) => bytes.len(),
        }
    }

    /// Its first `len` bytes, or all of it if it has no more.
    pub fn first(&self, len: usize) -> Payload {
        let len = len.min(self.len());
        Payload(match &self.0 {
            Content::Filling(_) => Content::Filling(len as u16),
            Content::Bytes(bytes) => Content::Bytes(bytes[..len].into()),
        })
    }

    /// The bytes, where they were given; `None` for filling.
    pub fn given(&self) -> Option<&[u8]> {
        match &self.0 {
            Content::Filling(_) => None,
            Content::Bytes(bytes) => Some(bytes),
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Filling(len) => write!(f, "{len}"),
            Content::Bytes(bytes) => text::write_quoted(f, bytes),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
