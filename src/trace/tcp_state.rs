//! States of a TCP connection.

use std::fmt;

/// States of a TCP connection (RFC 9293, section 3.3.2), with names in the style of `netstat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpState {
    /// Open both ways.
    Established,
    /// A SYN was sent.
    SynSent,
    /// A SYN was received.
    SynRecv,
    /// This end has sent its FIN, which is not acknowledged.
    FinWait1,
    /// This end's FIN was acknowledged.
    FinWait2,
    /// Both ends have sent a FIN, this end first.
    TimeWait,
    /// The connection is over: it is no longer in the kernel's tables.
    Close,
    /// The peer's FIN has arrived; this end has not sent its own.
    CloseWait,
    /// The peer's FIN has arrived, then this end has sent its own.
    LastAck,
    /// A listener.
    Listen,
    /// Both ends have sent a FIN, and neither FIN is acknowledged.
    Closing,
}

impl TcpState {
    /// The state's name, in the style of `netstat`.
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::Established => "ESTABLISHED",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::FinWait1 => "FIN_WAIT_1",
            TcpState::FinWait2 => "FIN_WAIT_2",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::Listen => "LISTEN",
            TcpState::Closing => "CLOSING",
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
