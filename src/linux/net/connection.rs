//! A connection as the harness knows it: its client, the state of the server's end, and what is under way.

use crate::linux::error::KernelError;
use crate::linux::net::client::ClientSocket;
use crate::linux::net::drain::Flight;
use crate::linux::sys;
use crate::scenario::{Action, Client, Errno};
use crate::trace::{Reason, Reply, TcpState, WINDOW};
use std::net::SocketAddrV4;
use std::os::fd::AsFd;

/// A connection as the harness knows it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: ClientSocket,
    /// Of the server-side socket, when last looked at.
    pub(crate) state: TcpState,
    /// Whether either end has done something since.
    pub(crate) touched: bool,
    /// What the client, and what the server, has in flight.
    from_client: Flight,
    pub(crate) from_server: Flight,
    /// Bytes that the server's end had received and the server not read, when last looked at. What was read cannot be told from the
    /// results of its calls: a recv passes over an urgent byte.
    unread: u32,
    /// Bytes that the server has sent and the client not read.
    pub(crate) to_client: u32,
    /// Whether the server has closed it.
    pub(crate) served: bool,
    /// Whether the name is no longer this client's.
    pub(crate) forgotten: bool,
}

impl Connection {
    /// Connects a client to the server.
    pub(crate) fn open(name: Client, server: SocketAddrV4) -> Result<Connection, KernelError> {
        // The queue was asked for room before.
        let client = ClientSocket::connect(name, server, None, true)?.ok_or(KernelError::Call {
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

    /// Whether the client is there, and can still be closed.
    pub(crate) fn is_open(&self) -> bool {
        self.client.socket.is_some() && !self.client.vanished
    }

    /// Whether both ends have let go of it.
    pub(crate) fn is_over(&self) -> bool {
        self.client.socket.is_none() && self.served
    }

    /// What the client's action gives; one that it cannot do does nothing.
    pub(crate) fn act(&mut self, action: &Action, server: SocketAddrV4) -> Result<Reply, KernelError> {
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
                self.to_client = 0;
                self.client.close(*action == Action::Rst)
            }
            Action::Vanish => self.client.vanish(server),
            Action::Stall => {
                self.client.stalled = true;
                Ok(Reply::Ok(0))
            }
            Action::Connect => Ok(Reply::Nothing(Reason::AlreadyConnected)),
        }
    }

    /// Takes note of a state that the kernel has shown, and of the bytes that the server has not read.
    ///
    /// A FIN that reached a client's kernel counts as acknowledged. The acknowledgement itself may be put off for 40 ms (RFC 9293,
    /// section 3.8.6.3; `tcp_send_delayed_ack`), and a client with unread data has no means to hurry it: FIN_WAIT_1 or
    /// FIN_WAIT_2 would be a matter of the clock. Nothing else depends on which it is: whatever the client sends next
    /// acknowledges the FIN as well.
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
