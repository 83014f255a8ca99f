//! States of a TCP connection.

use std::fmt;

/// States of a TCP connection (RFC 9293, section 3.3.2), under the names that `netstat` gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpState {
    /// Open both ways.
    Established,
    /// A SYN was sent.
    SynSent,
    /// A SYN was received.
    SynRecv,
    /// Its FIN was sent and not acknowledged.
    FinWait1,
    /// Its FIN was acknowledged.
    FinWait2,
    /// Both FINs done, its own first.
    TimeWait,
    /// Gone: no longer in the kernel's tables.
    Close,
    /// The peer's FIN came, its own is not sent.
    CloseWait,
    /// The peer's FIN came, then its own was sent.
    LastAck,
    /// A listener.
    Listen,
    /// Both FINs were sent, neither acknowledged.
    Closing,
}

impl TcpState {
    /// Its name, as `netstat` has it.
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
