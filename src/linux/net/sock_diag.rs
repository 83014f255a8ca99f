//! Looks up the TCP state of single sockets, as `netstat` shows it, by their two addresses (`sock_diag(7)`).

use crate::linux::error::{KernelError, errno};
use crate::scenario::Errno;
use crate::trace::TcpState;
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::constants::{AF_INET, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{SOCK_DESTROY, SockDiagMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use std::net::{IpAddr, SocketAddrV4};

/// The key of a socket in the kernel's tables: its own address and its peer's.
pub(crate) type Pair = (SocketAddrV4, SocketAddrV4);

/// The kernel's number of a socket. It differs from that of any other socket that had the same addresses.
type Cookie = [u8; 8];
/// Matches any cookie (`INET_DIAG_NOCOOKIE`).
const ANY: Cookie = [0xff; 8];

/// What the kernel reports about one socket.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The number of its TCP state.
    number: u8,
    cookie: Cookie,
    /// Unread bytes; for a listener the length of its accept queue.
    recv_queue: u32,
    /// Unacknowledged bytes; for a listener the limit of its accept queue.
    send_queue: u32,
    /// 0 if no file refers to the socket.
    inode: u32,
}

impl Seen {
    const NOTHING: Seen = Seen { number: LISTENER, cookie: ANY, recv_queue: 0, send_queue: 0, inode: 0 };

    /// Whether the socket is gone or has been closed by its process. One that waits to be accepted has no inode, but is open.
    const fn is_closed(&self) -> bool {
        let is_open = matches!(self.number, ESTABLISHED | SYN_RECV | NEW_SYN_RECV | CLOSE_WAIT);
        matches!(self.number, LISTENER | LEAVING) || (self.inode == 0 && !is_open)
    }
}

/// What a look-up shows of one socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked {
    /// CLOSE if the socket is in no table.
    pub(crate) state: TcpState,
    /// Unread bytes, urgent ones included. Means nothing if the socket is in no table.
    pub(crate) unread: u32,
    /// Bytes that have been written to the socket and not been acknowledged. Means nothing if the socket is in no table.
    pub(crate) unacknowledged: u32,
    /// Whether its process has closed it.
    pub(crate) closed: bool,
}

/// The number of requests in one datagram. Their replies fit into a receive buffer of the default size with room to spare.
const BATCH: usize = 64;

/// A view of the kernel's socket tables, in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct SockDiag {
    socket: Socket,
    requests: Vec<u8>,
    reply: Vec<u8>,
    /// The sequence number of the last request.
    asked: u32,
    /// The sequence number of the request whose reply comes next.
    expected: u32,
}

pub(crate) const DOING: &str = "read the states of TCP sockets";

/// `TCP_LISTEN`: a look-up returns the listener if the connection itself is gone.
const LISTENER: u8 = 10;
/// `TCP_CLOSE`: the socket was found, but left the tables before its state was read. No socket in the tables has this state.
const LEAVING: u8 = 7;
/// States in which a socket has not been closed by its process, which may not have accepted it yet.
const ESTABLISHED: u8 = 1;
const SYN_RECV: u8 = 3;
const NEW_SYN_RECV: u8 = 12;
const CLOSE_WAIT: u8 = 8;
/// States in which a socket can outlive its process.
const FIN_WAIT_2: u8 = 5;
const TIME_WAIT: u8 = 6;
/// How many times a socket that is not found is looked up again.
///
/// The kernel's look-up takes no lock. A client's socket delays its acknowledgement of a FIN by 40 ms. When that timer fires, on any
/// core, the server-side socket is replaced by a small one in FIN_WAIT_2 or TIME_WAIT. A look-up at that moment finds the old socket
/// while it is being removed ([`LEAVING`]), or the new one before a reference to it may be taken (`inet_twsk_hashdance_schedule`), which
/// counts as not found. The interval is nanoseconds long; on a busy machine a look-up hit it once in some thousand scenarios. Without
/// another look-up the trace would show a false CLOSE.
const DOUBTS: u32 = 2;

impl SockDiag {
    pub(crate) fn open() -> Result<SockDiag, KernelError> {
        let socket = Socket::new(NETLINK_SOCK_DIAG).map_err(KernelError::io(DOING, "socket"))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(KernelError::io(DOING, "connect"))?;
        Ok(SockDiag { socket, requests: Vec::new(), reply: Vec::with_capacity(8192), asked: 0, expected: 1 })
    }

    /// Calls `found` for each of these sockets, in order.
    pub(crate) fn states(
        &mut self,
        mut pairs: impl ExactSizeIterator<Item = Pair>,
        mut found: impl FnMut(Looked),
    ) -> Result<(), KernelError> {
        while pairs.len() > 0 {
            let batch: Vec<Pair> = pairs.by_ref().take(BATCH).collect();
            for (pair, mut seen) in batch.iter().zip(self.ask(&batch)?) {
                // A look-up may miss a socket that exists, but never finds one that does not.
                let mut missed = 0;
                while seen.number == LEAVING || (seen.number == LISTENER && missed < DOUBTS) {
                    missed += u32::from(seen.number == LISTENER);
                    seen = self.ask_one(*pair)?;
                }
                found(Looked {
                    state: state(seen.number)?,
                    unread: seen.recv_queue,
                    unacknowledged: seen.send_queue,
                    closed: seen.is_closed(),
                });
            }
        }
        Ok(())
    }

