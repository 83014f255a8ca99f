//! The polite client: asks what a good client asks, and knows a full answer when it sees one.

use crate::linux::KernelError;
use crate::linux::foreign::patience::Patience;
use crate::linux::foreign::world::Foreign;
use crate::protocol::{Answer, Exchange, Progress, Protocol};
use crate::scenario::{Action, Client, Event, MAX_SEND, Payload, Repeat, Scenario};
use crate::trace::{End, Reply};
use crate::world::World;
use std::time::Duration;

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// A full answer.
    Full {
        /// Whether the connection can be asked again.
        open: bool,
    },
    /// The connection was refused.
    Refused,
    /// The connection ended before the answer was full, or there was none in it.
    CutOff(String),
    /// Nothing more came within the bound, of so many bytes that did.
    Silent(usize),
    /// What came is no answer.
    Wrong(String),
}

impl Answered {
    pub(super) const fn is_full(&self) -> bool {
        matches!(self, Answered::Full { .. })
    }
}

impl std::fmt::Display for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answered::Full { .. } => f.write_str("a full answer"),
            Answered::Refused => f.write_str("its connection was refused"),
            Answered::CutOff(how) => write!(f, "it was cut off ({how})"),
            Answered::Silent(0) => f.write_str("it got no answer"),
            Answered::Silent(bytes) => write!(f, "it got {bytes} bytes and then nothing more"),
            Answered::Wrong(what) => write!(f, "it got something else: {what}"),
        }
    }
}

/// A polite client's connection. It goes by a name that no scenario can use.
#[derive(Debug)]
pub(super) struct PoliteClient {
    name: Client,
    protocol: Protocol,
    received: Vec<u8>,
    /// For how long it waits for an answer, in all.
    pub(super) bound: Duration,
}

impl PoliteClient {
    pub(super) const fn new(name: Client, protocol: Protocol, bound: Duration) -> PoliteClient {
        PoliteClient { name, protocol, received: Vec::new(), bound }
    }

    /// Connects, and says what comes first.
    pub(super) fn connect(&mut self, world: &mut Foreign) -> Result<Answered, KernelError> {
        self.received.clear();
        if !matches!(world.act(self.name, &Action::Connect)?, Reply::Ok(_)) {
            return Ok(Answered::Refused);
        }
        world.settle()?;
        for exchange in self.protocol.opening() {
            let answered = self.exchange(world, exchange)?;
            if !answered.is_full() {
                return Ok(answered);
            }
        }
        Ok(Answered::Full { open: true })
    }

    /// Asks, on the connection that it has.
    pub(super) fn ask(&mut self, world: &mut Foreign) -> Result<Answered, KernelError> {
        let mut open = true;
        for exchange in self.protocol.polite() {
            match self.exchange(world, exchange)? {
                Answered::Full { open: still } => open &= still,
                other => return Ok(other),
            }
        }
        Ok(Answered::Full { open: open && self.protocol.keeps_alive() })
    }

    fn exchange(&mut self, world: &mut Foreign, exchange: &Exchange) -> Result<Answered, KernelError> {
        for piece in exchange.send.chunks(MAX_SEND) {
            let payload = Payload::bytes(piece).unwrap_or_else(|| unreachable!("a piece of {} bytes", piece.len()));
            if let Reply::Error(errno) = world.act(self.name, &Action::Send(payload))? {
                return Ok(Answered::CutOff(errno.to_string()));
            }
            world.settle()?;
        }
        let mut patience = Patience::new();
        loop {
            let (bytes, end) = world.take(self.name);
            let more = !bytes.is_empty();
            self.received.extend(bytes);
            match exchange.answer.check(&self.received, end == End::Eof) {
                Progress::Full(length) => {
                    let open = exchange.answer.keeps_open(&self.received[..length]) && end == End::Open;
                    self.received.drain(..length);
                    return Ok(Answered::Full { open });
                }
                Progress::Wrong if end == End::Eof => {
                    return Ok(Answered::CutOff(format!("end of file after {} bytes", self.received.len())));
                }
                Progress::Wrong => return Ok(Answered::Wrong(excerpt(&self.received))),
                Progress::More => {}
            }
            if let End::Error(errno) = end {
                return Ok(Answered::CutOff(errno.to_string()));
            }
            if more {
                // Its window is open again.
                world.settle()?;
                continue;
            }
            if world.is_at_rest() || patience.is_up(&world.server, self.bound) {
                return Ok(Answered::Silent(self.received.len()));
            }
            world.idle(patience.next(self.bound))?;
        }
    }

