//! One end of a connection, by TCP's rules.
//!
//! The rules are those of the kernel's `tcp_reset`, `tcp_fin`, `tcp_recvmsg_locked`, `tcp_sendmsg_locked`, `inet_shutdown` and
//! `__tcp_close`, over a loopback on which every segment arrives before the call that sent it returns.

use super::seeded_defects::{Plant, planted};
use crate::scenario::Errno;
use crate::trace::TcpState;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// The state that `netstat` shows. In TIME_WAIT the kernel has put a timewait socket in the place of the process's socket,
    /// which is itself in CLOSE and behaves so.
    pub(super) state: TcpState,
    /// Bytes received and not read, up to the urgent byte if there is one. For a deaf end also the bytes sent to it, which it
    /// never receives.
    unread: u32,
    /// Bytes from the urgent byte on, that byte included; 0 if none was received, or if `recv` has passed over it (`urg_data`,
    /// `urg_seq`).
    urgent: u32,
    /// `sk_err`: reported once, by the first call that consults it.
    error: Option<Errno>,
    /// Whether the peer's FIN has arrived (`SOCK_DONE`).
    fin_seen: bool,
    /// Whether the socket is in the accept queue or a process has a descriptor for it.
    pub(super) open: bool,
    /// Whether this end drops every segment that arrives and sends none (`vanish`).
    pub(super) deaf: bool,
}

/// A segment sent to the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    None,
    Data(u32),
    /// One byte, to which the urgent pointer points.
    Urgent,
    Fin,
    Rst,
}

impl Endpoint {
    pub(super) const OPEN: Endpoint = Endpoint {
        state: TcpState::Established,
        unread: 0,
        urgent: 0,
        error: None,
        fin_seen: false,
        open: true,
        deaf: false,
    };

    /// Whether the peer's FIN has arrived.
    pub(super) const fn fin_seen(&self) -> bool {
        self.fin_seen
    }

    /// Whether data can still be sent: this end has sent no FIN and received no RST.
    pub(super) const fn may_send(&self) -> bool {
        matches!(self.state, TcpState::Established | TcpState::CloseWait)
    }

    /// `send`. An end that can no longer send reports its pending error once, and EPIPE from then on (`sk_stream_error`).
    pub(super) fn send(&mut self, n: u32) -> Result<Segment, Errno> {
        match self.may_send() {
            true if n == 0 => Ok(Segment::None),
            true => Ok(Segment::Data(n)),
            false if planted(Plant::ErrorNotOneShot) => Err(self.error.unwrap_or(Errno::EPIPE)),
            false => Err(self.error.take().unwrap_or(Errno::EPIPE)),
        }
    }

    /// Bytes received and not read, an urgent byte included.
    pub(super) const fn unread(&self) -> u32 {
        self.unread + self.urgent
    }

    /// Whether `recv` would return at once. An urgent byte at the head of the queue does not by itself make the socket readable
    /// (`tcp_poll`).
    pub(super) fn readable(&self) -> bool {
        self.unread > 0
            || self.urgent > u32::from(!planted(Plant::UrgentIsReadable))
            || self.fin_seen
            || self.error.is_some()
            || matches!(self.state, TcpState::Close | TcpState::TimeWait)
    }

    /// `recv` on an end that is readable. It reports, in this order: data; end of file if a FIN was seen; the pending error; end
    /// of file because the connection is closed. It stops before an urgent byte, and passes over an urgent byte at the head of
    /// the queue.
    pub(super) fn recv(&mut self) -> Result<u32, Errno> {
        if self.unread == 0 || planted(Plant::UrgentStopsNobody) {
            self.unread += std::mem::take(&mut self.urgent).saturating_sub(1);
        }
        match std::mem::take(&mut self.unread) {
            0 if self.fin_seen && !planted(Plant::RecvConsumesErrorAfterFin) => Ok(0),
            0 => self.error.take().map_or(Ok(0), Err),
            n => Ok(n),
        }
    }

    /// `shutdown(SHUT_WR)`. It neither reports nor clears the pending error.
    pub(super) fn shutdown(&mut self) -> Result<Segment, Errno> {
        match self.state {
            TcpState::Close | TcpState::TimeWait => Err(Errno::ENOTCONN),
            _ => Ok(self.fin()),
        }
    }

