//! The kernel by the book: a pure value that plays what TCP's rules say. No I/O, no clock, and no allocation in a step once
//! its lists have grown.

mod endpoint;
pub(crate) mod seeded_defects;

use crate::scenario::{Action, Call, Client, Errno, Fault, MAX_CLIENTS};
use crate::subject::{Machine, Policy, Setup, Want};
use crate::trace::{Called, End, Hygiene, Reason, Reply, Signal, Survivor, TcpState, WINDOW};
use crate::world::{Ending, Probe, Stepped, World, certain, probe, raises};
use endpoint::{Endpoint, Segment};
use seeded_defects::{Plant, planted};
use std::convert::Infallible;
use std::time::Duration;

/// The model world.
///
/// ```
/// use brokenpipe::{Model, Policy, Scenario, Setup, Trace, play};
///
/// let setup = Setup::new("greeter".parse()?, Policy::Default);
/// let scenario: Scenario = "a connect; b connect; b fin; b rst; a close".parse()?;
/// let mut trace = Trace::default();
/// play(&mut Model::default(), &setup, &scenario, &mut trace)?;
/// assert_eq!(trace.outcome().to_string(), "killed by SIGPIPE at 4");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model {
    setup: Setup,
    /// Whether a server of this setup serves a polite client.
    serves: Option<bool>,
    machine: Machine,
    /// Every connection, in the order of the connects, which is that of the accept queue.
    connections: Vec<Connection>,
    accepted: usize,
    /// Index of the connection that the server is at work on.
    current: Option<usize>,
    faults: Vec<Fault>,
    pending: bool,
    /// Whether any name has been forgotten.
    forgetful: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Connection {
    name: Client,
    client: Endpoint,
    server: Endpoint,
    /// Whether the client reads no more.
    stalled: bool,
    /// Whether the name is no longer this client's.
    forgotten: bool,
}

impl Connection {
    const fn new(name: Client) -> Connection {
        Connection { name, client: Endpoint::OPEN, server: Endpoint::OPEN, stalled: false, forgotten: false }
    }

    /// Whether the client is there, and can still be closed.
    const fn is_open(&self) -> bool {
        self.client.open && !self.client.deaf
    }

    /// Whether both ends have let go of it.
    const fn is_over(&self) -> bool {
        !self.client.open && !self.server.open
    }

    /// Carries what an end sent to the other end, and back what that answers.
    fn carry(from: &mut Endpoint, to: &mut Endpoint, segment: Segment) {
        if segment != Segment::None && !to.deaf {
            let back = to.receive(segment);
            from.acknowledged();
            from.receive(back);
        } else if to.deaf {
            to.receive(segment);
        }
    }

    fn tell_server(&mut self, segment: Segment) {
        Self::carry(&mut self.client, &mut self.server, segment);
    }

    fn tell_client(&mut self, segment: Segment) {
        Self::carry(&mut self.server, &mut self.client, segment);
    }

    fn act(&mut self, action: &Action) -> Reply {
        let sent = match action {
            Action::Connect => return Reply::Nothing(Reason::AlreadyConnected),
            _ if !self.client.open => return Reply::Nothing(Reason::Closed),
            _ if self.client.deaf => return Reply::Nothing(Reason::Vanished),
            Action::Send(_) | Action::Urgent => {
                let n = if let Action::Send(payload) = action { payload.len() as u32 } else { 1 };
                if self.client.may_send() && self.server.unread() + n > WINDOW {
                    return Reply::Nothing(Reason::Full);
                }
                let sent = self.client.send(n);
                let urgent = |segment| if *action == Action::Urgent { Segment::Urgent } else { segment };
                sent.map(|segment| (n, urgent(segment)))
            }
            Action::Recv | Action::Stall if self.stalled && !planted(Plant::StalledReads) => {
                return Reply::Nothing(Reason::Stalled);
            }
            Action::Recv => return recv_all(&mut self.client),
            Action::Fin => self.client.shutdown().map(|segment| (0, segment)),
            Action::Close => Ok((0, self.client.close(false))),
            Action::Rst => Ok((0, self.client.close(true))),
            Action::Vanish => {
                self.client.deaf = true;
                Ok((0, Segment::None))
            }
            Action::Stall => {
                self.stalled = true;
                Ok((0, Segment::None))
            }
        };
        match sent {
            Ok((n, segment)) => {
                self.tell_server(segment);
                Reply::Ok(n)
            }
            Err(errno) => Reply::Error(errno),
        }
    }
}

