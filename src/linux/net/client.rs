//! The clients: one socket each, and the system calls that their events make.

use crate::linux::error::{KernelError, errno};
use crate::linux::net::close;
use crate::linux::net::sock_diag::SockDiag;
use crate::linux::sys;
use crate::linux::sys::fd_table;
use crate::scenario::{Client, Errno, MAX_SEND, Payload};
use crate::trace::{End, Reply, TcpState};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use socket2::{Domain, Socket, Type};
use std::cell::Cell;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The bytes that clients send where their values do not matter.
static FILLING: [u8; MAX_SEND] = [b'x'; MAX_SEND];

const DOING: &str = "connect a client";
/// Bound on a connect: by then it has succeeded, was refused, or is known to have met a full accept queue, even on a busy machine.
const CONNECT_BOUND: Duration = Duration::from_secs(60);
/// Interval between checks for a retransmitted SYN, in milliseconds.
const LOOK_AGAIN: u8 = 100;

/// A connected client.
#[derive(Debug)]
pub(crate) struct ClientSocket {
    pub(crate) name: Client,
    /// `None` once the client has closed.
    pub(crate) socket: Option<Socket>,
    pub(crate) address: SocketAddrV4,
    pub(crate) vanished: bool,
    /// Whether the client has stopped reading.
    pub(crate) stalled: bool,
}

/// The next source address, from 127.1.0.0 to 127.254.255.255; the addresses on which other programs listen lie outside. A connection
/// stays in TIME_WAIT for a minute and keeps its port: with so many addresses, none runs out of ports.
fn source() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 0x7f01_0000;
    const COUNT: u32 = 0x00fe_0000;
    // Processes that run at the same time start at addresses that are far apart.
    let start = std::process::id().wrapping_mul(0x9e37_79b9);
    Ipv4Addr::from(FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
}

/// Whose listener a client connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The harness's own. The client's address is one of many in 127.0.0.0/8.
    Own,
    /// Another program's. The client's address is 127.0.0.1, which some servers grant more rights than other addresses.
    Foreign,
}

