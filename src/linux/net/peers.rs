//! Connections that a server has opened itself, as to a backend or a log daemon, and sockets on which it has sent datagrams, as to a name
//! server. The harness does not control these peers.

use crate::linux::sys::fd_table;
use crate::linux::sys::pidfd_getfd;
use crate::linux::sys::process as sys;
use crate::trace::TcpState;
use socket2::Socket;
use std::os::fd::{AsFd, BorrowedFd};

/// A socket on which a process of the server has called `connect`, or has sent a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connected {
    pid: i32,
    fd: i32,
    /// The kernel's number of the socket (`SO_COOKIE`), because the descriptor may later refer to another socket.
    cookie: u64,
}

/// The sockets on which a server's processes have done that, and which may still be open.
#[derive(Debug, Default)]
pub(crate) struct Peers(Vec<Connected>);

impl Peers {
    /// Records a `connect` that is about to be made, or a datagram that is about to be sent.
    pub(crate) fn note(&mut self, pid: i32, fd: i32, cookie: u64) {
        let connected = Connected { pid, fd, cookie };
        if !self.0.contains(&connected) {
            self.0.push(connected);
        }
    }

    /// The number of recorded sockets that are still open and are connected, or connecting, to a peer that is not a process of the server.
    /// `pidfd` gives the pidfd of a process of the server that still exists. Sockets that are no longer open are removed.
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

/// `None` if the socket is no longer open, or has no peer.
fn peer_of(connected: &Connected, pidfd: BorrowedFd<'_>) -> Option<Peer> {
    let socket = pidfd_getfd(pidfd, connected.fd).and_then(fd_table::beyond).ok()?;
    if sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64).ok()? != connected.cookie {
        return None;
    }
    // There is no peer yet, but the kernel retransmits the SYN by a timer of its own (`tcp_retransmit_timer`).
    if sys::tcp_state(socket.as_fd()) == Some(TcpState::SynSent) {
        return Some(Peer::Other);
    }
    let socket = Socket::from(socket);
    if is_of_datagrams(socket.as_fd()) && socket.local_addr().is_ok_and(|own| !own.is_unix()) {
        // It need not be connected to get an answer.
        return Some(Peer::Other);
    }
    let peer = socket.peer_addr().ok()?;
    if !peer.is_unix() {
        return Some(Peer::Other);
    }
    let nobody = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let credentials = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, nobody).ok()?;
    Some(Peer::Process(credentials.pid))
}

/// Whether a socket is one of datagrams (`socket(2)`).
pub(crate) fn is_of_datagrams(socket: BorrowedFd<'_>) -> bool {
    sys::option(socket, libc::SOL_SOCKET, libc::SO_TYPE, 0).is_ok_and(|kind| kind == libc::SOCK_DGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, UdpSocket};
    use std::os::fd::AsRawFd;

    #[test]
    fn who_was_sent_a_datagram_may_answer_until_the_socket_is_closed() {
        let pid = nix::unistd::getpid().as_raw();
        let pidfd = crate::linux::sys::pidfd_open(pid).unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let cookie = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64).unwrap();
        let mut peers = Peers::default();
        peers.note(pid, socket.as_raw_fd(), cookie);
        assert_eq!(peers.outside(|_| Some(pidfd.as_fd())), 1);
        drop(socket);
        assert_eq!(peers.outside(|_| Some(pidfd.as_fd())), 0);
    }
}
