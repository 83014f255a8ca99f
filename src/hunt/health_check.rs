//! The polite client: the health check. It sends what a well-behaved client sends, and checks whether the answer is full.

use crate::linux::KernelError;
use crate::linux::foreign::patience::Patience;
use crate::linux::foreign::world::Foreign;
use crate::protocol::{Answer, Exchange, Progress, Protocol};
use crate::scenario::{Action, Client, Event, MAX_SEND, Payload, Repeat, Scenario};
use crate::trace::{End, Reply};
use crate::world::World;
use std::time::Duration;

/// What a polite client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// A full answer.
    Full {
        /// Whether another request can be sent on the connection.
        open: bool,
    },
    /// The connection was refused.
    Refused,
    /// The connection ended before the answer was full. The text says how.
    CutOff(String),
    /// The answer did not become full within the bound. Holds the number of bytes that came.
    Silent(usize),
    /// The bytes that came are no answer, or the polite client's command failed. The text says how.
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

/// A polite client's connection. Its name is one that no scenario can use.
#[derive(Debug)]
pub(super) struct PoliteClient {
    name: Client,
    protocol: Protocol,
    received: Vec<u8>,
    /// How much of the first request it has sent already.
    begun: usize,
    /// What it has yet to say of a conversation that it has begun.
    left: Vec<Exchange>,
    /// How long the client waits for each answer at most.
    pub(super) bound: Duration,
}

impl PoliteClient {
    pub(super) const fn new(name: Client, protocol: Protocol, bound: Duration) -> PoliteClient {
        PoliteClient { name, protocol, received: Vec::new(), begun: 0, left: Vec::new(), bound }
    }

    /// Connects, and performs the protocol's opening exchanges.
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

    /// Sends the first half of a request on the open connection. [`PoliteClient::ask`] sends the rest. Returns false if there is no such half, or
    /// if it could not be sent.
    pub(super) fn begin(&mut self, world: &mut Foreign) -> Result<bool, KernelError> {
        let Some(first) = self.protocol.polite().first() else { return Ok(false) };
        let half = first.send.len() / 2;
        let Some(payload) = Payload::bytes(&first.send[..half]).filter(|_| half > 0) else { return Ok(false) };
        let sent = matches!(world.act(self.name, &Action::Send(payload))?, Reply::Ok(_));
        world.settle()?;
        self.begun = half;
        Ok(sent)
    }

    /// Holds the first half of a conversation on the open connection; of a single exchange nothing. [`PoliteClient::ask`] holds the rest.
    pub(super) fn converse(&mut self, world: &mut Foreign, conversation: &[Exchange]) -> Result<Answered, KernelError> {
        let (first, left) = conversation.split_at(conversation.len() / 2);
        self.left = left.to_vec();
        for exchange in first {
            let answered = self.says(world, exchange)?;
            if !answered.is_full() {
                return Ok(answered);
            }
        }
        Ok(Answered::Full { open: true })
    }

    /// Sends the request on the open connection, or what is left of one that was begun, and waits for the answer.
    pub(super) fn ask(&mut self, world: &mut Foreign) -> Result<Answered, KernelError> {
        let mut open = true;
        for exchange in self.protocol.polite() {
            match self.exchange(world, exchange)? {
                Answered::Full { open: still } => open &= still,
                other => return Ok(other),
            }
        }
        for exchange in std::mem::take(&mut self.left) {
            match self.says(world, &exchange)? {
                Answered::Full { open: still } => open &= still,
                other => return Ok(other),
            }
        }
        Ok(Answered::Full { open: open && self.protocol.keeps_alive() })
    }

    /// Says this on the open connection, and waits for the answer. What the server has said before is no answer; if nothing is said, it is.
    pub(super) fn says(&mut self, world: &mut Foreign, question: &Exchange) -> Result<Answered, KernelError> {
        if !question.send.is_empty() {
            drop(world.take(self.name));
            self.received.clear();
        }
        self.exchange(world, question)
    }

    fn exchange(&mut self, world: &mut Foreign, exchange: &Exchange) -> Result<Answered, KernelError> {
        let begun = std::mem::take(&mut self.begun);
        for piece in exchange.send[begun..].chunks(MAX_SEND) {
            let payload = Payload::bytes(piece).unwrap_or_else(|| unreachable!("a piece of {} bytes", piece.len()));
            if let Reply::Error(errno) = world.act(self.name, &Action::Send(payload))? {
                return Ok(Answered::CutOff(errno.to_string()));
            }
            world.settle()?;
        }
        let mut patience = Patience::new(&world.server);
        let mut is_all = false;
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
                // The client has read, so its receive window is open again and the server may send more.
                world.settle()?;
                is_all = false;
                continue;
            }
            if !is_all {
                world.arrives()?;
                is_all = true;
                continue;
            }
            if world.is_at_rest() || patience.is_up(&world.server, self.bound) {
                return Ok(Answered::Silent(self.received.len()));
            }
            world.idle(patience.next(&world.server, self.bound))?;
            is_all = false;
        }
    }

    /// Whether the connection is still open. The error says how it ended.
    pub(super) fn is_connected(&mut self, world: &mut Foreign) -> Result<(), String> {
        let (bytes, end) = world.take(self.name);
        self.received.extend(bytes);
        match end {
            End::Open => Ok(()),
            End::Eof => Err("end of file".to_owned()),
            End::Error(errno) => Err(errno.to_string()),
        }
    }

    /// Waits until the server has accepted the connection and, if `says`, has sent something. If the server sends its answer and closes at
    /// once, it has accepted the connection, and the end of file is the end of a full answer.
    pub(super) fn let_in(&mut self, world: &mut Foreign, says: bool) -> Result<Answered, KernelError> {
        let mut patience = Patience::new(&world.server);
        loop {
            let (bytes, end) = world.take(self.name);
            self.received.extend(bytes);
            // Only a process that has accepted a connection can close it with a FIN. A connection that is still in the accept queue is
            // reset when the listener is closed.
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
                End::Open => world.idle(patience.next(&world.server, self.bound))?,
            }
        }
    }

    /// Reads until nothing more comes by itself. Whether the client has ever received anything.
    pub(super) fn has_something(&mut self, world: &mut Foreign) -> Result<bool, KernelError> {
        let (bytes, _) = world.take(self.name);
        self.received.extend(bytes);
        world.settle()?;
        world.drain(self.name)?;
        Ok(!self.received.is_empty())
    }

    /// Keeps the connection, under another name.
    pub(super) fn stay(mut self, name: Client, world: &mut Foreign) -> PoliteClient {
        world.rename(self.name, name);
        self.name = name;
        self
    }

    /// Closes the connection.
    pub(super) fn leave(&mut self, world: &mut Foreign) -> Result<(), KernelError> {
        // A close with unread data would send an RST.
        drop(world.take(self.name));
        world.close(self.name)?;
        world.settle()?;
        world.forget(&[self.name])
    }
}

/// The scenario in which this number of clients, one after the other, do what polite clients of this protocol do.
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

/// The first of these bytes, in printable form.
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