impl ClientSocket {
    /// Connects to the server. Returns `None` if the kernel has dropped the SYN because an accept queue is full; the kernel would
    /// retransmit it for minutes.
    ///
    /// `buffer` is the size of the receive buffer in bytes; with a small one, unread data soon closes the window.
    ///
    /// # Errors
    ///
    /// [`KernelError::Call`] with `connect` and its error if the connection is refused; [`KernelError::Late`] if there is no result
    /// within [`CONNECT_BOUND`].
    pub(crate) fn connect(
        name: Client,
        server: SocketAddrV4,
        buffer: Option<usize>,
        listener: Listener,
    ) -> Result<Option<ClientSocket>, KernelError> {
        let socket =
            Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).map_err(KernelError::io(DOING, "socket"))?;
        let socket =
            Socket::from(fd_table::beyond(socket.into()).map_err(KernelError::call(DOING, "fcntl F_DUPFD_CLOEXEC"))?);
        socket.set_tcp_nodelay(true).map_err(KernelError::io(DOING, "setsockopt TCP_NODELAY"))?;
        if let Some(bytes) = buffer {
            // Set before the connect, because the window scale that the SYN offers depends on it.
            socket.set_recv_buffer_size(bytes).map_err(KernelError::io(DOING, "setsockopt SO_RCVBUF"))?;
        }
        // `connect` then chooses the port, and can use any that is free for this destination (ip(7)).
        sys::set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
            .map_err(KernelError::call(DOING, "setsockopt IP_BIND_ADDRESS_NO_PORT"))?;
        let source = match listener {
            Listener::Own => source(),
            Listener::Foreign => Ipv4Addr::LOCALHOST,
        };
        socket.bind(&SocketAddrV4::new(source, 0).into()).map_err(KernelError::io(DOING, "bind"))?;
        // On loopback the handshake is complete when the call has returned, unless the machine is busy. The call has returned EINPROGRESS
        // nevertheless, because the kernel handles the answer to the SYN only when the call releases the socket.
        match socket.connect(&server.into()) {
            Ok(()) => {}
            Err(error) if errno(&error) == Errno::from_raw(libc::EINPROGRESS) => {
                if !is_let_in(&socket)? {
                    return Ok(None);
                }
            }
            Err(error) => return Err(KernelError::io(DOING, "connect")(error)),
        }
        let local = socket.local_addr().map_err(KernelError::io(DOING, "getsockname"))?;
        let address = local.as_socket_ipv4().ok_or(KernelError::Garbled { what: "a client's own address" })?;
        Ok(Some(ClientSocket { name, socket: Some(socket), address, vanished: false, stalled: false }))
    }

    /// Acknowledges what has arrived, and from here on at once (`TCP_QUICKACK`, tcp(7)): else the kernel may take 40 ms for it, in which it
    /// may hold back what the server sends next.
    pub(crate) fn acknowledge(&self) {
        if let Some(socket) = self.socket.as_ref().filter(|_| !self.vanished) {
            // Errors mean that the connection has ended.
            let _ = sys::set_option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1);
        }
    }

    /// One `send(2)` of the whole payload.
    pub(crate) fn send(socket: &Socket, payload: &Payload) -> Reply {
        send_flagged(socket, bytes_of(payload), 0)
    }

    /// `send(2)` of one byte with `MSG_OOB`.
    pub(crate) fn urgent(socket: &Socket) -> Reply {
        send_flagged(socket, &FILLING[..1], libc::MSG_OOB)
    }

    /// `recv(2)` until it would block, returns EOF or fails.
    pub(crate) fn recv(socket: &Socket) -> Reply {
        let mut buffer = [MaybeUninit::uninit(); MAX_SEND];
        let mut bytes = 0;
        loop {
            let end = match socket.recv_with_flags(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(0) => End::Eof,
                Ok(n) => {
                    bytes += n as u32;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => End::Open,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => End::Error(errno(&error)),
            };
            return Reply::Received { bytes, end };
        }
    }

    /// `recv(2)` until it would block, returns EOF or fails. Appends the received bytes to `out`.
    pub(crate) fn take(socket: &Socket, out: &mut Vec<u8>) -> End {
        let mut buffer = [0; MAX_SEND];
        loop {
            match sys::recv(socket.as_fd(), &mut buffer) {
                Ok(0) => return End::Eof,
                Ok(n) => out.extend_from_slice(&buffer[..n]),
                Err(Errno::EAGAIN) => return End::Open,
                Err(Errno::EINTR) => {}
                Err(errno) => return End::Error(errno),
            }
        }
    }

    /// `shutdown(2)` with `SHUT_WR`.
    pub(crate) fn fin(socket: &Socket) -> Reply {
        socket.shutdown(std::net::Shutdown::Write).map_or_else(|e| Reply::Error(errno(&e)), |()| Reply::Ok(0))
    }

    /// `close(2)`, with `abort` an abortive one (`SO_LINGER` {1, 0}). On return the kernel has closed the socket.
    pub(crate) fn close(
        &mut self,
        abort: bool,
        server: SocketAddrV4,
        sock_diag: &mut SockDiag,
    ) -> Result<Reply, KernelError> {
        if let Some(socket) = self.socket.take() {
            if abort {
                let linger = socket.set_linger(Some(Duration::ZERO));
                linger.map_err(KernelError::io("abort a client's connection", "setsockopt SO_LINGER"))?;
            }
            drop(socket);
            close::wait(sock_diag, (self.address, server))?;
        }
        Ok(Reply::Ok(0))
    }

    /// Whether the socket is in CLOSE, so that closing it sends nothing. True if the client has closed it.
    pub(crate) fn is_in_close(&self) -> bool {
        let state = self.socket.as_ref().and_then(|socket| sys::process::tcp_state(socket.as_fd()));
        state.is_none_or(|state| state == TcpState::Close)
    }

    /// Waits until an end of file or an error has arrived. It must be sure to come.
    pub(crate) fn wait_for_the_end(&self) -> Result<(), KernelError> {
        const DOING: &str = "receive the FIN or the RST of a server that has closed";
        let Some(socket) = &self.socket else { return Ok(()) };
        let [ready] = sys::poll([socket.as_fd()], CONNECT_BOUND).map_err(KernelError::call(DOING, "poll"))?;
        if ready.is_empty() { Err(KernelError::Late { doing: DOING, bound: CONNECT_BOUND }) } else { Ok(()) }
    }

    /// Cuts the client off: from here on nothing gets through to the server or from it.
    pub(crate) fn vanish(&mut self, server: SocketAddrV4) -> Result<Reply, KernelError> {
        self.vanished = true;
        self.cut_off(server, true)?;
        Ok(Reply::Ok(0))
    }

    /// Undoes [`ClientSocket::vanish`] if the client has vanished.
    pub(crate) fn reappear(&mut self, server: SocketAddrV4) -> Result<(), KernelError> {
        if self.vanished { self.cut_off(server, false) } else { Ok(()) }
    }

    fn cut_off(&self, server: SocketAddrV4, cut: bool) -> Result<(), KernelError> {
        match &self.socket {
            Some(socket) => sys::cut_off(socket.as_fd(), server, cut)
                .map_err(KernelError::call("make a client vanish", "setsockopt TCP_MD5SIG")),
            None => Ok(()),
        }
    }
}

