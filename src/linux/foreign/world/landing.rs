//! Whether TCP still has something to deliver.
//!
//! On loopback what is sent has arrived when the call has returned, with two exceptions. On a busy machine the kernel may leave the delivery
//! to a thread of its own. And a server's socket may hold back a short segment until what it has sent before is acknowledged (Nagle's
//! algorithm), which the client's kernel may put off for 40 ms.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::linux::net::sock_diag::Looked;
use crate::linux::sys;
use crate::trace::TcpState;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a delivery is waited for: what an acknowledgement may be put off by, several times over.
const BOUND: Duration = Duration::from_millis(200);
/// The same if the window may have been full: the first probe comes after 200 ms, the second 400 ms later.
const PROBED: Duration = Duration::from_secs(1);
/// Interval between checks. The kernel reports no event for this.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

impl Foreign {
    /// Waits until everything has been delivered that the clients and the server have sent, as far as the receiver has room for it, at most
    /// for [`BOUND`].
    pub(super) fn lands(&mut self) -> Result<(), KernelError> {
        self.lands_within(BOUND)
    }

    /// The same for what TCP itself may wait with: a sender that has met a full window asks for room after a timeout of its own, if it was not
    /// told of it (RFC 9293, section 3.8.6.1).
    pub(crate) fn arrives(&mut self) -> Result<(), KernelError> {
        self.lands_within(PROBED)
    }

    fn lands_within(&mut self, bound: Duration) -> Result<(), KernelError> {
        let start = Instant::now();
        loop {
            for connection in &self.connections {
                connection.client.acknowledge();
            }
            if !self.is_on_its_way()? || start.elapsed() >= bound {
                return Ok(());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn is_on_its_way(&mut self) -> Result<bool, KernelError> {
        let live = self.connections.iter().filter(|c| c.state != TcpState::Close && !c.client.vanished);
        let live: Vec<_> =
            live.filter_map(|c| Some((c.client.socket.as_ref()?, c.client.address, c.client.stalled))).collect();
        let pairs: Vec<_> = live.iter().map(|(_, address, _)| (self.address, *address)).collect();
        let mut looked = Vec::with_capacity(pairs.len());
        self.sock_diag.states(pairs.into_iter(), |seen| looked.push(seen))?;
        Ok(live.iter().zip(looked).any(|((client, _, stalled), server)| {
            let client = client.as_fd();
            // Errors mean that the connection has ended. What has arrived and was not read closes the window, sooner or later.
            let sent = sys::unacknowledged(client).unwrap_or(0) as u32;
            let arrived = sys::process::unread(client).unwrap_or(0);
            is_on_its_way(sent, arrived, *stalled, &server)
        }))
    }
}

/// Whether bytes are on their way between a client that has `sent` bytes that are not acknowledged, and in whose socket there are `arrived`
/// bytes, and the server's socket.
fn is_on_its_way(sent: u32, arrived: u32, stalled: bool, server: &Looked) -> bool {
    if server.state == TcpState::Close {
        return false;
    }
    // A FIN counts as a byte. If all that was sent before it has arrived, the acknowledgement of both is put off.
    let closes = matches!(server.state, TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck);
    let is_acknowledged_late = closes && server.unacknowledged <= arrived + 1;
    (sent > 0 && server.unread == 0)
        || (server.unacknowledged > 0 && ((arrived == 0 && !stalled) || is_acknowledged_late))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_receiver_has_no_room_for_is_not_on_its_way() {
        let server =
            |unread, unacknowledged| Looked { state: TcpState::Established, unread, unacknowledged, closed: false };
        assert!(is_on_its_way(5, 0, false, &server(0, 0)));
        assert!(!is_on_its_way(5, 0, false, &server(5, 0)));
        assert!(is_on_its_way(0, 0, false, &server(0, 5)));
        assert!(!is_on_its_way(0, 5, false, &server(0, 5)) && !is_on_its_way(0, 0, true, &server(0, 5)));
        let closing = |unacknowledged| Looked { state: TcpState::FinWait1, ..server(0, unacknowledged) };
        assert!(is_on_its_way(0, 4, false, &closing(5)) && is_on_its_way(0, 4, true, &closing(1)));
        assert!(!is_on_its_way(0, 4, true, &closing(6)) && !is_on_its_way(0, 4, true, &closing(0)));
        let gone = Looked { state: TcpState::Close, ..server(0, 5) };
        assert!(!is_on_its_way(5, 0, false, &gone));
    }
}
