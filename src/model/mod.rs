//! The model world: a pure value that plays scenarios by TCP's rules (`endpoint` names their sources). It does no I/O, has no
//! clock, and allocates nothing in a step once its lists have grown.

mod cause;
mod endpoint;
pub(crate) mod seeded_defects;

use crate::scenario::{Action, Call, Client, Errno, Fault, MAX_CLIENTS};
use crate::subject::{Machine, Policy, Setup, Want};
use crate::trace::{Called, End, Hygiene, Reason, Reply, Signal, Survivor, TcpState, WINDOW};
use crate::world::{Ending, Probe, Sealed, Stepped, World, certain, probe, raises};
pub(crate) use cause::{Broken, Cause, Failures, Reset, Returned};
use cause::{Past, Returns};
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
    /// Whether a server of this setup serves the probe client; `None` until it is computed.
    serves: Option<bool>,
    machine: Machine,
    /// Every connection, in the order of the connects, which is also the order of the accept queue.
    connections: Vec<Connection>,
    accepted: usize,
    /// Index of the connection that the server is serving.
    current: Option<usize>,
    faults: Vec<Fault>,
    pending: bool,
    /// Whether any connection is marked as forgotten.
    forgetful: bool,
    /// How many calls the server has made.
    calls: usize,
    failures: Failures,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Connection {
    name: Client,
    client: Endpoint,
    server: Endpoint,
    /// Whether the client has stopped reading (`stall`).
    stalled: bool,
    /// Whether [`World::forget`] has freed the name for a new client.
    forgotten: bool,
    past: Past,
}

impl Connection {
    const fn new(name: Client) -> Connection {
        let (client, server) = (Endpoint::OPEN, Endpoint::OPEN);
        Connection { name, client, server, stalled: false, forgotten: false, past: Past::NONE }
    }

    /// Whether the client's socket is open and the client has not vanished.
    const fn is_open(&self) -> bool {
        self.client.open && !self.client.deaf
    }

    /// Whether both ends are closed.
    const fn is_over(&self) -> bool {
        !self.client.open && !self.server.open
    }

    /// Delivers a segment to the other end, and the acknowledgement and the reply back. A deaf end acknowledges and answers
    /// nothing. Returns the reply.
    fn carry(from: &mut Endpoint, to: &mut Endpoint, segment: Segment) -> Segment {
        if segment != Segment::None && !to.deaf {
            let back = to.receive(segment);
            from.acknowledged();
            from.receive(back);
            return back;
        }
        if to.deaf {
            to.receive(segment);
        }
        Segment::None
    }

    fn tell_server(&mut self, segment: Segment) {
        Self::carry(&mut self.client, &mut self.server, segment);
    }

    fn tell_client(&mut self, segment: Segment) {
        if Self::carry(&mut self.server, &mut self.client, segment) == Segment::Rst {
            self.past.reset(Reset::Drawn);
        }
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
                if segment == Segment::Rst {
                    self.past.reset(if *action == Action::Rst { Reset::Abort } else { Reset::Unread });
                }
                self.tell_server(segment);
                Reply::Ok(n)
            }
            Err(errno) => Reply::Error(errno),
        }
    }
}

/// A client's `recv`, repeated until it would block, reaches end of file or fails.
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
        self.calls = 0;
        self.failures.clear();
    }

    /// The failures of the server's calls in the last run.
    pub(crate) const fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Records the cause of a failed call on the current connection.
    #[cold]
    fn note(&mut self, by: Returns, errno: Errno) {
        let Some(connection) = self.current.map(|i| &mut self.connections[i]) else { return };
        let (client, past) = (connection.name, &mut connection.past);
        match (by, errno) {
            (Returns::Send, Errno::EPIPE) => {
                self.failures.broken.extend(past.broken(self.calls, client, connection.server.fin_seen()));
            }
            (_, Errno::ECONNRESET) => {
                let returned = past.returned(self.calls, client, by);
                self.failures.returned = self.failures.returned.or(returned);
            }
            _ => {}
        }
    }

    /// The result of the server's pending call, or `None` if it cannot finish now.
    fn call(&mut self, want: Want) -> Option<Result<u32, Errno>> {
        if let Some(i) = self.faults.iter().position(|f| f.call() == want.call()) {
            // The error was never on the connection, so it is no cause.
            if let (Want::Send(_), Some(current)) = (want, self.current) {
                self.connections[current].past.sent = true;
            }
            return Some(Err(self.faults.remove(i).errno()));
        }
        if want == Want::Accept {
            let skip = |c: &&Connection| !(planted(Plant::AcceptSkipsReset) && c.server.state == TcpState::Close);
            let at = self.accepted + self.connections[self.accepted..].iter().position(|c| skip(&c))?;
            self.current = Some(at);
            self.accepted = at + 1;
            self.connections[at].past.accepted = true;
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
                Ok(segment) => {
                    connection.past.shut = true;
                    (Ok(0), segment)
                }
                Err(errno) => (Err(errno), Segment::None),
            },
            Want::Close | Want::Accept => (Ok(0), connection.server.close(false)),
        };
        connection.tell_client(segment);
        match (want, result) {
            (Want::Send(_), Err(errno)) => self.note(Returns::Send, errno),
            (Want::Recv, Err(errno)) => self.note(Returns::Recv, errno),
            _ => {}
        }
        if let (Want::Send(_), Some(current)) = (want, self.current) {
            self.connections[current].past.sent = true;
        }
        Some(result)
    }

    /// Closes all sockets of the server, as the kernel does when the process dies. Connections in the accept queue are reset.
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

    /// Whether [`MAX_CLIENTS`] connections are still open at either end, so that this client cannot connect. The probe always
    /// can.
    fn is_full(&self, client: Client) -> bool {
        let many = client != Client::PROBE && self.connections.len() >= MAX_CLIENTS;
        many && self.connections.iter().filter(|c| !c.is_over()).count() >= MAX_CLIENTS
    }

    /// Drops connections that are over and forgotten.
    fn sweep(&mut self) {
        let gone = |c: &Connection| c.forgotten && c.is_over();
        let before = |end: usize| self.connections[..end].iter().filter(|c| gone(c)).count();
        // The server has closed each dropped connection, so it has accepted that connection and is not serving it.
        let (accepted, current) = (self.accepted - before(self.accepted), self.current.map(|i| i - before(i)));
        self.connections.retain(|c| !gone(c));
        (self.accepted, self.current) = (accepted, current);
    }

    /// Whether a server of this setup serves the probe client to its end. A program that sends after its own shutdown does not
    /// under `default`, because SIGPIPE kills it.
    pub(crate) fn serves(setup: &Setup) -> bool {
        let mut model = Model { setup: setup.clone(), ..Model::default() };
        let probe: Probe = certain(probe(&mut model, Client::PROBE));
        probe.served()
    }
}

impl Sealed for Model {}

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

    /// Does nothing: the model has no timers.
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
        self.calls += 1;
        let client = match want {
            Want::Accept if result.is_err() => None,
            _ => self.current.map(|i| self.connections[i].name),
        };
        let raising = self.setup.policy.raises() || planted(Plant::NoSignalRaises);
        let sigpipe = want.call() == Call::Send && result.is_err_and(|e| raises(e, raising));
        let called = Called { call: want.call(), client, result: Some(result), sigpipe };
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
        // Listing the states is the larger part of a step's cost, and most runs forget no connection: they skip the filter.
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
