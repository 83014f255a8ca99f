//! The bytes that a pending call is going to send.

use super::{Buffers, PendingCall};
use crate::linux::sys::process as sys;
use crate::trace::{Data, KEPT};

/// Most buffers of one call that are read.
const MOST_BUFFERS: u64 = 8;

impl PendingCall {
    /// The first bytes that the call will send if it succeeds. Empty if they do not come from the server's memory (`sendfile(2)`,
    /// `splice(2)`), or if that cannot be read.
    pub(crate) fn data(&self) -> Data {
        let mut data = Data::default();
        for [address, len] in self.buffers().unwrap_or_default() {
            let mut bytes = [0; KEPT];
            let bytes = &mut bytes[..data.room().min(len as usize)];
            if sys::read_memory(self.pid, address, bytes).is_err() {
                break;
            }
            data.push(bytes);
        }
        data
    }

    /// The address and the length of each buffer that the call sends.
    fn buffers(&self) -> Option<Vec<[u64; 2]>> {
        // `struct iovec` is an address and a length (writev(2)).
        let listed = |address, count: u64| {
            let mut list = vec![[0; 2]; count.min(MOST_BUFFERS) as usize];
            sys::read_memory(self.pid, address, &mut list).ok().map(|()| list)
        };
        match self.class.buffers()? {
            Buffers::One => Some(vec![[self.args[1], self.args[2]]]),
            Buffers::List => listed(self.args[1], self.args[2]),
            Buffers::Message => {
                // `struct msghdr`: its third word is the address of the list, its fourth the length of the list (sendmsg(2)).
                let mut header = [0; 4];
                sys::read_memory(self.pid, self.args[1], &mut header).ok()?;
                listed(header[2], header[3])
            }
            Buffers::Messages | Buffers::Elsewhere | Buffers::EitherEnd => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parked;
    use crate::trace::KEPT;

    #[test]
    fn what_a_call_will_send_is_read_from_its_buffers() {
        let data = |name, args| parked(name, args).data().bytes().to_vec();
        let (head, body) = (*b"HTTP/1.0 200 OK\r\n\r\n", [b'x'; 100]);
        let list = [[head.as_ptr() as u64, head.len() as u64], [body.as_ptr() as u64, body.len() as u64]];
        let header = [0, 0, list.as_ptr() as u64, list.len() as u64];
        assert_eq!(data("send", [0, list[0][0], 4, 0, 0, 0]), b"HTTP");
        let both = [&head[..], &body[..KEPT - head.len()]].concat();
        assert_eq!(data("writev", [0, list.as_ptr() as u64, 2, 0, 0, 0]), both);
        assert_eq!(data("sendmsg", [0, header.as_ptr() as u64, 0, 0, 0, 0]), both);
        // No such memory, and none that is known of.
        assert_eq!(data("send", [0, 8, 4, 0, 0, 0]), b"");
        assert_eq!(data("sendfile", [0, 1, 2, 3, 0, 0]), b"");
    }
}
