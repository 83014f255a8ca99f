//! What a server's call returns on a connection that was reset.
//!
//! The kernel keeps the error until a call returns it, and does not show which one it is. It follows from the state in which the RST arrived
//! (`tcp_reset`): EPIPE in CLOSE_WAIT, else ECONNRESET. And a call that reads returns an end of file in place of the error if the client's
//! FIN had arrived before (`SOCK_DONE`, `tcp_recvmsg_locked`).

use crate::scenario::Errno;
use crate::trace::TcpState;

/// What decides about the error, from the states of a server-side socket that were seen. While the server runs, they are seen before each
/// of its calls and after each event, so that no change is missed: a client's event sends a FIN or an RST, never both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// Whether the client's FIN has arrived.
    fin: bool,
    /// Whether the last state but CLOSE was CLOSE_WAIT.
    in_close_wait: bool,
}

impl Before {
    /// Takes note of a state.
    pub(super) fn saw(&mut self, state: TcpState) {
        if state != TcpState::Close {
            self.in_close_wait = state == TcpState::CloseWait;
        }
        let after_fin = [TcpState::CloseWait, TcpState::LastAck, TcpState::Closing, TcpState::TimeWait];
        self.fin |= after_fin.contains(&state);
    }

    /// The result of the next call that reads (`reads`) or sends data on a connection that was reset, if no call has returned the error yet.
    pub(super) const fn result(self, reads: bool) -> Result<u32, Errno> {
        match self {
            Before { fin: true, .. } if reads => Ok(0),
            Before { in_close_wait: true, .. } => Err(Errno::EPIPE),
            _ => Err(Errno::ECONNRESET),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TcpState::{Close, CloseWait, Established, FinWait2, LastAck};

    #[test]
    fn the_error_is_that_of_the_state_in_which_the_rst_arrived() {
        let after = |states: &[TcpState]| {
            let mut before = Before::default();
            states.iter().for_each(|state| before.saw(*state));
            [before.result(true), before.result(false)]
        };
        let reset = Err(Errno::ECONNRESET);
        assert_eq!(after(&[Established, Close]), [reset, reset]);
        assert_eq!(after(&[Established, FinWait2, Close]), [reset, reset]);
        assert_eq!(after(&[Established, CloseWait, Close, Close]), [Ok(0), Err(Errno::EPIPE)]);
        assert_eq!(after(&[CloseWait, LastAck, Close]), [Ok(0), reset]);
    }
}