/// The bytes that a client sends for a payload.
pub(crate) fn bytes_of(payload: &Payload) -> &[u8] {
    payload.given().unwrap_or(&FILLING[..payload.len()])
}

/// Waits until the connection is established (true), or its SYN is known to have been dropped because an accept queue is full (false).
/// With SO_REUSEPORT one port has several accept queues, and it is not known beforehand to which of them a client is assigned.
///
/// That the kernel has retransmitted the SYN shows it too, but only after a second. So from the first dropped SYN on, the kernel's counter
/// of overflows is compared from connect to connect. Reading it takes longer than a connect.
fn is_let_in(socket: &Socket) -> Result<bool, KernelError> {
    thread_local! {
        static OVERFLOWS: Cell<Option<u64>> = const { Cell::new(None) };
    }
    let deadline = Instant::now() + CONNECT_BOUND;
    while Instant::now() < deadline {
        let before = OVERFLOWS.get();
        let now = before.and_then(|_| overflows());
        OVERFLOWS.set(now);
        // A dropped SYN has been counted by now. If the counter has risen, one poll without waiting shows whether it was this SYN.
        let wait = PollTimeout::from(if now > before { 0 } else { LOOK_AGAIN });
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        match nix::poll::poll(&mut polled, wait) {
            Ok(0) if wait == PollTimeout::ZERO => return Ok(false),
            // The kernel retransmits a SYN that has not been answered within a second.
            Ok(0) if sys::retransmits(socket.as_fd()).map_err(KernelError::call(DOING, "getsockopt TCP_INFO"))? > 0 => {
                OVERFLOWS.set(overflows());
                return Ok(false);
            }
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => {
                let failed = socket.take_error().map_err(KernelError::io(DOING, "getsockopt SO_ERROR"))?;
                return failed.map_or(Ok(true), |error| Err(KernelError::io(DOING, "connect")(error)));
            }
            Err(errno) => return Err(KernelError::call(DOING, "poll")(Errno::from_raw(errno as i32))),
        }
    }
    Err(KernelError::Late { doing: DOING, bound: CONNECT_BOUND })
}

/// How many accept queues in the network namespace of this thread have overflowed so far (`ListenOverflows` of `/proc/PID/net/netstat`).
fn overflows() -> Option<u64> {
    overflows_in(&std::fs::read_to_string("/proc/thread-self/net/netstat").ok()?)
}

/// `ListenOverflows` in the text of that file, where a line of names is followed by a line of numbers.
fn overflows_in(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|name| name == "ListenOverflows")?;
    numbers.split_whitespace().nth(at)?.parse().ok()
}

fn send_flagged(socket: &Socket, bytes: &[u8], flags: i32) -> Reply {
    match socket.send_with_flags(bytes, flags | libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) {
        Err(error) => Reply::Error(errno(&error)),
        Ok(n) => Reply::Ok(n as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn the_counter_of_overflows_is_found_by_its_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 17 18\nIpExt: InNoRoutes\nIpExt: 0\n";
        assert_eq!(overflows_in(text), Some(17));
        assert_eq!(overflows_in("TcpExt: SyncookiesSent\nTcpExt: 0\n"), None);
    }

    #[test]
    fn a_client_for_whom_there_is_no_room_gives_up() {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        listener.listen(1).unwrap();
        let address = SockRef::from(&listener).local_addr().unwrap().as_socket_ipv4().unwrap();
        let connect = || ClientSocket::connect(Client::nth(0), address, None, Listener::Foreign).unwrap();
        // The queue holds one more than its backlog.
        let held = [connect(), connect()];
        assert!(held.iter().all(Option::is_some));
        let start = Instant::now();
        assert!(connect().is_none());
        assert!(start.elapsed() < CONNECT_BOUND);
        assert!(connect().is_none());
    }
}
