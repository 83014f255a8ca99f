//! What happened: the one type that both worlds produce, and that can be compared with `==`.

mod at;
mod role;

pub use at::At;
pub use role::Role;

use crate::scenario::{Call, Client, Errno};
use std::fmt;

/// What an event gave whoever did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The call succeeded with this value: bytes for a send, else 0. For an event of no client, the calls that it let the
    /// server make at once are in the step, and the value is 0.
    Ok(u32),
    /// All that a client's `recv` took, and how it ended.
    Received {
        /// Bytes taken.
        bytes: u32,
        /// What came after them.
        end: End,
    },
    /// The call failed.
    Error(Errno),
    /// The event did nothing, and why.
    Nothing(Reason),
}

/// What a client's `recv` met after the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Nothing yet: it would block.
    Open,
    /// The end of file.
    Eof,
    /// An error.
    Error(Errno),
}

/// Why an event did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client has not connected.
    NotConnected,
    /// The client has connected before.
    AlreadyConnected,
    /// The client has closed its socket.
    Closed,
    /// The client has vanished.
    Vanished,
    /// The client has stalled: it reads no more.
    Stalled,
    /// There is no room: the server has not read what is already under way, so that the send would not be taken whole
    /// ([`WINDOW`]); or as many connections as one scenario may have clients are there, and neither closed nor served to their ends.
    Full,
    /// The server is already held.
    AlreadyHeld,
    /// The server is not held.
    NotHeld,
    /// The server is held, and its call could not finish now.
    Blocked,
    /// It is for a server that is a process of its own, and this one is a program that is described.
    Program,
    /// The server's resources are limited already.
    AlreadyLimited,
    /// The server's resources are not limited.
    NotLimited,
    /// No process of the server has a handler for the signal.
    NoHandler,
    /// This process may not do that to the server.
    NotAllowed,
}

/// Most bytes that may be under way in one direction of a connection. A client's send beyond it does nothing, and a server's
/// waits until something was read: what a closed window does, at a size that does not depend on the kernel's buffers.
pub const WINDOW: u32 = 32 * 1024;

impl Reason {
    /// The words for it, as the JSON has them.
    pub const fn words(self) -> &'static str {
        match self {
            Reason::NotConnected => "not connected",
            Reason::AlreadyConnected => "already connected",
            Reason::Closed => "closed",
            Reason::Vanished => "vanished",
            Reason::Stalled => "stalled",
            Reason::Full => "full",
            Reason::AlreadyHeld => "already held",
            Reason::NotHeld => "not held",
            Reason::Blocked => "blocked",
            Reason::Program => "for no described program",
            Reason::AlreadyLimited => "already limited",
            Reason::NotLimited => "not limited",
            Reason::NoHandler => "no handler",
            Reason::NotAllowed => "not allowed",
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Ok(n) => write!(f, "{n}"),
            Reply::Received { bytes, end: End::Open } => write!(f, "{bytes}"),
            Reply::Received { bytes, end: End::Eof } => write!(f, "{bytes}, EOF"),
            Reply::Received { bytes, end: End::Error(e) } => write!(f, "{bytes}, {e}"),
            Reply::Error(e) => e.fmt(f),
            Reply::Nothing(reason) => write!(f, "nothing: {}", reason.words()),
        }
    }
}

/// A call that the server made, and its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Called {
    /// Which call.
    pub call: Call,
    /// The client of the connection that it was made on, or that was accepted; `None` for an accept that failed.
    pub client: Option<Client>,
    /// Bytes for `send` and `recv`, 0 for the others; or the error.
    pub result: Result<u32, Errno>,
    /// Whether it raised SIGPIPE, whatever the policy made of it.
    pub sigpipe: bool,
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)?;
        if let Some(client) = self.client {
            write!(f, " {client}")?;
        }
        match (self.call, self.result) {
            (_, Err(Errno::UNSEEN)) => {}
            (_, Err(errno)) => write!(f, " {errno}")?,
            (Call::Other(_), Ok(n)) if n > 0 => write!(f, " {n}")?,
            (Call::Send | Call::Recv, Ok(n)) => write!(f, " {n}")?,
            (_, Ok(_)) => {}
        }
        f.write_str(if self.sigpipe { " SIGPIPE" } else { "" })
    }
}

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

