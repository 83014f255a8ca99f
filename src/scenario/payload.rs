//! What a client sends.

use super::text;
use std::fmt;
use std::sync::Arc;

/// Maximum number of bytes of one `send`, of a client or of the server. One call always takes all of them.
pub const MAX_SEND: usize = 16_384;

/// The bytes that a client sends: a number of filling bytes, or given bytes. At most [`MAX_SEND`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payload(Content);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Content {
    Filling(u16),
    Bytes(Arc<[u8]>),
}

impl Payload {
    /// Five bytes of filling, which generators send if they have no other payload.
    pub(crate) const FIVE: Payload = Payload(Content::Filling(5));

    /// `len` bytes of filling, or `None` above [`MAX_SEND`].
    pub const fn filling(len: usize) -> Option<Payload> {
        if len <= MAX_SEND { Some(Payload(Content::Filling(len as u16))) } else { None }
    }

    /// These bytes. `None` if there are more than [`MAX_SEND`].
    pub fn bytes(bytes: &[u8]) -> Option<Payload> {
        (bytes.len() <= MAX_SEND).then(|| Payload(Content::Bytes(bytes.into())))
    }

    /// The number of bytes.
    #[allow(clippy::len_without_is_empty)] // No caller asks whether a payload is empty, and an empty one is legal.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Filling(len) => usize::from(*len),
            Content::Bytes(bytes) => bytes.len(),
        }
    }

    /// The first `len` bytes, or all bytes if there are fewer.
    pub fn first(&self, len: usize) -> Payload {
        let len = len.min(self.len());
        Payload(match &self.0 {
            Content::Filling(_) => Content::Filling(len as u16),
            Content::Bytes(bytes) => Content::Bytes(bytes[..len].into()),
        })
    }

    /// The given bytes; `None` for filling.
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
