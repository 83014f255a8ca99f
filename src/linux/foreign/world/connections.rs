//! The connections of the harness's clients, and their server sides.

use super::reset::Before;
use super::unread::Unread;
use super::{Connection, Foreign};
use crate::linux::error::KernelError;
use crate::linux::net::client::{ClientSocket, Listener};
use crate::linux::net::sock_diag::Looked;
use crate::scenario::{Client, Errno};
use crate::trace::{End, Reason, Reply, TcpState};

/// The receive buffer of a client that is going to stall, in bytes: the kernel's smallest, twice over.
const SMALL_BUFFER: usize = 4096;

impl Foreign {
    /// How many of the connections that the server has accepted have their server-side socket in CLOSE_WAIT.
    pub(crate) fn close_waits(&mut self) -> Result<usize, KernelError> {
        self.look()?;
        let mut count = 0;
        for connection in self.connections.iter().filter(|c| c.state == TcpState::CloseWait) {
            // The server cannot close a connection that still waits in the accept queue.
            count += usize::from(self.sock_diag.is_accepted((self.address, connection.client.address))?);
        }
        Ok(count)
    }

    /// The server's side of this client's connection. `None` if there is none, or if it has ended.
    pub(crate) fn server_side(&mut self, client: Client) -> Result<Option<Looked>, KernelError> {
        let Some(i) = self.connection(client) else { return Ok(None) };
        let pair = (self.address, self.connections[i].client.address);
        let mut side = None;
        self.sock_diag.states(std::iter::once(pair), |seen| side = Some(seen))?;
        Ok(side.filter(|side| side.state != TcpState::Close))
    }

    /// Whether the server has taken the connection of this client out of the accept queue.
    pub(crate) fn has_taken(&mut self, client: Client) -> Result<bool, KernelError> {
        let Some(i) = self.connection(client) else { return Ok(false) };
        if self.server.is_gated() {
            return Ok(!self.queue.contains(&i));
        }
        self.sock_diag.is_accepted((self.address, self.connections[i].client.address))
    }

    /// Reads everything that has arrived for a client. Returns the bytes, and what follows them.
    pub(crate) fn take(&mut self, client: Client) -> (Vec<u8>, End) {
        let mut bytes = Vec::new();
        let end = match self.connection(client).map(|c| &self.connections[c].client.socket) {
            Some(Some(socket)) => ClientSocket::take(socket, &mut bytes),
            _ => End::Error(Errno::ENOTCONN),
        };
        (bytes, end)
    }

    /// Reads for a client until nothing more comes by itself. Returns what follows then.
    pub(crate) fn drain(&mut self, client: Client) -> Result<End, KernelError> {
        let mut landed = false;
        loop {
            let (bytes, end) = self.take(client);
            if end != End::Open || (bytes.is_empty() && landed) {
                return Ok(end);
            }
            // The server may wait for an acknowledgement.
            landed = bytes.is_empty();
            if landed {
                self.lands()?;
            }
            self.server.disturb();
            self.settle()?;
        }
    }

    /// The index of the connection that this client's name means.
    pub(super) fn connection(&self, client: Client) -> Option<usize> {
        self.connections.iter().rposition(|c| c.known && c.client.name == client)
    }

    pub(super) fn connect(&mut self, client: Client) -> Result<Reply, KernelError> {
        if self.connection(client).is_some() {
            return Ok(Reply::Nothing(Reason::AlreadyConnected));
        }
        if self.sock_diag.queue_is_full(self.address)? == Some(true) {
            return Ok(Reply::Nothing(Reason::Full));
        }
        let small = self.stalling.contains(&client).then_some(SMALL_BUFFER);
        let client = match ClientSocket::connect(client, self.address, small, Listener::Foreign) {
            Ok(Some(client)) => client,
            Ok(None) => return Ok(Reply::Nothing(Reason::Full)),
            // The connect fails because of what the server did, for example if it no longer listens. This is no failure of the world.
            Err(KernelError::Call { call: "connect", errno, .. }) => return Ok(Reply::Error(errno)),
            Err(error) => return Err(error),
        };
        let cookie = self.sock_diag.cookie((self.address, client.address))?;
        if !client.name.is_own() {
            self.injection.expose(cookie);
        }
        self.queue.push_back(self.connections.len());
        self.connections.push(Connection {
            client,
            cookie,
            state: TcpState::Established,
            before: Before::default(),
            unread: Unread::default(),
            known: true,
        });
        Ok(Reply::Ok(0))
    }

    /// Updates the state of each server-side socket that was not yet in CLOSE.
    pub(super) fn look(&mut self) -> Result<(), KernelError> {
        let live: Vec<usize> =
            (0..self.connections.len()).filter(|i| self.connections[*i].state != TcpState::Close).collect();
        let pairs = live.iter().map(|i| (self.address, self.connections[*i].client.address)).collect::<Vec<_>>();
        let mut states = Vec::with_capacity(live.len());
        self.sock_diag.states(pairs.into_iter(), |looked| states.push(looked.state))?;
        for (i, state) in live.into_iter().zip(states) {
            self.connections[i].state = state;
            self.connections[i].before.saw(state);
        }
        Ok(())
    }

    /// Gives a client another name.
    pub(crate) fn rename(&mut self, client: Client, name: Client) {
        if let Some(i) = self.connection(client) {
            self.connections[i].client.name = name;
        }
    }
}
