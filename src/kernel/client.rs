//! The clients' side: one socket each, and the calls of the event table.

use super::error::{KernelError, errno};
use super::sys;
use super::table;
use crate::scenario::{Client, Errno, MAX_SEND, Payload};
use crate::trace::{End, Reply};
use socket2::{Domain, Socket, Type};
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What the clients send where the bytes do not matter.
static FILLING: [u8; MAX_SEND] = [b'x'; MAX_SEND];

/// A connected client.
#[derive(Debug)]
pub(super) struct ClientSocket {
    pub(super) name: Client,
    /// `None` once it has closed.
    pub(super) socket: Option<Socket>,
    pub(super) address: SocketAddrV4,
    pub(super) vanished: bool,
    /// Whether it reads no more.
    pub(super) stalled: bool,
}

/// The next source address: all of 127.0.0.0/8 but the corner where others listen, so that connections in TIME_WAIT, which
/// last a minute, never run an address out of ports.
fn source() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 0x7f01_0000;
    const COUNT: u32 = 0x00fe_0000;
    // Processes that run at once start far apart.
    let start = std::process::id().wrapping_mul(0x9e37_79b9);
    Ipv4Addr::from(FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
}

impl ClientSocket {
    /// Connects to the server, with a receive buffer of so many bytes if that is given: what it does not read closes the
    /// window then. Its own address is one of the many in 127.0.0.0/8 if it is to be `spread`, else 127.0.0.1, to which some servers grant
    /// what they do not to others.
    pub(super) fn connect(
        name: Client,
        server: SocketAddrV4,
        buffer: Option<usize>,
        spread: bool,
    ) -> Result<ClientSocket, KernelError> {
        const DOING: &str = "connect a client";
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(KernelError::io(DOING, "socket"))?;
        let socket =
            Socket::from(table::beyond(socket.into()).map_err(KernelError::call(DOING, "fcntl F_DUPFD_CLOEXEC"))?);
        socket.set_tcp_nodelay(true).map_err(KernelError::io(DOING, "setsockopt TCP_NODELAY"))?;
        if let Some(bytes) = buffer {
            // Set before the connect, for the window is scaled by it.
            socket.set_recv_buffer_size(bytes).map_err(KernelError::io(DOING, "setsockopt SO_RCVBUF"))?;
        }
        // The port is chosen when the other end is known, and so is free if any is.
        sys::set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
            .map_err(KernelError::call(DOING, "setsockopt IP_BIND_ADDRESS_NO_PORT"))?;
        let source = if spread { source() } else { Ipv4Addr::LOCALHOST };
        socket.bind(&SocketAddrV4::new(source, 0).into()).map_err(KernelError::io(DOING, "bind"))?;
        socket.connect(&server.into()).map_err(KernelError::io(DOING, "connect"))?;
        let local = socket.local_addr().map_err(KernelError::io(DOING, "getsockname"))?;
        let address = local.as_socket_ipv4().ok_or(KernelError::Garbled { what: "a client's own address" })?;
        Ok(ClientSocket { name, socket: Some(socket), address, vanished: false, stalled: false })
    }

    /// `send(2)`, whole.
    pub(super) fn send(socket: &Socket, payload: &Payload) -> Reply {
        let bytes = payload.given().unwrap_or(&FILLING[..payload.len()]);
        send_flagged(socket, bytes, 0)
    }

    /// `send(2)` of one byte with `MSG_OOB`.
    pub(super) fn urgent(socket: &Socket) -> Reply {
        send_flagged(socket, &FILLING[..1], libc::MSG_OOB)
    }

    /// `recv(2)` until it would block, or to the end.
    pub(super) fn recv(socket: &Socket) -> Reply {
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

    /// `recv(2)` until it would block, or to the end, and what was received.
    pub(super) fn take(socket: &Socket, out: &mut Vec<u8>) -> End {
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
    pub(super) fn fin(socket: &Socket) -> Reply {
        socket.shutdown(std::net::Shutdown::Write).map_or_else(|e| Reply::Error(errno(&e)), |()| Reply::Ok(0))
    }

    /// `close(2)`, abortive with `SO_LINGER` {1, 0}.
    pub(super) fn close(&mut self, abort: bool) -> Result<Reply, KernelError> {
        if let Some(socket) = self.socket.take()
            && abort
        {
            let linger = socket.set_linger(Some(Duration::ZERO));
            linger.map_err(KernelError::io("abort a client's connection", "setsockopt SO_LINGER"))?;
        }
        Ok(Reply::Ok(0))
    }

    /// From here on nothing gets through between it and the server, in either direction.
    pub(super) fn vanish(&mut self, server: SocketAddrV4) -> Result<Reply, KernelError> {
        self.vanished = true;
        self.cut_off(server, true)?;
        Ok(Reply::Ok(0))
    }

    /// Undoes that, for one that had vanished.
    pub(super) fn reappear(&mut self, server: SocketAddrV4) -> Result<(), KernelError> {
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

fn send_flagged(socket: &Socket, bytes: &[u8], flags: i32) -> Reply {
    match socket.send_with_flags(bytes, flags | libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) {
        Err(error) => Reply::Error(errno(&error)),
        Ok(n) => Reply::Ok(n as u32),
    }
}