/// A signal by number, shown by its POSIX name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// SIGPIPE: a write on a pipe or socket that nobody reads.
    pub const SIGPIPE: Signal = Signal(libc::SIGPIPE);

    /// The signal of this number, as in `<signal.h>`.
    pub const fn from_raw(number: i32) -> Signal {
        Signal(number)
    }

    /// The number, as in `<signal.h>`.
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(signal) => f.pad(signal.as_str()),
            Err(_) => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a run ended for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was alive when everybody had gone.
    Survived(Survivor),
    /// A signal killed it.
    Killed {
        /// Which.
        signal: Signal,
        /// When.
        at: At,
    },
    /// It ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// When.
        at: At,
    },
    /// It ended, and it is not known how.
    Ended {
        /// When.
        at: At,
    },
    /// It went on with something that did not finish within its bound.
    Stuck {
        /// When.
        at: At,
    },
}

impl Outcome {
    /// The word for it, as the JSON and the cases have it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Outcome::Survived(_) => "survived",
            Outcome::Killed { .. } => "killed",
            Outcome::Exited { .. } => "exited",
            Outcome::Ended { .. } => "ended",
            Outcome::Stuck { .. } => "stuck",
        }
    }

    /// When the server ended, if it did.
    pub const fn at(&self) -> Option<At> {
        match self {
            Outcome::Survived(_) => None,
            Outcome::Killed { at, .. } | Outcome::Exited { at, .. } | Outcome::Ended { at } | Outcome::Stuck { at } => {
                Some(*at)
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Outcome::Survived(Survivor { waits_on: None, .. }) => return Ok(()),
            Outcome::Survived(Survivor { waits_on: Some(client), .. }) => return write!(f, " waiting on {client}"),
            Outcome::Killed { signal, .. } => write!(f, " by {signal}")?,
            Outcome::Exited { code, .. } => write!(f, " with {code}")?,
            Outcome::Ended { .. } | Outcome::Stuck { .. } => {}
        }
        self.at().map_or(Ok(()), |at| write!(f, " at {at}"))
    }
}

/// What a surviving server was like when everybody had gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Survivor {
    /// The client whose connection it still waits on; `None` if it is back at `accept`.
    pub waits_on: Option<Client>,
    /// Whether a SIGPIPE is pending on its thread, and would kill it if it were unblocked.
    pub pending: bool,
    /// What was left behind; `None` for a server that still waits on a client.
    pub hygiene: Option<Hygiene>,
}

/// What a server that is back at `accept` has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hygiene {
    /// Open descriptors beside the listener.
    pub descriptors: u32,
    /// Sockets of its own in CLOSE_WAIT.
    pub close_wait: u32,
    /// Whether a fresh client that connects, half-closes, reads and closes was accepted and served to its end.
    pub served: bool,
}

impl Hygiene {
    /// Nothing left behind.
    pub const CLEAN: Hygiene = Hygiene { descriptors: 0, close_wait: 0, served: true };
}

/// One step of a run: an event or a part of the teardown, and all that it brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'t> {
    /// Which event; of rounds that went the same, the first.
    pub at: At,
    /// How many rounds in a row, from this one on, went the same: 1 for a step outside a block.
    pub times: u16,
    /// What it gave.
    pub reply: Reply,
    /// The calls the server then made, in order.
    pub calls: &'t [Called],
    /// The TCP state of each server-side socket afterwards, in the order in which the clients connected.
    pub sockets: &'t [(Client, TcpState)],
}

/// What happened in a run, in order. It ends with the step at which the server ended.
///
/// Of the rounds of a block those in a row that went the same, all their steps and not only this one, are kept once, with their
/// number ([`Step::times`]): ten thousand equal rounds are as long as one. [`Trace::unfolded`] has each step that was made.
///
/// It is kept in three flat lists, so that a run over a used trace allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trace {
    steps: Vec<Record>,
    calls: Vec<Called>,
    sockets: Vec<(Client, TcpState)>,
    outcome: Outcome,
}

/// A place between two steps of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    steps: usize,
    calls: usize,
    sockets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record {
    at: At,
    times: u16,
    reply: Reply,
    /// Where the step's calls and sockets end in the flat lists; they begin where the step before ends.
    calls_end: usize,
    sockets_end: usize,
}

