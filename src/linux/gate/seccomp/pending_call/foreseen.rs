//! The results of calls that are about to be released. The gate does not see what a call returns, but the socket shows most of it: some
//! before the call, some afterwards.

use super::descriptors::poll_one;
use super::{Buffers, Class, PendingCall};
use crate::linux::sys::process::{self as sys, TcpInfo};
use crate::scenario::Errno;
use crate::trace::TcpState;
use std::os::fd::BorrowedFd;

/// What the socket shows of a call's result before the call is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// The result.
    Result(Result<u32, Errno>),
    /// An RST has left an error that no call has returned yet (`sk_err`). Whether this call returns it, and which error it is, depends on
    /// what had come before the RST.
    Reset,
    /// The call moves bytes, and only the socket's counters show afterwards how many.
    Counted {
        /// The counters before the call.
        before: TcpInfo,
        /// Whether the socket has no room for more, so that the call fails with EAGAIN if it moves nothing.
        full: bool,
    },
    /// Nothing.
    #[default]
    Unknown,
}

impl PendingCall {
    /// What `socket`, on which the call is made, shows of the call's result. `info` is what TCP reports of it, if it is a TCP socket.
    pub(crate) fn foreseen(&self, socket: BorrowedFd<'_>, info: Option<TcpInfo>) -> Foreseen {
        let events = match self.class {
            Class::Accept => libc::POLLIN,
            Class::In(_) => libc::POLLIN | libc::POLLRDHUP,
            Class::Out(_) => libc::POLLOUT | libc::POLLRDHUP,
            _ => return Foreseen::Unknown,
        };
        // The socket may be the one that is read, and its result says nothing about the other descriptor.
        if self.class.buffers() == Some(Buffers::EitherEnd) {
            return Foreseen::Unknown;
        }
        let Ok(found) = poll_one(socket, events) else { return Foreseen::Unknown };
        if found & libc::POLLERR != 0 && has_error_queue(socket) {
            return Foreseen::Unknown;
        }
        let foreseen = match self.class {
            Class::Accept if found == 0 => Foreseen::Result(Err(Errno::EAGAIN)),
            Class::Accept if found & libc::POLLIN != 0 => Foreseen::Result(Ok(0)),
            Class::In(_) => self.read_foreseen(socket, info, found),
            Class::Out(_) => written_foreseen(info, found, self.is_of_some_length()),
            _ => Foreseen::Unknown,
        };
        match foreseen {
            // The call returns the number of messages.
            Foreseen::Counted { .. } if self.class.buffers() == Some(Buffers::Messages) => Foreseen::Unknown,
            foreseen => foreseen,
        }
    }

    fn read_foreseen(&self, socket: BorrowedFd<'_>, info: Option<TcpInfo>, found: i16) -> Foreseen {
        let unread = sys::unread(socket);
        if self.flags() & (libc::MSG_OOB | libc::MSG_ERRQUEUE) != 0 || !self.is_of_some_length() {
            return Foreseen::Unknown;
        }
        let is_closed = info.is_some_and(|info| info.state == TcpState::Close);
        match unread {
            // The call will pass over the urgent byte, and nothing shows whether there is data behind it.
            Ok(0) if sys::is_at_urgent_mark(socket) => Foreseen::Unknown,
            Ok(0) if found == 0 => Foreseen::Result(Err(Errno::EAGAIN)),
            Ok(0) if found & libc::POLLERR != 0 && is_closed => Foreseen::Reset,
            Ok(0) if found & libc::POLLERR == 0 && found & libc::POLLRDHUP != 0 => Foreseen::Result(Ok(0)),
            Ok(1..) if self.flags() & libc::MSG_PEEK == 0 => {
                info.map_or(Foreseen::Unknown, |before| Foreseen::Counted { before, full: false })
            }
            _ => Foreseen::Unknown,
        }
    }

    /// Whether the call will take data from the socket.
    pub(crate) fn takes(&self, socket: BorrowedFd<'_>) -> bool {
        let looks_only = libc::MSG_PEEK | libc::MSG_ERRQUEUE;
        self.class.reads() && self.flags() & looks_only == 0 && sys::unread(socket).is_ok_and(|bytes| bytes > 0)
    }

    /// Whether the call raises SIGPIPE if it fails with EPIPE.
    pub(crate) fn raises_sigpipe(&self) -> bool {
        self.class.sends() && self.flags() & libc::MSG_NOSIGNAL == 0
    }

    /// Whether the call asks for at least one byte. True for a call with a list of buffers.
    fn is_of_some_length(&self) -> bool {
        self.args[2] > 0 || self.class.buffers() != Some(Buffers::One)
    }
}

/// Whether the socket may report POLLERR for what is in its error queue: notifications of MSG_ZEROCOPY, and time stamps of sent data.
fn has_error_queue(socket: BorrowedFd<'_>) -> bool {
    let options = [libc::SO_ZEROCOPY, libc::SO_TIMESTAMPING];
    options.iter().any(|option| sys::option(socket, libc::SOL_SOCKET, *option, 0i32).is_ok_and(|value| value != 0))
}

/// By the rules of `tcp_sendmsg_locked` and `sk_stream_error`. `some`: the call has at least one byte to send.
fn written_foreseen(info: Option<TcpInfo>, found: i16, some: bool) -> Foreseen {
    let Some(before) = info else { return Foreseen::Unknown };
    let (failed, was_connected) = (found & libc::POLLERR != 0, found & libc::POLLRDHUP != 0);
    match before.state {
        // A socket that was never connected is in CLOSE too, and with MSG_FASTOPEN the call connects it.
        TcpState::Close if !was_connected => Foreseen::Unknown,
        TcpState::Close if failed => Foreseen::Reset,
        _ if failed => Foreseen::Unknown,
        TcpState::Established | TcpState::CloseWait => {
            Foreseen::Counted { before, full: some && found & libc::POLLOUT == 0 }
        }
        TcpState::SynSent | TcpState::SynRecv | TcpState::Listen => Foreseen::Unknown,
        _ => Foreseen::Result(Err(Errno::EPIPE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_send_returns_shows_in_the_state_and_the_pending_error() {
        let (room, over) = (libc::POLLOUT, libc::POLLOUT | libc::POLLHUP | libc::POLLRDHUP);
        let error = libc::POLLERR | over;
        let info = |state| TcpInfo { state, written: 5, read: Some(0) };
        let of = |state, found| written_foreseen(Some(info(state)), found, true);
        let counted = |state, full| Foreseen::Counted { before: info(state), full };
        assert_eq!(of(TcpState::Established, room), counted(TcpState::Established, false));
        assert_eq!(of(TcpState::CloseWait, 0), counted(TcpState::CloseWait, true));
        assert_eq!(of(TcpState::FinWait2, room), Foreseen::Result(Err(Errno::EPIPE)));
        assert_eq!(of(TcpState::Close, error), Foreseen::Reset);
        assert_eq!(of(TcpState::Close, over), Foreseen::Result(Err(Errno::EPIPE)));
        // A send of nothing succeeds although there is no room.
        let of_nothing = written_foreseen(Some(info(TcpState::Established)), 0, false);
        assert_eq!(of_nothing, counted(TcpState::Established, false));
        // An error of unknown origin, a socket that was never connected, and one that is not of TCP.
        assert_eq!(of(TcpState::Established, error), Foreseen::Unknown);
        assert_eq!(of(TcpState::Close, libc::POLLOUT | libc::POLLHUP), Foreseen::Unknown);
        assert_eq!(written_foreseen(None, room, true), Foreseen::Unknown);
    }
}
