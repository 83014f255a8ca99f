//! All that is said in a protocol, and what protocols say it with.

use super::Exchange;
use crate::scenario::Payload;

/// All that is said in a protocol.
#[derive(Debug)]
pub(super) struct Talk {
    /// What clients send, each a payload for one `send`.
    pub(super) say: Vec<Payload>,
    /// What a good client says first on each connection, once.
    pub(super) opening: Vec<Exchange>,
    /// How a good client asks.
    pub(super) polite: Vec<Exchange>,
    /// How a good client takes its leave.
    pub(super) closing: Vec<Exchange>,
}

/// A value of so many bytes: with a few dozen of them a reply outgrows the buffers of a client that does not read.
pub(super) const LARGE: usize = 8_192;
/// What is announced of a body or value of which only [`SENT`] bytes are sent.
pub(super) const ANNOUNCED: usize = 100_000;
/// What is sent of it.
pub(super) const SENT: usize = 100;

impl Talk {
    /// # Panics
    ///
    /// If a payload is longer than one send may carry.
    pub(super) fn new(say: &[Vec<u8>], opening: Vec<Exchange>, polite: Vec<Exchange>, closing: Vec<Exchange>) -> Talk {
        let say =
            say.iter().map(|bytes| Payload::bytes(bytes).expect("no payload of a protocol is too long")).collect();
        Talk { say, opening, polite, closing }
    }
}

impl Exchange {
    pub(super) fn new(send: &[u8], answer: super::Answer) -> Exchange {
        Exchange { send: send.to_vec(), answer }
    }
}

/// So many bytes.
pub(super) fn filling(len: usize) -> Vec<u8> {
    vec![b'x'; len]
}
