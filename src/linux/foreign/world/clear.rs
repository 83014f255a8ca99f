//! Ends the connections that a scenario has left.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::scenario::Client;

impl Foreign {
    /// Resets and forgets every connection that is left, except that of the client `stays` if it is still open.
    pub(crate) fn clear(&mut self, stays: Option<Client>) -> Result<(), KernelError> {
        self.server.disturb();
        for mut connection in std::mem::take(&mut self.connections) {
            if connection.known && connection.client.socket.is_some() && Some(connection.client.name) == stays {
                self.connections.push(connection);
                continue;
            }
            connection.client.reappear(self.address)?;
            connection.client.close(true, self.address, &mut self.sock_diag)?;
            self.leftovers.add((self.address, connection.client.address), &mut self.sock_diag)?;
        }
        self.queue.clear();
        self.settle()?;
        if self.connections.is_empty() {
            self.history.rests(self.server.pids()?);
        }
        Ok(())
    }

    /// How many clients of the scenario are connected, those included that have vanished.
    pub(crate) fn held_clients(&self) -> usize {
        self.connections.iter().filter(|c| c.client.socket.is_some() && !c.client.name.is_own()).count()
    }

    /// Whether a client of the scenario has closed or reset its connection.
    pub(crate) fn has_left(&self) -> bool {
        self.connections.iter().any(|c| c.client.socket.is_none() && !c.client.name.is_own())
    }

    /// How many of the harness's own clients are connected.
    pub(crate) fn own_clients(&self) -> usize {
        self.connections.iter().filter(|c| c.client.socket.is_some() && c.client.name.is_own()).count()
    }

    /// Whether the server's resources are limited at the moment.
    pub(crate) fn is_limited(&self) -> bool {
        self.server.is_limited()
    }

    /// How many clients have vanished and are still connected.
    pub(crate) fn vanished(&self) -> usize {
        self.connections.iter().filter(|c| c.client.vanished && c.client.socket.is_some()).count()
    }

    /// Resets the connections of clients that have vanished, so that the server waits for no client.
    pub(crate) fn reset_vanished(&mut self) -> Result<(), KernelError> {
        let address = self.address;
        self.server.disturb();
        for connection in self.connections.iter_mut().filter(|c| c.client.vanished) {
            connection.client.reappear(address)?;
            connection.client.close(true, address, &mut self.sock_diag)?;
        }
        self.settle()
    }
}