    /// Looks these sockets up. For a socket that is in no table the result is its listener, or [`Seen::NOTHING`] without a listener.
    fn ask(&mut self, pairs: &[Pair]) -> Result<Vec<Seen>, KernelError> {
        self.begin();
        for pair in pairs {
            self.request(*pair, ANY, NLM_F_REQUEST, None);
        }
        self.send()?;
        let mut seen = Vec::with_capacity(pairs.len());
        for _ in pairs {
            seen.push(match self.receive()? {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    let header = response.header;
                    Seen {
                        number: header.state,
                        cookie: header.socket_id.cookie,
                        recv_queue: header.recv_queue,
                        send_queue: header.send_queue,
                        inode: header.inode,
                    }
                }
                NetlinkPayload::Error(e) if e.raw_code() == -Errno::ENOENT.raw() => Seen::NOTHING,
                other => return Err(refusal(&other)),
            });
        }
        Ok(seen)
    }

    /// Looks one socket up, as [`SockDiag::ask`] does.
    fn ask_one(&mut self, pair: Pair) -> Result<Seen, KernelError> {
        self.ask(&[pair])?.pop().ok_or(KernelError::Garbled { what: "sock_diag" })
    }

    /// The number of a connection's server-side socket (`SO_COOKIE`); `None` if there is no such socket.
    pub(crate) fn cookie(&mut self, pair: Pair) -> Result<Option<u64>, KernelError> {
        let seen = self.ask_one(pair)?;
        Ok((!matches!(seen.number, LISTENER | LEAVING)).then(|| u64::from_ne_bytes(seen.cookie)))
    }

    /// Whether this socket has been closed by its process: it is in no table, or its state says so and no file refers to it.
    pub(crate) fn is_closed(&mut self, pair: Pair) -> Result<bool, KernelError> {
        Ok(self.ask_one(pair)?.is_closed())
    }

    /// Whether this socket has left the tables, or is leaving them.
    pub(crate) fn is_gone(&mut self, pair: Pair) -> Result<bool, KernelError> {
        Ok(matches!(self.ask_one(pair)?.number, LISTENER | LEAVING))
    }

    /// Whether a connection's server-side socket has been accepted: it then has an inode. True if the socket has left the tables.
    pub(crate) fn is_accepted(&mut self, pair: Pair) -> Result<bool, KernelError> {
        let seen = self.ask_one(pair)?;
        Ok(seen.number == LISTENER || seen.inode != 0)
    }

    /// Whether the accept queue of the listener at this address is full: the next connection's SYN would be dropped
    /// (`sk_acceptq_is_full`). `None` if there is no listener.
    pub(crate) fn queue_is_full(&mut self, listener: SocketAddrV4) -> Result<Option<bool>, KernelError> {
        // No connection has this peer address, so the look-up finds the listener.
        let nobody = SocketAddrV4::new(std::net::Ipv4Addr::BROADCAST, 1);
        let seen = self.ask_one((listener, nobody))?;
        // For a listener the kernel reports the accept queue's length and limit as the lengths of the receive and send queues.
        Ok((seen.cookie != ANY).then_some(seen.recv_queue > seen.send_queue))
    }

    /// Destroys those of these sockets that are in TIME_WAIT, or in FIN_WAIT_2 and no longer held by a process (`SOCK_DESTROY`). A socket
    /// that a process still holds is left alone, because the process would see an error that no client caused. Returns false if this is
    /// not permitted: it needs CAP_NET_ADMIN and a kernel built with CONFIG_INET_DIAG_DESTROY.
    ///
    /// Each socket is looked up first and then destroyed by its cookie. Addresses alone would select the listener on the port, which may
    /// belong to any process, if the socket is gone.
    pub(crate) fn destroy(&mut self, pairs: &[Pair]) -> Result<bool, KernelError> {
        let mut there = Vec::new();
        for batch in pairs.chunks(BATCH) {
            // A socket that this look-up misses stays for up to a minute, which does no harm.
            let seen = batch.iter().zip(self.ask(batch)?);
            let is_left = |seen: &Seen| seen.number == TIME_WAIT || (seen.number == FIN_WAIT_2 && seen.inode == 0);
            there.extend(seen.filter(|(_, seen)| is_left(seen)).map(|(pair, seen)| (*pair, seen.cookie)));
        }
        self.destroy_by_cookie(&there)
    }

    /// Destroys this socket in any state. Returns false as [`SockDiag::destroy`] does.
    pub(crate) fn destroy_own(&mut self, pair: Pair) -> Result<bool, KernelError> {
        let cookie = self.ask_one(pair)?.cookie;
        self.destroy_by_cookie(&[(pair, cookie)])
    }

    fn destroy_by_cookie(&mut self, there: &[(Pair, Cookie)]) -> Result<bool, KernelError> {
        let mut allowed = true;
        for batch in there.chunks(BATCH) {
            self.begin();
            for (pair, cookie) in batch {
                self.request(*pair, *cookie, NLM_F_REQUEST | NLM_F_ACK, Some(SOCK_DESTROY));
            }
            self.send()?;
            for _ in batch {
                match self.receive()? {
                    // ENOENT, ESTALE: the socket has gone in the meantime.
                    NetlinkPayload::Error(e) => allowed &= matches!(-e.raw_code(), 0 | libc::ENOENT | libc::ESTALE),
                    other => return Err(refusal(&other)),
                }
            }
        }
        Ok(allowed)
    }

    /// Adds a request about one socket to the batch; `kind` replaces the message type.
    fn request(&mut self, (local, peer): Pair, cookie: Cookie, flags: u16, kind: Option<u16>) {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        self.asked = self.asked.wrapping_add(1);
        header.sequence_number = self.asked;
        let request = InetRequest {
            family: AF_INET,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id: SocketId {
                source_port: local.port(),
                destination_port: peer.port(),
                source_address: IpAddr::V4(*local.ip()),
                destination_address: IpAddr::V4(*peer.ip()),
                interface_id: 0,
                cookie,
            },
        };
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let start = self.requests.len();
        self.requests.resize(start + message.buffer_len(), 0);
        message.serialize(&mut self.requests[start..]);
        if let Some(kind) = kind {
            // The library always writes SOCK_DIAG_BY_FAMILY as the type, the two bytes after the length (`struct nlmsghdr`).
            self.requests[start + 4..start + 6].copy_from_slice(&kind.to_ne_bytes());
        }
    }

    /// Begins a batch of requests. Replies to an earlier, abandoned batch may still arrive; [`SockDiag::receive`] skips them.
    fn begin(&mut self) {
        self.requests.clear();
        self.expected = self.asked.wrapping_add(1);
    }

    fn send(&self) -> Result<(), KernelError> {
        self.socket.send(&self.requests, 0).map(drop).map_err(KernelError::io(DOING, "send"))
    }

    /// Receives the reply to the next request of the batch. Each request gets one reply, in the order of the requests.
    fn receive(&mut self) -> Result<NetlinkPayload<SockDiagMessage>, KernelError> {
        const GARBLED: KernelError = KernelError::Garbled { what: "sock_diag" };
        loop {
            self.reply.clear();
            while let Err(error) = self.socket.recv(&mut self.reply, 0) {
                if errno(&error) != Errno::EINTR {
                    return Err(KernelError::io(DOING, "recv")(error));
                }
            }
            let message = NetlinkMessage::deserialize(&self.reply).map_err(|_| GARBLED)?;
            let ahead = message.header.sequence_number.wrapping_sub(self.expected) as i32;
            match ahead {
                ..0 => {}
                0 => {
                    self.expected = self.expected.wrapping_add(1);
                    return Ok(message.payload);
                }
                _ => return Err(GARBLED),
            }
        }
    }
}

