//! Lists all TCP sockets in the network namespace of the calling thread, as `netstat -t` shows them (`sock_diag(7)`).

use crate::linux::error::{KernelError, errno};
use crate::linux::net::sock_diag::{DOING, refusal, state};
use crate::scenario::Errno;
use crate::trace::TcpState;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use std::net::IpAddr;

/// A socket in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) state: TcpState,
    /// 0 if no descriptor refers to the socket: it is in an accept queue, or its process has closed it.
    pub(crate) inode: u32,
}

/// All listeners.
pub(crate) fn listeners() -> Result<Vec<Entry>, KernelError> {
    dump(StateFlags::LISTEN)
}

/// Sockets that are connecting, connected, or closed by one end only.
pub(crate) fn connected() -> Result<Vec<Entry>, KernelError> {
    dump(
        StateFlags::SYN_SENT
            | StateFlags::ESTABLISHED
            | StateFlags::FIN_WAIT1
            | StateFlags::FIN_WAIT2
            | StateFlags::CLOSE_WAIT,
    )
}

/// All sockets to which descriptors can refer.
pub(crate) fn sockets() -> Result<Vec<Entry>, KernelError> {
    dump(StateFlags::all())
}

fn dump(states: StateFlags) -> Result<Vec<Entry>, KernelError> {
    let socket = Socket::new(NETLINK_SOCK_DIAG).map_err(KernelError::io(DOING, "socket"))?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(KernelError::io(DOING, "connect"))?;
    let mut entries = Vec::new();
    for (sequence, family) in (1..).zip([AF_INET, AF_INET6]) {
        ask(&socket, family, sequence, states.clone())?;
        while receive(&socket, sequence, &mut entries)? {}
    }
    Ok(entries)
}

fn ask(socket: &Socket, family: u8, sequence: u32, states: StateFlags) -> Result<(), KernelError> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.sequence_number = sequence;
    let socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    let request = InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::empty(), states, socket_id };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0).map(drop).map_err(KernelError::io(DOING, "send"))
}

/// Receives one datagram of the reply to the request with this sequence number. Returns false if it was the last.
fn receive(socket: &Socket, sequence: u32, entries: &mut Vec<Entry>) -> Result<bool, KernelError> {
    const GARBLED: KernelError = KernelError::Garbled { what: "sock_diag" };
    let mut buffer = Vec::with_capacity(64 * 1024);
    while let Err(error) = socket.recv(&mut buffer, 0) {
        if errno(&error) != Errno::EINTR {
            return Err(KernelError::io(DOING, "recv")(error));
        }
    }
    let mut rest = &buffer[..];
    while !rest.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(|_| GARBLED)?;
        if message.header.sequence_number != sequence {
            return Err(GARBLED);
        }
        match &message.payload {
            NetlinkPayload::Done(_) => return Ok(false),
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                let header = &response.header;
                entries.push(Entry {
                    address: header.socket_id.source_address,
                    port: header.socket_id.source_port,
                    // `state` gives CLOSE for a listener, as the look-up of a single socket needs it.
                    state: if header.state == LISTEN { TcpState::Listen } else { state(header.state)? },
                    inode: header.inode,
                });
            }
            other => return Err(refusal(other)),
        }
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(true)
}

/// `TCP_LISTEN` of the kernel's `tcp_states.h`.
const LISTEN: u8 = 10;
