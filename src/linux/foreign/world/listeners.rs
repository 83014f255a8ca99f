//! Which process listens, and on what.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::linux::net::tables;
use std::net::SocketAddr;

impl Foreign {
    /// The process that serves: of those that have the listener, the one that was started last. A shell that started the server has no
    /// listener, and where it has, as descriptor 3, the server came after it; a pool's workers come after their master.
    pub(crate) fn serving_process(&self) -> i32 {
        self.server.owners_of(self.listener).next_back().unwrap_or(self.main)
    }

    /// Whether any process of the server's has the listener still that was found when it started.
    pub(crate) fn has_listener(&self) -> bool {
        self.server.owner_of(self.listener).is_some()
    }

    /// Where the server listens beside the listener that was found when it started.
    pub(crate) fn other_listeners(&self) -> Result<Vec<SocketAddr>, KernelError> {
        let others = tables::listeners()?.into_iter().filter(|entry| entry.inode != self.listener);
        let own = others.filter(|entry| self.server.owner_of(entry.inode).is_some());
        Ok(own.map(|entry| SocketAddr::new(entry.address, entry.port)).collect())
    }
}
