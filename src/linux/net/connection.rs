//! A connection as the harness knows it: its client, the state of the server-side socket, and the data in transit.

use crate::linux::error::KernelError;
use crate::linux::net::client::{ClientSocket, Listener};
use crate::linux::net::close;
use crate::linux::net::drain::Flight;
use crate::linux::net::sock_diag::SockDiag;
use crate::linux::sys;
use crate::scenario::{Action, Client, Errno};
use crate::trace::{Reason, Reply, TcpState, WINDOW};
use std::net::SocketAddrV4;
use std::os::fd::AsFd;

/// A connection as the harness knows it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: ClientSocket,
    /// The state of the server-side socket when it was last read.
    pub(crate) state: TcpState,
    /// Whether either end has made a call on the connection since then.
    pub(crate) touched: bool,
    /// Segments in flight from the client, and from the server.
    from_client: Flight,
    pub(crate) from_server: Flight,
    /// Bytes that the server-side socket had received and the server had not read when the state was last read. They cannot be computed
    /// from the results of the server's calls, because a recv skips an urgent byte.
    unread: u32,
    /// Bytes that the server has sent and the client has not read.
    pub(crate) to_client: u32,
    /// Whether the server has closed its socket.
    pub(crate) served: bool,
    /// Whether the client's name has been released for a new client (`World::forget`).
    pub(crate) forgotten: bool,
}

impl Connection {
    /// Connects a client to the server.
    pub(crate) fn open(name: Client, server: SocketAddrV4) -> Result<Connection, KernelError> {
        // A full queue is not expected: the backlog has room for every client of a scenario and the probe.
        let client = ClientSocket::connect(name, server, None, Listener::Own)?.ok_or(KernelError::Call {
            doing: "connect a client",
            call: "connect to a listener whose queue is full",
            errno: Errno::EAGAIN,
        })?;
        Ok(Connection {
            client,
            state: TcpState::Established,
            touched: true,
            from_client: Flight::default(),
            from_server: Flight::default(),
            unread: 0,
            to_client: 0,
            served: false,
            forgotten: false,
        })
    }

    /// Whether the client has neither closed nor vanished.
    pub(crate) fn is_open(&self) -> bool {
        self.client.socket.is_some() && !self.client.vanished
    }

    /// Whether both ends have closed.
    pub(crate) fn is_over(&self) -> bool {
        self.client.socket.is_none() && self.served
    }

    /// Performs a client's action and returns its result. An action that the client cannot perform does nothing.
    ///
    /// `sock_diag` must be of the network of the connection.
    pub(crate) fn act(
        &mut self,
        action: &Action,
        server: SocketAddrV4,
        sock_diag: &mut SockDiag,
    ) -> Result<Reply, KernelError> {
        if *action == Action::Connect {
            return Ok(Reply::Nothing(Reason::AlreadyConnected));
        }
        let Some(socket) = &self.client.socket else {
            return Ok(Reply::Nothing(Reason::Closed));
        };
        if self.client.vanished {
            return Ok(Reply::Nothing(Reason::Vanished));
        }
        self.touched = true;
        if self.from_client.full() && matches!(action, Action::Send(_) | Action::Urgent | Action::Fin | Action::Close) {
            self.from_client.land(socket.as_fd())?;
        }
        match action {
            Action::Send(_) | Action::Urgent => {
                let len = if let Action::Send(payload) = action { payload.len() as u32 } else { 1 };
                if self.unread + len > WINDOW && may_send(socket)? {
                    return Ok(Reply::Nothing(Reason::Full));
                }
                let reply = match action {
                    Action::Send(payload) => ClientSocket::send(socket, payload),
                    _ => ClientSocket::urgent(socket),
                };
                if let Reply::Ok(n) = reply {
                    self.from_client.sent(n);
                }
                Ok(reply)
            }
            Action::Recv | Action::Stall if self.client.stalled => Ok(Reply::Nothing(Reason::Stalled)),
            Action::Recv => {
                let reply = ClientSocket::recv(socket);
                if let Reply::Received { bytes, .. } = reply {
                    self.to_client = self.to_client.saturating_sub(bytes);
                }
                Ok(reply)
            }
            Action::Fin => Ok(ClientSocket::fin(socket)),
            Action::Close | Action::Rst => {
                let abort = *action == Action::Rst;
                let resets = (abort || self.to_client > 0) && !self.client.is_in_close();
                self.to_client = 0;
                let reply = self.client.close(abort, server, sock_diag)?;
                if resets {
                    // The kernel takes a socket out of its tables before it sends the RST (`tcp_disconnect`, `__tcp_close`). The RST takes
                    // the server-side socket out of them.
                    close::wait_until_gone(sock_diag, (server, self.client.address))?;
                }
                Ok(reply)
            }
            Action::Vanish => self.client.vanish(server),
            Action::Stall => {
                self.client.stalled = true;
                Ok(Reply::Ok(0))
            }
            Action::Connect => Ok(Reply::Nothing(Reason::AlreadyConnected)),
        }
    }

    /// Records the state of the server-side socket as the kernel has reported it, and the bytes that the server has not read.
    ///
    /// FIN_WAIT_1 is recorded as FIN_WAIT_2, unless the client had vanished before: a FIN that has reached the client's socket counts as
    /// acknowledged. The kernel may delay the acknowledgement by 40 ms (RFC 9293, section 3.8.6.3; `tcp_send_delayed_ack`), and a client
    /// with unread data cannot hasten it, so which of the two states is seen would depend on timing. Nothing else depends on it, because
    /// the next segment from the client acknowledges the FIN as well.
    pub(crate) fn saw(&mut self, state: TcpState, unread: u32) {
        self.touched = false;
        self.unread = unread;
        let acknowledged = !self.client.vanished || self.state == TcpState::FinWait2;
        self.state = if state == TcpState::FinWait1 && acknowledged { TcpState::FinWait2 } else { state };
    }
}

fn may_send(socket: &socket2::Socket) -> Result<bool, KernelError> {
    sys::may_send(socket.as_fd()).map_err(KernelError::call("look at a client's socket", "getsockopt TCP_INFO"))
}
