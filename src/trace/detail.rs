//! What a world sees of a call besides its result.

use std::time::Duration;

/// Most bytes that are kept of what a call has moved.
pub(crate) const KEPT: usize = 32;

/// Which task made a call, when, and the bytes that the call moved.
///
/// `==` on traces ignores details, because times differ from run to run. Details are recorded for commands and functions only: a
/// [`Program`](crate::Program) is one task, and its bytes are filling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The number of the task (a process or a thread). Tasks are numbered from 0 in the order of their first calls in the run.
    pub task: u32,
    /// The time since the beginning of the run at which the call was let in.
    pub time: Duration,
    data: Data,
}

/// The first [`KEPT`] bytes of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data {
    bytes: [u8; KEPT],
    len: usize,
}

impl Detail {
    pub(crate) const fn new(task: u32, time: Duration, data: Data) -> Detail {
        Detail { task, time, data }
    }

    /// The first bytes that the call moved, at most 32. Empty if the call moved none, or if they are not known.
    pub fn data(&self) -> &[u8] {
        self.data.bytes()
    }
}

impl Data {
    /// Appends as many of these bytes as are kept.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let more = bytes.len().min(self.room());
        self.bytes[self.len..self.len + more].copy_from_slice(&bytes[..more]);
        self.len += more;
    }

    /// How many more bytes are kept.
    pub(crate) const fn room(&self) -> usize {
        KEPT - self.len
    }

    /// The same, with at most `len` bytes.
    pub(crate) fn first(self, len: usize) -> Data {
        Data { len: self.len.min(len), ..self }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_bytes_are_kept_than_there_is_room_for() {
        let mut data = Data::default();
        data.push(b"GET / ");
        data.push(&[b'x'; KEPT]);
        assert_eq!((data.room(), data.bytes().len()), (0, KEPT));
        assert!(data.bytes().starts_with(b"GET / x"));
        assert_eq!(data.first(3).bytes(), b"GET");
        assert_eq!(data.first(KEPT + 1), data);
    }
}
