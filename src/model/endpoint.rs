//! One end of a connection, by the book.
//!
//! The rules are those of the kernel's `tcp_reset`, `tcp_fin`, `tcp_recvmsg_locked`, `tcp_sendmsg_locked`, `inet_shutdown` and
//! `__tcp_close`, over a loopback on which every segment arrives before the call that sent it returns.

use super::seeded_defects::{Plant, planted};
use crate::scenario::Errno;
use crate::trace::TcpState;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// The state that `netstat` shows. A socket whose connection went on to TIME_WAIT is itself in CLOSE, and acts so.
    pub(super) state: TcpState,
    /// Bytes received and not read: all of them, or those before an urgent byte. For a deaf end, bytes that will never be received.
    unread: u32,
    /// Bytes from an urgent one on, itself included; 0 if none was received that was not passed over (`urg_data`, `urg_seq`).
    urgent: u32,
    /// `sk_err`: reported once, by whichever call consults it first.
    error: Option<Errno>,
    /// Whether the peer's FIN has come (`SOCK_DONE`).
    fin_seen: bool,
    /// Whether a process still has a descriptor of it.
    pub(super) open: bool,
    /// Whether it drops all that comes and sends nothing.
    pub(super) deaf: bool,
}

/// What a call leaves for the other end.
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

    /// Whether data can still be sent: its own FIN is not out, and no RST has come.
    pub(super) const fn may_send(&self) -> bool {
        matches!(self.state, TcpState::Established | TcpState::CloseWait)
    }

    /// `send`: an end that cannot send reports its error, once, and EPIPE from then on (`sk_stream_error`).
    pub(super) fn send(&mut self, n: u32) -> Result<Segment, Errno> {
        match self.may_send() {
            true if n == 0 => Ok(Segment::None),
            true => Ok(Segment::Data(n)),
            false if planted(Plant::ErrorNotOneShot) => Err(self.error.unwrap_or(Errno::EPIPE)),
            false => Err(self.error.take().unwrap_or(Errno::EPIPE)),
        }
    }

    /// Bytes received and not read, an urgent one too.
    pub(super) const fn unread(&self) -> u32 {
        self.unread + self.urgent
    }

    /// Whether `recv` would not block. An urgent byte that is next is nothing to read (`tcp_poll`).
    pub(super) fn readable(&self) -> bool {
        self.unread > 0
            || self.urgent > u32::from(!planted(Plant::UrgentIsReadable))
            || self.fin_seen
            || self.error.is_some()
            || matches!(self.state, TcpState::Close | TcpState::TimeWait)
    }

    /// `recv` of one that is readable. In this order: data; a FIN was seen; the error; nothing will ever come. It stops before an
    /// urgent byte, and passes over one that is next.
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

    /// `shutdown(SHUT_WR)`. It does not consult the error.
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

    /// `close`: an RST if something was unread or if `abort`ing, else a FIN, if there is a connection to end.
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

    /// What happens to a connection that nobody has accepted when its listener closes (`inet_csk_listen_stop`).
    pub(super) fn abort(&mut self) -> Segment {
        self.open = false;
        let live = !matches!(self.state, TcpState::Close | TcpState::TimeWait);
        self.state = TcpState::Close;
        if live { Segment::Rst } else { Segment::None }
    }

    /// What arrives, and what goes back: an RST for data that nobody can ever read, nothing else.
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

    /// `tcp_check_urg`. There is one urgent byte at most, the last. The one before it is data like any other from then on; but if it
    /// would have been next to be read, it is gone for good.
    fn mark(&mut self) {
        let gone = self.unread == 0 && !planted(Plant::UrgentTwiceKeepsBoth);
        self.unread += if gone { self.urgent.saturating_sub(1) } else { self.urgent };
        self.urgent = 1;
    }

    /// `tcp_reset`.
    fn reset(&mut self) {
        match self.state {
            // A TIME_WAIT goes (RFC 1337 is not followed by default), and what is left of the socket notices nothing.
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

    /// The peer acknowledged all that was sent, a FIN too.
    pub(super) fn acknowledged(&mut self) {
        self.state = match self.state {
            TcpState::FinWait1 => TcpState::FinWait2,
            TcpState::LastAck => TcpState::Close,
            state => state,
        };
    }
}
