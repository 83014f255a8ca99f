//! What `netstat` would show: the TCP state of one socket, by its two addresses (`sock_diag(7)`).

use crate::linux::error::{KernelError, errno};
use crate::scenario::Errno;
use crate::trace::TcpState;
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::constants::{AF_INET, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{SOCK_DESTROY, SockDiagMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use std::net::{IpAddr, SocketAddrV4};

/// A socket as the kernel's tables have it: its own address, and the other end's.
pub(crate) type Pair = (SocketAddrV4, SocketAddrV4);

/// What tells a socket from any other that ever had its addresses.
type Cookie = [u8; 8];
/// Stands for any cookie (`INET_DIAG_NOCOOKIE`).
const ANY: Cookie = [0xff; 8];

/// What the kernel has to say of one socket: the number of its state, what tells it from others, and its unread bytes, which for a
/// listener are those who wait.
#[derive(Clone, Copy, Debug)]
struct Seen {
    number: u8,
    cookie: Cookie,
    unread: u32,
    /// Room for more to send; for a listener the most that may wait.
    room: u32,
    /// 0 for one that no descriptor leads to.
    inode: u32,
}

impl Seen {
    const NOTHING: Seen = Seen { number: LISTENER, cookie: ANY, unread: 0, room: 0, inode: 0 };
}

/// Requests put into one datagram: their replies fit into a receive buffer of the default size with room to spare.
const BATCH: usize = 64;

/// A view of the kernel's socket tables, in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netstat {
    socket: Socket,
    requests: Vec<u8>,
    reply: Vec<u8>,
    /// The number of the last request that was made.
    asked: u32,
    /// That of the request whose reply is next.
    expected: u32,
}

pub(crate) const DOING: &str = "read the states of TCP sockets";

/// The state of a listener, in the kernel's numbers: what a look-up falls back to when the connection itself is gone.
const LISTENER: u8 = 10;
/// The state of a socket that was found and had left the tables before it was read (`TCP_CLOSE`; none in the tables has it).
const LEAVING: u8 = 7;
/// States of sockets that outlive their process.
const FIN_WAIT_2: u8 = 5;
const TIME_WAIT: u8 = 6;
/// How often a socket that is not found is looked up again.
///
/// The kernel's look-up takes no lock. A client puts off its acknowledgement of a FIN for 40 ms; when that timer fires, on whichever
/// core, the server's socket is replaced by a small one, in FIN_WAIT_2 or TIME_WAIT. Whoever looks just then finds the old one on
/// its way out (`LEAVING`), or the new one before it may be held (`inet_twsk_hashdance_schedule`), which counts as not found. It is a
/// matter of nanoseconds, seen once in some thousand scenarios on a busy machine, and shows as a CLOSE that is none.
const DOUBTS: u32 = 2;

impl Netstat {
    pub(crate) fn open() -> Result<Netstat, KernelError> {
        let socket = Socket::new(NETLINK_SOCK_DIAG).map_err(KernelError::io(DOING, "socket"))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(KernelError::io(DOING, "connect"))?;
        Ok(Netstat { socket, requests: Vec::new(), reply: Vec::with_capacity(8192), asked: 0, expected: 1 })
    }

    /// The states of these sockets, in order, and how many bytes each has received that nobody has read, urgent ones too; CLOSE and
    /// none for one that is in no table.
    pub(crate) fn states(
        &mut self,
        mut pairs: impl ExactSizeIterator<Item = Pair>,
        mut found: impl FnMut(TcpState, u32),
    ) -> Result<(), KernelError> {
        while pairs.len() > 0 {
            let batch: Vec<Pair> = pairs.by_ref().take(BATCH).collect();
            for (pair, mut seen) in batch.iter().zip(self.ask(&batch)?) {
                // A look-up may miss what is there, but never finds what is not.
                let mut missed = 0;
                while seen.number == LEAVING || (seen.number == LISTENER && missed < DOUBTS) {
                    missed += u32::from(seen.number == LISTENER);
                    seen = self.ask_one(*pair)?;
                }
                found(state(seen.number)?, seen.unread);
            }
        }
        Ok(())
    }

    /// What the kernel has to say of these sockets, that of a listener for one that is in no table.
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
                        unread: header.recv_queue,
                        room: header.send_queue,
                        inode: header.inode,
                    }
                }
                NetlinkPayload::Error(e) if e.raw_code() == -Errno::ENOENT.raw() => Seen::NOTHING,
                other => return Err(refusal(&other)),
            });
        }
        Ok(seen)
    }

    /// What the kernel has to say of this socket.
    fn ask_one(&mut self, pair: Pair) -> Result<Seen, KernelError> {
        self.ask(&[pair])?.pop().ok_or(KernelError::Garbled { what: "sock_diag" })
    }

    /// The number of a connection's server-side socket (`SO_COOKIE`); `None` if there is none.
    pub(crate) fn cookie(&mut self, pair: Pair) -> Result<Option<u64>, KernelError> {
        let seen = self.ask_one(pair)?;
        Ok((!matches!(seen.number, LISTENER | LEAVING)).then(|| u64::from_ne_bytes(seen.cookie)))
    }

    /// Whether a connection's server-side socket has been accepted: it then has an inode. True for one that is gone from the tables.
    pub(crate) fn is_accepted(&mut self, pair: Pair) -> Result<bool, KernelError> {
        let seen = self.ask_one(pair)?;
        Ok(seen.number == LISTENER || seen.inode != 0)
    }

    /// Whether the accept queue of the listener at this address is full: the next connection's SYN would be dropped
    /// (`sk_acceptq_is_full`). `None` if nobody listens there.
    pub(crate) fn queue_is_full(&mut self, listener: SocketAddrV4) -> Result<Option<bool>, KernelError> {
        // No connection has this address, so what is found is the listener.
        let nobody = SocketAddrV4::new(std::net::Ipv4Addr::BROADCAST, 1);
        let seen = self.ask_one((listener, nobody))?;
        // Of a listener the two queues are that of accept and its limit.
        Ok((seen.cookie != ANY).then_some(seen.unread > seen.room))
    }

    /// Takes those of these sockets that are in TIME_WAIT out of the kernel's tables (`SOCK_DESTROY`), and those in FIN_WAIT_2 that no
    /// process has. One that a process still has is not touched: it would see an error that no client caused. False if that needs a
    /// privilege that this process does not have (CAP_NET_ADMIN) or a kernel built for it (CONFIG_INET_DIAG_DESTROY).
    ///
    /// Each is looked up first and then destroyed by its cookie: by its addresses alone, one that is gone would stand for the
    /// listener on its port, anybody's.
    pub(crate) fn destroy(&mut self, pairs: &[Pair]) -> Result<bool, KernelError> {
        let mut there = Vec::new();
        for batch in pairs.chunks(BATCH) {
            // One that is missed lives on for a minute, and that is all.
            let seen = batch.iter().zip(self.ask(batch)?);
            let is_left = |seen: &Seen| seen.number == TIME_WAIT || (seen.number == FIN_WAIT_2 && seen.inode == 0);
            there.extend(seen.filter(|(_, seen)| is_left(seen)).map(|(pair, seen)| (*pair, seen.cookie)));
        }
        self.destroy_by_cookie(&there)
    }

    /// Destroys this socket, in whatever state it is. False as of [`Netstat::destroy`].
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
                    // Gone in between is as good.
                    NetlinkPayload::Error(e) => allowed &= matches!(-e.raw_code(), 0 | libc::ENOENT | libc::ESTALE),
                    other => return Err(refusal(&other)),
                }
            }
        }
        Ok(allowed)
    }

    /// Adds a request about one socket; `kind` replaces the type of message.
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
            // The library knows the number but only writes SOCK_DIAG_BY_FAMILY; the type is the header's third field.
            self.requests[start + 4..start + 6].copy_from_slice(&kind.to_ne_bytes());
        }
    }

    /// Begins a batch of requests. Replies to an earlier one that was given up may still come.
    fn begin(&mut self) {
        self.requests.clear();
        self.expected = self.asked.wrapping_add(1);
    }

    fn send(&self) -> Result<(), KernelError> {
        self.socket.send(&self.requests, 0).map(drop).map_err(KernelError::io(DOING, "send"))
    }

    /// The reply to the next request of the batch: they are answered in their order, each once.
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

/// The state of this number in the kernel's `tcp_states.h`.
pub(crate) fn state(number: u8) -> Result<TcpState, KernelError> {
    Ok(match number {
        1 => TcpState::Established,
        2 => TcpState::SynSent,
        3 | 12 => TcpState::SynRecv,
        4 => TcpState::FinWait1,
        FIN_WAIT_2 => TcpState::FinWait2,
        TIME_WAIT => TcpState::TimeWait,
        LISTENER => TcpState::Close,
        8 => TcpState::CloseWait,
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
        let mut netstat = Netstat::open().unwrap();
        // A request whose reply nobody has read.
        netstat.begin();
        netstat.request(pair, ANY, NLM_F_REQUEST, None);
        netstat.send().unwrap();
        assert_eq!(netstat.queue_is_full(gone.0).unwrap(), None);
        assert_eq!(netstat.queue_is_full(pair.0).unwrap(), Some(false));
    }
}