    /// Whether it still has its connection: nothing has ended it.
    pub(super) fn is_connected(&mut self, world: &mut Foreign) -> Result<(), String> {
        let (bytes, end) = world.take(self.name);
        self.received.extend(bytes);
        match end {
            End::Open => Ok(()),
            End::Eof => Err("end of file".to_owned()),
            End::Error(errno) => Err(errno.to_string()),
        }
    }

    /// Whether the server has taken the connection, and has said something on it if it is to. A server that tells everything and closes
    /// has taken it: the end of file that follows is the end of a full answer.
    pub(super) fn let_in(&mut self, world: &mut Foreign, says: bool) -> Result<Answered, KernelError> {
        let mut patience = Patience::new();
        loop {
            let (bytes, end) = world.take(self.name);
            self.received.extend(bytes);
            // Only who has accepted a connection can close it with a FIN: what still waits in the queue is reset with its listener.
            let taken = end == End::Eof || world.has_taken(self.name)?;
            if taken && (!says || !self.received.is_empty()) {
                return Ok(Answered::Full { open: end == End::Open });
            }
            match end {
                End::Error(errno) => return Ok(Answered::CutOff(errno.to_string())),
                End::Eof => return Ok(Answered::CutOff("end of file".to_owned())),
                End::Open if world.is_at_rest() || patience.is_up(&world.server, self.bound) => {
                    return Ok(Answered::Silent(0));
                }
                End::Open => world.idle(patience.next(self.bound))?,
            }
        }
    }

    /// Whether it was ever told anything.
    pub(super) fn has_something(&mut self, world: &mut Foreign) -> bool {
        let (bytes, _) = world.take(self.name);
        self.received.extend(bytes);
        !self.received.is_empty()
    }

    /// Stays connected, by another name.
    pub(super) fn stay(mut self, name: Client, world: &mut Foreign) -> PoliteClient {
        world.rename(self.name, name);
        self.name = name;
        self
    }

    /// Takes its leave.
    pub(super) fn leave(&mut self, world: &mut Foreign) -> Result<(), KernelError> {
        // A close with something unread would be a reset.
        drop(world.take(self.name));
        world.close(self.name)?;
        world.settle()?;
        world.forget(&[self.name])
    }
}

/// The scenario in which so many clients, one after the other, do what polite clients of this protocol do.
pub(super) fn as_scenario(protocol: Protocol, clients: usize) -> Scenario {
    let client = |action| Event::Client(Client::nth(0), action);
    let mut events = vec![client(Action::Connect)];
    for exchange in protocol.opening().iter().chain(protocol.polite()) {
        let payloads = exchange.send.chunks(MAX_SEND).filter_map(Payload::bytes);
        events.extend(payloads.map(|payload| client(Action::Send(payload))));
        events.extend((exchange.answer != Answer::Nothing).then(|| client(Action::Recv)));
    }
    events.push(client(Action::Close));
    match Repeat::new(clients, &events) {
        Some(repeat) => Scenario::from_valid(vec![Event::Repeat(repeat)]),
        None => Scenario::from_valid(events),
    }
}

/// The beginning of some bytes, printable.
fn excerpt(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    let text = bytes[..bytes.len().min(MOST)].escape_ascii().to_string();
    if bytes.len() > MOST { format!("\"{text}\"…") } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_polite_clients_do_is_a_scenario() {
        let text = |protocol, clients| as_scenario(protocol, clients).to_string();
        assert_eq!(text(Protocol::None, 1), "a connect; a close");
        assert_eq!(text(Protocol::Echo, 1), r#"a connect; a send "brokenpipe\n"; a recv; a close"#);
        assert_eq!(text(Protocol::None, 3), "repeat 3 { a connect; a close }");
        assert_eq!(text(Protocol::Smtp, 1).matches("a recv").count(), 3);
        for protocol in Protocol::ALL {
            let scenario = as_scenario(protocol, 2);
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
    }
}