/// A client's `recv`, until it would block or meets the end.
fn recv_all(client: &mut Endpoint) -> Reply {
    let mut bytes = 0;
    loop {
        let end = match client.readable().then(|| client.recv()) {
            None => End::Open,
            Some(Ok(0)) => End::Eof,
            Some(Ok(n)) => {
                bytes += n;
                continue;
            }
            Some(Err(errno)) => End::Error(errno),
        };
        return Reply::Received { bytes, end };
    }
}

impl Model {
    fn reset(&mut self) {
        self.machine = Machine::default();
        self.connections.clear();
        self.accepted = 0;
        self.current = None;
        self.faults.clear();
        self.pending = false;
        self.forgetful = false;
    }

    /// The result of the server's pending call, or `None` if it cannot finish now.
    fn call(&mut self, want: Want) -> Option<Result<u32, Errno>> {
        if let Some(i) = self.faults.iter().position(|f| f.call() == want.call()) {
            return Some(Err(self.faults.remove(i).errno()));
        }
        if want == Want::Accept {
            let skip = |c: &&Connection| !(planted(Plant::AcceptSkipsReset) && c.server.state == TcpState::Close);
            let at = self.accepted + self.connections[self.accepted..].iter().position(|c| skip(&c))?;
            self.current = Some(at);
            self.accepted = at + 1;
            return Some(Ok(0));
        }
        let connection = &mut self.connections[self.current?];
        let (result, segment) = match want {
            Want::Send(n) if connection.server.may_send() && connection.client.unread() + n > WINDOW => return None,
            Want::Send(n) => match connection.server.send(n) {
                Ok(segment) => (Ok(n), segment),
                Err(errno) => (Err(errno), Segment::None),
            },
            Want::Recv if !connection.server.readable() => return None,
            Want::Recv => (connection.server.recv(), Segment::None),
            Want::Shutdown => match connection.server.shutdown() {
                Ok(segment) => (Ok(0), segment),
                Err(errno) => (Err(errno), Segment::None),
            },
            Want::Close | Want::Accept => (Ok(0), connection.server.close(false)),
        };
        connection.tell_client(segment);
        Some(result)
    }

    /// What the server's death does to its sockets: as if it had closed all of them.
    fn die(&mut self) {
        for (i, connection) in self.connections.iter_mut().enumerate() {
            let segment = match connection.server.open {
                true if i >= self.accepted => connection.server.abort(),
                true => connection.server.close(false),
                false => Segment::None,
            };
            connection.tell_client(segment);
        }
    }

    /// Whether there is no room for one more connection; there is always for the probe.
    fn is_full(&self, client: Client) -> bool {
        let many = client != Client::PROBE && self.connections.len() >= MAX_CLIENTS;
        many && self.connections.iter().filter(|c| !c.is_over()).count() >= MAX_CLIENTS
    }

    /// Drops what is over and no longer known by name.
    fn sweep(&mut self) {
        let gone = |c: &Connection| c.forgotten && c.is_over();
        let before = |end: usize| self.connections[..end].iter().filter(|c| gone(c)).count();
        // The server has closed what goes, and so accepted it and is not at work on it.
        let (accepted, current) = (self.accepted - before(self.accepted), self.current.map(|i| i - before(i)));
        self.connections.retain(|c| !gone(c));
        (self.accepted, self.current) = (accepted, current);
    }

    /// Whether a server of this setup serves a polite client: one that shuts down and then sends does not, under `default`.
    pub(crate) fn serves(setup: &Setup) -> bool {
        let mut model = Model { setup: setup.clone(), ..Model::default() };
        let probe: Probe = certain(probe(&mut model, Client::PROBE));
        probe.served()
    }
}

