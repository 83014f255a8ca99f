//! The payloads and the exchanges of a protocol, and what they are made of.

use super::{Exchange, Frame};
use crate::scenario::Payload;

/// The payloads and the exchanges of a protocol.
#[derive(Debug)]
pub(super) struct Talk {
    /// The payloads that clients send, each with one `send`.
    pub(super) say: Vec<Payload>,
    /// The exchanges with which a polite client begins each connection.
    pub(super) opening: Vec<Exchange>,
    /// The exchanges with which a polite client makes a request.
    pub(super) polite: Vec<Exchange>,
    /// The exchanges with which a polite client ends a connection.
    pub(super) closing: Vec<Exchange>,
    /// Requests of any size.
    pub(super) frames: &'static [Frame],
}

/// The size of a large value in bytes: a few dozen of them fill the buffers of a client that does not read.
pub(super) const LARGE: usize = 8_192;
/// The announced size in bytes of a body or value of which only [`SENT`] bytes are sent.
pub(super) const ANNOUNCED: usize = 100_000;
/// How many bytes of it are sent.
pub(super) const SENT: usize = 100;

impl Talk {
    /// # Panics
    ///
    /// If a payload is longer than one send may carry.
    pub(super) fn new(say: &[Vec<u8>], opening: Vec<Exchange>, polite: Vec<Exchange>, closing: Vec<Exchange>) -> Talk {
        let say =
            say.iter().map(|bytes| Payload::bytes(bytes).expect("no payload of a protocol is too long")).collect();
        Talk { say, opening, polite, closing, frames: &[] }
    }

    /// The same, with these requests of any size.
    pub(super) fn sized(self, frames: &'static [Frame]) -> Talk {
        Talk { frames, ..self }
    }
}

impl Exchange {
    pub(super) fn new(send: &[u8], answer: super::Answer) -> Exchange {
        Exchange { send: send.to_vec(), answer }
    }
}

/// `len` bytes of filling.
pub(super) fn filling(len: usize) -> Vec<u8> {
    vec![b'x'; len]
}
