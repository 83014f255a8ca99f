//! Finds out which process listens, and on which addresses.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::linux::net::tables;
use std::net::SocketAddr;

impl Foreign {
    /// The process that serves connections. If several processes have the listener, it is the one with the highest pid, which was started
    /// last; if none has it, the main process. A shell that starts the server has the listener only if it was given as descriptor 3, and the
    /// server is started after the shell. Workers of a pool are started after their master.
    pub(crate) fn serving_process(&self) -> i32 {
        self.server.owners_of(self.listener).next_back().unwrap_or(self.main)
    }

    /// Whether any process of the server still has the listener that was found when the server started.
    pub(crate) fn has_listener(&self) -> bool {
        self.server.owner_of(self.listener).is_some()
    }

    /// The addresses of the server's other listeners, apart from the one that was found when the server started.
    pub(crate) fn other_listeners(&self) -> Result<Vec<SocketAddr>, KernelError> {
        let others = tables::listeners()?.into_iter().filter(|entry| entry.inode != self.listener);
        let own = others.filter(|entry| self.server.owner_of(entry.inode).is_some());
        Ok(own.map(|entry| SocketAddr::new(entry.address, entry.port)).collect())
    }
}