impl Default for Trace {
    fn default() -> Trace {
        let outcome = Outcome::Survived(Survivor::default());
        Trace { steps: Vec::new(), calls: Vec::new(), sockets: Vec::new(), outcome }
    }
}

impl Trace {
    /// The steps, in order.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = Step<'_>> + ExactSizeIterator {
        (0..self.steps.len()).map(|i| self.step(i))
    }

    /// Each step that was made, in order: those of rounds that went the same once for each of them.
    pub fn unfolded(&self) -> impl Iterator<Item = Step<'_>> {
        let (mut next, mut copy) = (0, 0);
        std::iter::from_fn(move || {
            let step = self.steps.get(next).map(|_| self.step(next))?;
            let At::Round { event, round, inner } = step.at else {
                next += 1;
                return Some(step);
            };
            let ends = |record: &Record| !matches!(record.at, At::Round { event: e, round: r, .. } if (e, r) == (event, round));
            next += 1;
            let last = self.steps.get(next).is_none_or(ends);
            let step = Step { at: At::Round { event, round: round + copy, inner }, times: 1, ..step };
            if last {
                copy += 1;
                if copy < self.steps[next - 1].times {
                    next -= inner as usize + 1;
                } else {
                    copy = 0;
                }
            }
            Some(step)
        })
    }

    fn step(&self, i: usize) -> Step<'_> {
        let (calls, sockets) = match i {
            0 => (0, 0),
            i => (self.steps[i - 1].calls_end, self.steps[i - 1].sockets_end),
        };
        let record = &self.steps[i];
        Step {
            at: record.at,
            times: record.times,
            reply: record.reply,
            calls: &self.calls[calls..record.calls_end],
            sockets: &self.sockets[sockets..record.sockets_end],
        }
    }

    /// The server's calls over all steps, in order; those of equal rounds once.
    pub fn calls(&self) -> &[Called] {
        &self.calls
    }

    /// How it ended.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Empties it and keeps what it has allocated.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.calls.clear();
        self.sockets.clear();
        self.outcome = Outcome::Survived(Survivor::default());
    }

    /// Adds a call to the step that is not finished yet.
    pub(crate) fn push_call(&mut self, called: Called) {
        self.calls.push(called);
    }

    /// Finishes a step; `sockets` adds the states.
    pub(crate) fn push_step<E>(
        &mut self,
        at: At,
        reply: Reply,
        sockets: impl FnOnce(&mut Vec<(Client, TcpState)>) -> Result<(), E>,
    ) -> Result<(), E> {
        sockets(&mut self.sockets)?;
        let (calls_end, sockets_end) = (self.calls.len(), self.sockets.len());
        self.steps.push(Record { at, times: 1, reply, calls_end, sockets_end });
        Ok(())
    }

    /// A place between steps.
    pub(crate) fn mark(&self) -> Mark {
        Mark { steps: self.steps.len(), calls: self.calls.len(), sockets: self.sockets.len() }
    }

    /// Takes note that a round has ended, which began at `start`. If it went as the one before it, which began at `last`, it is
    /// counted there and dropped. Gives the beginning of the round that is now the last.
    pub(crate) fn fold(&mut self, last: Option<Mark>, start: Mark) -> Mark {
        let Some(last) = last.filter(|last| self.equal(*last, start)) else {
            return start;
        };
        self.steps.truncate(start.steps);
        self.calls.truncate(start.calls);
        self.sockets.truncate(start.sockets);
        self.steps[last.steps..].iter_mut().for_each(|record| record.times += 1);
        last
    }

    /// Whether the round from `one` to `other` and that from there to the end went the same.
    fn equal(&self, one: Mark, other: Mark) -> bool {
        let ends = |record: &Record, from: Mark| (record.calls_end - from.calls, record.sockets_end - from.sockets);
        let (x, y) = (&self.steps[one.steps..other.steps], &self.steps[other.steps..]);
        let same = |(x, y): (&Record, &Record)| x.reply == y.reply && ends(x, one) == ends(y, other);
        x.len() == y.len()
            && x.iter().zip(y).all(same)
            && self.calls[one.calls..other.calls] == self.calls[other.calls..]
            && self.sockets[one.sockets..other.sockets] == self.sockets[other.sockets..]
    }

    pub(crate) fn finish(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

#[cfg(test)]
mod tests;
