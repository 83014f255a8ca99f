//! What a client has sent and the server has not read yet. The gate does not see what a call reads, but the harness has sent it.

use crate::linux::net::client::bytes_of;
use crate::scenario::Payload;
use crate::trace::Data;
use std::collections::VecDeque;
use std::ops::Range;

/// The bytes of one connection, in the order in which the server reads them.
#[derive(Debug)]
pub(super) enum Unread {
    /// These parts of payloads.
    Known(VecDeque<(Payload, Range<usize>)>),
    /// Not known any more.
    Lost,
}

impl Default for Unread {
    fn default() -> Unread {
        Unread::Known(VecDeque::new())
    }
}

impl Unread {
    /// How many bytes there are; `None` if that is not known.
    pub(super) fn len(&self) -> Option<usize> {
        let Unread::Known(parts) = self else { return None };
        Some(parts.iter().map(|(_, part)| part.len()).sum())
    }

    /// The client has sent the first `len` bytes of a payload.
    pub(super) fn sent(&mut self, payload: &Payload, len: usize) {
        if let Unread::Known(parts) = self {
            parts.push_back((payload.clone(), 0..len));
        }
    }

    /// The server has read `len` bytes. Gives the first of them; none if they are not known.
    pub(super) fn read(&mut self, mut len: usize) -> Data {
        let mut data = Data::default();
        while len > 0 {
            let Unread::Known(parts) = self else { return Data::default() };
            let Some((payload, left)) = parts.front_mut() else {
                *self = Unread::Lost;
                continue;
            };
            let some = left.start..left.end.min(left.start + len);
            data.push(&bytes_of(payload)[some.clone()]);
            len -= some.len();
            left.start = some.end;
            if left.start == left.end {
                parts.pop_front();
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_reads_what_was_sent_in_pieces_of_any_length() {
        let mut unread = Unread::default();
        unread.sent(&Payload::bytes(b"GET / HTTP/1.0").unwrap(), 5);
        unread.sent(&Payload::filling(40).unwrap(), 40);
        assert_eq!(unread.read(3).bytes(), b"GET");
        assert_eq!(unread.read(4).bytes(), b" /xx");
        assert_eq!(unread.read(38).bytes(), [b'x'; 32]);
        // More than was sent: what follows is not known either.
        assert_eq!(unread.read(1).bytes(), b"");
        unread.sent(&Payload::FIVE, 5);
        assert_eq!(unread.read(5).bytes(), b"");
    }
}
