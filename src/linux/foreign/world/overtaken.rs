//! Requests that a timeout has overtaken: a server closes a connection because its client was silent for too long, although a request has
//! come meanwhile and the server was told of it. The client then gets an RST in place of an answer.
//!
//! A request may also come when the server has made up its mind already, and no server can help that (RFC 9112, section 9.5). So this counts
//! only if
//! - the request came, and only then did time pass, while the server was held;
//! - the thread that closes the connection was told in between, by `poll(2)` or the like, that there is something to read, and has made no other
//!   call on the socket since;
//! - the client has done nothing but connect, send and read, and the server-side socket goes from ESTABLISHED to CLOSE: it has sent an RST
//!   because of unread data (RFC 2525, section 2.17; `tcp_close`).
//!
//! The caller finds out whether it was the time, by the same scenario without it.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::linux::foreign::server::Passed;
use crate::scenario::Client;
use crate::trace::{Role, TcpState};

/// A request that was answered with an RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResetRequest {
    pub(crate) client: Client,
    /// How many bytes of the request had come.
    pub(crate) bytes: usize,
    /// The call that told the server of them.
    pub(crate) told_by: &'static str,
    /// The role of the process that has closed the connection.
    pub(crate) role: Role,
}

impl Foreign {
    /// Has the server's calls observed that tell it of what clients have sent. To be called when time has passed while the server was held.
    pub(super) fn note_overtaken(&mut self) {
        for connection in &self.connections {
            let client = &connection.client;
            let is_polite = client.socket.is_some() && !client.vanished && !client.stalled && !client.name.is_own();
            if let Some(cookie) = connection.cookie
                && is_polite
                && connection.unread.len().is_some_and(|len| len > 0)
            {
                self.server.told.entry(cookie).or_default();
            }
        }
    }

    /// Records a call on a connection whose request was overtaken, after the call.
    pub(super) fn note_reset_request(&mut self, passed: &Passed) -> Result<(), KernelError> {
        let Some(cookie) = passed.cookie.filter(|cookie| self.server.told.contains_key(cookie)) else { return Ok(()) };
        let closes = passed.name == "close";
        if !closes && !passed.class.reads() && !passed.class.sends() && passed.name != "shutdown" {
            return Ok(());
        }
        let told_by = self.server.told.remove(&cookie).and_then(|told| told.get(&passed.tid).copied());
        let Some(told_by) = told_by.filter(|_| closes && passed.state == Some(TcpState::Established)) else {
            return Ok(());
        };
        self.look()?;
        let connection = self.connections.iter().find(|c| c.cookie == Some(cookie) && c.state == TcpState::Close);
        if let Some(connection) = connection
            && let Some(bytes) = connection.unread.len().filter(|len| *len > 0)
        {
            let client = connection.client.name;
            let role = self.history.role(passed.pid, self.main);
            self.reset_requests.push(ResetRequest { client, bytes, told_by, role });
        }
        Ok(())
    }

    /// Whether the server has read everything that was sent in the run.
    pub(crate) fn has_read_everything(&self) -> bool {
        self.connections.iter().all(|connection| connection.unread.len() == Some(0))
    }

    /// The requests of the run that were answered with an RST.
    pub(crate) fn reset_requests(&mut self) -> Vec<ResetRequest> {
        std::mem::take(&mut self.reset_requests)
    }
}