    fn fin(&mut self) -> Segment {
        self.state = match self.state {
            TcpState::Established => TcpState::FinWait1,
            TcpState::CloseWait => TcpState::LastAck,
            _ => return Segment::None,
        };
        Segment::Fin
    }

    /// `close`, abortive if `abort` (`SO_LINGER` {1, 0}). It sends an RST if data is unread or on `abort`, else a FIN if none was
    /// sent yet, and nothing if the connection is over.
    pub(super) fn close(&mut self, abort: bool) -> Segment {
        self.open = false;
        let urgent_alone = self.unread() == 1 && self.urgent == 1;
        let unread = self.unread() > 0
            && !planted(Plant::UnreadDataIgnoredOnClose)
            && !(urgent_alone && planted(Plant::UrgentIgnoredOnClose));
        (self.unread, self.urgent) = (0, 0);
        match self.state {
            TcpState::Close | TcpState::TimeWait => Segment::None,
            _ if unread => self.abort(),
            TcpState::Established | TcpState::CloseWait | TcpState::FinWait1 | TcpState::FinWait2 if abort => {
                self.abort()
            }
            _ => self.fin(),
        }
    }

    /// Ends the connection and sends an RST if the connection is not over. The kernel does this to each connection in the accept
    /// queue when the listener closes (`inet_csk_listen_stop`).
    pub(super) fn abort(&mut self) -> Segment {
        self.open = false;
        let live = !matches!(self.state, TcpState::Close | TcpState::TimeWait);
        self.state = TcpState::Close;
        if live { Segment::Rst } else { Segment::None }
    }

    /// Processes a segment that arrives and returns the reply: an RST for data that arrives at a closed socket, else nothing.
    pub(super) fn receive(&mut self, segment: Segment) -> Segment {
        match segment {
            Segment::None => {}
            Segment::Data(n) if self.urgent > 0 && self.open => self.urgent += n,
            Segment::Data(n) if self.open || self.deaf => self.unread += n,
            Segment::Urgent if self.open => self.mark(),
            Segment::Data(_) | Segment::Urgent if planted(Plant::OrphanSwallowsData) => {}
            Segment::Data(_) | Segment::Urgent => return self.abort(),
            Segment::Fin if self.deaf => {}
            Segment::Fin => {
                self.fin_seen = true;
                self.state = match self.state {
                    TcpState::Established => TcpState::CloseWait,
                    TcpState::FinWait1 | TcpState::FinWait2 => TcpState::TimeWait,
                    state => state,
                };
            }
            Segment::Rst if self.deaf => {}
            Segment::Rst => self.reset(),
        }
        Segment::None
    }

    /// Receives an urgent byte (`tcp_check_urg`). Only the latest urgent byte is urgent: an earlier one becomes ordinary data, or
    /// is lost if it is at the head of the receive queue.
    fn mark(&mut self) {
        let gone = self.unread == 0 && !planted(Plant::UrgentTwiceKeepsBoth);
        self.unread += if gone { self.urgent.saturating_sub(1) } else { self.urgent };
        self.urgent = 1;
    }

    /// An RST arrives (`tcp_reset`).
    fn reset(&mut self) {
        match self.state {
            // The timewait socket is removed, because RFC 1337 is not followed by default; the process's socket does not notice.
            TcpState::Close | TcpState::TimeWait => {}
            TcpState::CloseWait if planted(Plant::CloseWaitResetIsEconnreset) => self.error = Some(Errno::ECONNRESET),
            TcpState::CloseWait => self.error = Some(Errno::EPIPE),
            TcpState::Established if planted(Plant::EstablishedResetIsEpipe) => self.error = Some(Errno::EPIPE),
            TcpState::FinWait2 if planted(Plant::FinWaitResetIsSilent) => {}
            _ => self.error = Some(Errno::ECONNRESET),
        }
        if planted(Plant::ResetDropsUnread) {
            (self.unread, self.urgent) = (0, 0);
        }
        self.state = TcpState::Close;
    }

    /// The peer has acknowledged everything that was sent, a FIN included.
    pub(super) fn acknowledged(&mut self) {
        self.state = match self.state {
            TcpState::FinWait1 => TcpState::FinWait2,
            TcpState::LastAck => TcpState::Close,
            state => state,
        };
    }
}