pub(crate) fn refusal(payload: &NetlinkPayload<SockDiagMessage>) -> KernelError {
    match payload {
        NetlinkPayload::Error(e) => KernelError::call(DOING, "sock_diag")(Errno::from_raw(-e.raw_code())),
        _ => KernelError::Garbled { what: "sock_diag" },
    }
}

/// The state with this number in the kernel's `tcp_states.h`. A listener gives CLOSE, because a look-up finds it if the connection is gone.
pub(crate) fn state(number: u8) -> Result<TcpState, KernelError> {
    Ok(match number {
        ESTABLISHED => TcpState::Established,
        2 => TcpState::SynSent,
        SYN_RECV | NEW_SYN_RECV => TcpState::SynRecv,
        4 => TcpState::FinWait1,
        FIN_WAIT_2 => TcpState::FinWait2,
        TIME_WAIT => TcpState::TimeWait,
        LISTENER => TcpState::Close,
        CLOSE_WAIT => TcpState::CloseWait,
        9 => TcpState::LastAck,
        11 => TcpState::Closing,
        _ => return Err(KernelError::Garbled { what: "the state of a TCP socket" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    /// A listener, and the pair by which it is found.
    fn listener() -> (TcpListener, Pair) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let nobody = SocketAddrV4::new(Ipv4Addr::BROADCAST, 1);
        (listener, (SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), nobody))
    }

    #[test]
    fn a_reply_to_a_request_that_was_given_up_is_not_taken_for_that_to_the_next() {
        let (_listener, pair) = listener();
        let gone = {
            let (_dropped, gone) = listener();
            gone
        };
        let mut sock_diag = SockDiag::open().unwrap();
        // The reply to this request is not read.
        sock_diag.begin();
        sock_diag.request(pair, ANY, NLM_F_REQUEST, None);
        sock_diag.send().unwrap();
        assert_eq!(sock_diag.queue_is_full(gone.0).unwrap(), None);
        assert_eq!(sock_diag.queue_is_full(pair.0).unwrap(), Some(false));
    }
}