impl World for Model {
    type Error = Infallible;
    type Setup = Setup;

    fn start(&mut self, setup: &Setup) -> Result<(), Infallible> {
        self.reset();
        if self.setup != *setup || self.serves.is_none() {
            self.setup = setup.clone();
            self.serves = Some(Model::serves(setup));
        }
        Ok(())
    }

    fn act(&mut self, client: Client, action: &Action) -> Result<Reply, Infallible> {
        if let Some(connection) = self.connections.iter_mut().find(|c| c.name == client && !c.forgotten) {
            return Ok(connection.act(action));
        }
        Ok(match action {
            Action::Connect if self.is_full(client) => Reply::Nothing(Reason::Full),
            Action::Connect => {
                self.connections.push(Connection::new(client));
                Reply::Ok(0)
            }
            _ => Reply::Nothing(Reason::NotConnected),
        })
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Nothing that is modelled here has a timer.
    fn wait(&mut self, _: Duration) -> Result<(), Infallible> {
        Ok(())
    }

    fn forget(&mut self, clients: &[Client]) -> Result<(), Infallible> {
        if planted(Plant::BlockKeepsNames) {
            return Ok(());
        }
        for connection in self.connections.iter_mut().filter(|c| clients.contains(&c.name)) {
            connection.forgotten = true;
            self.forgetful = true;
        }
        self.sweep();
        Ok(())
    }

    fn close(&mut self, client: Client) -> Result<Reply, Infallible> {
        for connection in self.connections.iter_mut().filter(|c| c.name == client && c.is_open()) {
            connection.act(&Action::Close);
        }
        Ok(Reply::Ok(0))
    }

    fn step(&mut self) -> Result<Stepped, Infallible> {
        let want = self.machine.want(self.setup.program.ops());
        let Some(result) = self.call(want) else {
            return Ok(Stepped::Blocked);
        };
        let client = match want {
            Want::Accept if result.is_err() => None,
            _ => self.current.map(|i| self.connections[i].name),
        };
        let raising = self.setup.policy.raises() || planted(Plant::NoSignalRaises);
        let sigpipe = want.call() == Call::Send && result.is_err_and(|e| raises(e, raising));
        let called = Called { call: want.call(), client, result, sigpipe };
        if sigpipe && self.setup.policy == Policy::Default {
            self.die();
            return Ok(Stepped::Ended(Some(called), Ending::Killed(Signal::SIGPIPE)));
        }
        self.pending |= sigpipe && self.setup.policy == Policy::Blocked && !planted(Plant::BlockedLeavesNothing);
        self.machine.done(self.setup.program.ops(), result.ok());
        if self.machine.at_accept() {
            self.current = None;
        }
        Ok(Stepped::Called(called))
    }

    fn sockets(&mut self, out: &mut Vec<(Client, TcpState)>) -> Result<(), Infallible> {
        let state = |c: &Connection| (c.name, c.server.state);
        // Most runs have no blocks, and this is the larger part of what a step costs.
        if self.forgetful {
            out.extend(self.connections.iter().filter(|c| !c.forgotten).map(state));
        } else {
            out.extend(self.connections.iter().map(state));
        }
        Ok(())
    }

    fn next_open(&self, after: Option<Client>) -> Option<Client> {
        let open = self.connections.iter().filter(|c| c.is_open()).map(|c| c.name);
        if planted(Plant::TeardownBackwards) {
            return open.filter(|c| after.is_none_or(|a| *c < a)).max();
        }
        open.filter(|c| after < Some(*c)).min()
    }

    fn survivor(&mut self) -> Result<Survivor, Infallible> {
        if let Some(i) = self.current {
            let waits_on = Some(self.connections[i].name);
            return Ok(Survivor { waits_on, pending: self.pending, hygiene: None });
        }
        let close_wait = self.connections.iter().filter(|c| c.server.state == TcpState::CloseWait).count() as u32;
        let hygiene = Hygiene { descriptors: 0, close_wait, served: self.serves == Some(true) };
        Ok(Survivor::at_accept(self.pending, hygiene))
    }

    fn finish(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
