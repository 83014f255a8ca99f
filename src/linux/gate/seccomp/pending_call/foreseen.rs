//! The results of calls that are about to be released. The gate does not see what a call returns, but the socket shows most of it: some
//! before the call, some afterwards.

use super::descriptors::poll_one;
use super::{Class, Parked};
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

impl Parked {
    /// What `socket`, on which the call is made, shows of the call's result. `info` is what TCP reports of it, if it is a TCP socket.
    pub(crate) fn foreseen(&self, socket: BorrowedFd<'_>, info: Option<TcpInfo>) -> Foreseen {
        let events = match self.class {
            Class::Accept => libc::POLLIN,
            Class::In(_) => libc::POLLIN | libc::POLLRDHUP,
            Class::Out(_) => libc::POLLOUT,
            _ => return Foreseen::Unknown,
        };
        let Ok(found) = poll_one(socket, events) else { return Foreseen::Unknown };
        match self.class {
            Class::Accept if found == 0 => Foreseen::Result(Err(Errno::EAGAIN)),
            Class::Accept if found & libc::POLLIN != 0 => Foreseen::Result(Ok(0)),
            Class::In(_) => self.read_foreseen(socket, info, found),
            Class::Out(_) => written_foreseen(info, found),
            _ => Foreseen::Unknown,
        }
    }

    fn read_foreseen(&self, socket: BorrowedFd<'_>, info: Option<TcpInfo>, found: i16) -> Foreseen {
        if self.flags() & (libc::MSG_OOB | libc::MSG_ERRQUEUE) != 0 {
            return Foreseen::Unknown;
        }
        if found == 0 {
            return Foreseen::Result(Err(Errno::EAGAIN));
        }
        let is_plain = matches!(self.number as libc::c_long, libc::SYS_read | libc::SYS_recvfrom);
        let is_closed = info.is_some_and(|info| info.state == TcpState::Close);
        match sys::unread(socket) {
            // The call will pass over the urgent byte, and nothing shows whether there is data behind it.
            Ok(0) if sys::is_at_urgent_mark(socket) => Foreseen::Unknown,
            Ok(0) if found & libc::POLLERR != 0 && is_closed => Foreseen::Reset,
            Ok(0) if found & libc::POLLERR == 0 && found & libc::POLLRDHUP != 0 => Foreseen::Result(Ok(0)),
            Ok(n @ 1..) if is_plain => Foreseen::Result(Ok(n.min(u32::try_from(self.args[2]).unwrap_or(u32::MAX)))),
            Ok(1..) if self.flags() & libc::MSG_PEEK == 0 => {
                info.map_or(Foreseen::Unknown, |before| Foreseen::Counted { before, full: false })
            }
            _ => Foreseen::Unknown,
        }
    }

    /// Whether the call raises SIGPIPE if it fails with EPIPE.
    pub(crate) fn raises_sigpipe(&self) -> bool {
        matches!(self.class, Class::Out(_)) && self.flags() & libc::MSG_NOSIGNAL == 0
    }
}

/// By the rules of `tcp_sendmsg_locked` and `sk_stream_error`.
fn written_foreseen(info: Option<TcpInfo>, found: i16) -> Foreseen {
    let Some(before) = info else { return Foreseen::Unknown };
    match before.state {
        TcpState::Close if found & libc::POLLERR != 0 => Foreseen::Reset,
        _ if found & libc::POLLERR != 0 => Foreseen::Unknown,
        TcpState::Established | TcpState::CloseWait => Foreseen::Counted { before, full: found & libc::POLLOUT == 0 },
        TcpState::SynSent | TcpState::SynRecv | TcpState::Listen => Foreseen::Unknown,
        _ => Foreseen::Result(Err(Errno::EPIPE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_send_returns_shows_in_the_state_and_the_pending_error() {
        let [room, error] = [libc::POLLOUT, libc::POLLERR | libc::POLLHUP | libc::POLLOUT];
        let of = |state, found| written_foreseen(Some(TcpInfo { state, written: 5, read: 0 }), found);
        let counted = |state, full| Foreseen::Counted { before: TcpInfo { state, written: 5, read: 0 }, full };
        assert_eq!(of(TcpState::Established, room), counted(TcpState::Established, false));
        assert_eq!(of(TcpState::CloseWait, 0), counted(TcpState::CloseWait, true));
        assert_eq!(of(TcpState::FinWait2, room), Foreseen::Result(Err(Errno::EPIPE)));
        assert_eq!(of(TcpState::Close, error), Foreseen::Reset);
        assert_eq!(of(TcpState::Close, room), Foreseen::Result(Err(Errno::EPIPE)));
        // For example a notification of MSG_ZEROCOPY, and sockets that are not of TCP.
        assert_eq!(of(TcpState::Established, error), Foreseen::Unknown);
        assert_eq!(written_foreseen(None, room), Foreseen::Unknown);
    }
}
