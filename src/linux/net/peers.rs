//! Whom a server has connected to by itself: a backend, a log daemon. What they do is outside the harness's control.

use crate::linux::sys::fd_table;
use crate::linux::sys::pidfd_getfd;
use crate::linux::sys::process as sys;
use crate::trace::TcpState;
use socket2::Socket;
use std::os::fd::{AsFd, BorrowedFd};

/// A socket that a process of the server's has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connected {
    pid: i32,
    fd: i32,
    /// The kernel's number of the socket (`SO_COOKIE`): the descriptor may become another's.
    cookie: u64,
}

/// The sockets that a server's processes have connected and may have open.
#[derive(Debug, Default)]
pub(crate) struct Peers(Vec<Connected>);

impl Peers {
    /// Takes note of a `connect` that is about to be made.
    pub(crate) fn note(&mut self, pid: i32, fd: i32, cookie: u64) {
        let connected = Connected { pid, fd, cookie };
        if !self.0.contains(&connected) {
            self.0.push(connected);
        }
    }

    /// How many connections the server has to somebody outside of it, or is about to have, as far as the sockets show that are still open.
    /// `pidfd` gives the pidfd of a process that is still there.
    pub(crate) fn outside<'p>(&mut self, pidfd: impl Fn(i32) -> Option<BorrowedFd<'p>>) -> usize {
        let mut outside = 0;
        self.0.retain(|connected| {
            let open = pidfd(connected.pid).and_then(|pidfd| peer_of(connected, pidfd));
            match open {
                None => false,
                Some(Peer::Process(pid)) if pidfd(pid).is_some() => true,
                Some(_) => {
                    outside += 1;
                    true
                }
            }
        });
        outside
    }
}

/// The other end of a connected socket.
enum Peer {
    /// A process on this machine, over a Unix socket.
    Process(i32),
    Other,
}

/// `None` if the socket is no longer open, or connected to nobody.
fn peer_of(connected: &Connected, pidfd: BorrowedFd<'_>) -> Option<Peer> {
    let socket = pidfd_getfd(pidfd, connected.fd).and_then(fd_table::beyond).ok()?;
    if sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64).ok()? != connected.cookie {
        return None;
    }
    // It has no peer yet, and the kernel asks for one in its own time (`tcp_retransmit_timer`).
    if sys::tcp_state(socket.as_fd()) == Some(TcpState::SynSent) {
        return Some(Peer::Other);
    }
    let socket = Socket::from(socket);
    let peer = socket.peer_addr().ok()?;
    if !peer.is_unix() {
        return Some(Peer::Other);
    }
    let nobody = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let credentials = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, nobody).ok()?;
    Some(Peer::Process(credentials.pid))
}
