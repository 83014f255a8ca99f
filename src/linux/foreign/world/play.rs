//! Plays scenarios against a server that is another project's program.

use super::{Connection, Foreign, Quiet, Unread};
use crate::linux::error::KernelError;
use crate::linux::net::client::ClientSocket;
use crate::scenario::{Action, Client, Event, Fault, HarmlessSignal, Limit};
use crate::trace::{Detail, Reason, Reply, Survivor, TcpState};
use crate::world::{Sealed, Stepped, World};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How much real time a `wait` may take of a server whose clock jumps, if it waits for something outside. A longer one is cut short, and what
/// is seen afterwards is no evidence.
const MOST_REAL: Duration = Duration::from_secs(60);

impl Sealed for Foreign {}

impl World for Foreign {
    type Error = KernelError;
    type Setup = ();

    fn start(&mut self, (): &()) -> Result<(), KernelError> {
        self.held = false;
        self.calls = 0;
        self.was_limited = false;
        self.injection.clear();
        self.handled.clear();
        self.withheld.clear();
        self.server.told.clear();
        self.reset_requests.clear();
        self.is_withheld_noted = false;
        self.late.clear();
        self.tasks.clear();
        self.server.records = true;
        self.began = self.server.now();
        Ok(())
    }

    fn foresee(&mut self, events: &[Event]) {
        self.stalling.clear();
        let all = events.iter().flat_map(Event::parts);
        self.stalling.extend(all.filter_map(|event| match event {
            Event::Client(client, Action::Stall) => Some(*client),
            _ => None,
        }));
    }

    fn act(&mut self, client: Client, action: &Action) -> Result<Reply, KernelError> {
        if self.stop.load(Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(KernelError::Interrupted);
        }
        self.calls = 0;
        self.server.disturb();
        if *action == Action::Connect {
            return self.connect(client);
        }
        let Some(i) = self.connection(client) else {
            return Ok(Reply::Nothing(Reason::NotConnected));
        };
        let address = self.address;
        let Connection { client, unread, .. } = &mut self.connections[i];
        let Some(socket) = &client.socket else {
            return Ok(Reply::Nothing(Reason::Closed));
        };
        if client.vanished {
            return Ok(Reply::Nothing(Reason::Vanished));
        }
        Ok(match action {
            Action::Send(payload) => {
                let reply = ClientSocket::send(socket, payload);
                if let Reply::Ok(bytes) = reply {
                    unread.sent(payload, bytes as usize);
                }
                reply
            }
            Action::Urgent => {
                // The server may read this byte in its place, apart from the others, or never (SO_OOBINLINE, MSG_OOB).
                *unread = Unread::Lost;
                ClientSocket::urgent(socket)
            }
            Action::Recv if client.stalled => Reply::Nothing(Reason::Stalled),
            Action::Recv => ClientSocket::recv(socket),
            Action::Fin => ClientSocket::fin(socket),
            Action::Close | Action::Rst => client.close(*action == Action::Rst, address, &mut self.sock_diag)?,
            Action::Vanish => client.vanish(address)?,
            Action::Stall => {
                client.stalled = true;
                Reply::Ok(0)
            }
            Action::Connect => Reply::Nothing(Reason::AlreadyConnected),
        })
    }

    fn fault(&mut self, fault: Fault) {
        self.injection.add(fault);
    }

    fn limit(&mut self, limit: Limit) -> Result<Reply, KernelError> {
        self.calls = 0;
        Ok(match (limit, self.server.is_limited()) {
            (Limit::Descriptors, true) => Reply::Nothing(Reason::AlreadyLimited),
            (Limit::Off, false) => Reply::Nothing(Reason::NotLimited),
            (Limit::Off, true) => {
                self.server.lift_limits()?;
                Reply::Ok(0)
            }
            (_, false) if self.server.limit_descriptors()? => {
                self.was_limited = true;
                Reply::Ok(0)
            }
            _ => Reply::Nothing(Reason::NotAllowed),
        })
    }

    fn signal(&mut self, signal: HarmlessSignal) -> Result<Reply, KernelError> {
        self.calls = 0;
        self.server.disturb();
        let sent = self.server.send_to_handlers(signal)?;
        Ok(if sent { Reply::Ok(0) } else { Reply::Nothing(Reason::NoHandler) })
    }

    fn hold(&mut self, held: bool) -> Result<(), KernelError> {
        self.held = held;
        self.server.disturb();
        if self.server.is_gated() {
            return Ok(());
        }
        if held {
            self.server.expect_stop();
        }
        self.server.signal(if held { libc::SIGSTOP } else { libc::SIGCONT })?;
        // SIGSTOP wakes each task, which stops only when it runs. Until then it could still react to what clients do.
        if held && let Quiet::Busy(task) = self.server.quiet()? {
            self.spins(task, None)?;
        }
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result<(), KernelError> {
        let (start, deadline) = (Instant::now(), self.server.now() + time);
        while self.server.now() < deadline && !self.is_stopped() {
            if self.spin.is_some_and(|spin| spin.measured.is_none_or(|circle| !circle.rested)) {
                // It would be in its loop for all of that time.
                return Ok(());
            }
            if self.server.real_time().is_none() && start.elapsed() >= MOST_REAL {
                self.is_cut_short = true;
                return Ok(());
            }
            if let Quiet::Busy(task) = self.pass_time(deadline)? {
                self.spins(task, None)?;
            }
            self.calls = 0;
            while !self.held {
                match self.one()? {
                    Stepped::Called(called) => self.late.push_back((called, self.detail)),
                    Stepped::Blocked => break,
                    Stepped::Ended(called, _) => {
                        self.late.extend(called.map(|called| (called, self.detail)));
                        return Ok(());
                    }
                }
            }
        }
        if self.held {
            self.note_overtaken();
        }
        Ok(())
    }

    fn forget(&mut self, clients: &[Client]) -> Result<(), KernelError> {
        for connection in self.connections.iter_mut().filter(|c| clients.contains(&c.client.name)) {
            connection.known = false;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Stepped, KernelError> {
        match self.late.pop_front() {
            Some((called, detail)) => {
                self.detail = detail;
                Ok(Stepped::Called(called))
            }
            None => self.one(),
        }
    }

    fn detail(&self) -> Option<Detail> {
        self.detail
    }

    fn sockets(&mut self, out: &mut Vec<(Client, TcpState)>) -> Result<(), KernelError> {
        self.look()?;
        let shown = self.connections.iter().filter(|c| c.known && !c.client.name.is_own());
        out.extend(shown.map(|c| (c.client.name, c.state)));
        Ok(())
    }

    fn close(&mut self, client: Client) -> Result<Reply, KernelError> {
        if !std::mem::replace(&mut self.is_withheld_noted, true) {
            self.note_withheld()?;
        }
        self.calls = 0;
        self.server.disturb();
        let all = self.connections.iter_mut().filter(|c| c.client.name == client && !c.client.vanished);
        for connection in all {
            connection.client.close(false, self.address, &mut self.sock_diag)?;
        }
        Ok(Reply::Ok(0))
    }

    fn next_open(&self, after: Option<Client>) -> Option<Client> {
        let open = self.connections.iter().map(|c| &c.client).filter(|c| c.socket.is_some() && !c.vanished);
        open.map(|c| c.name).filter(|name| !name.is_own() && Some(*name) > after).min()
    }

    /// Lifts the limits. The caller examines the server, and resets the clients that have vanished ([`Foreign::reset_vanished`]).
    fn survivor(&mut self) -> Result<Survivor, KernelError> {
        self.server.records = false;
        self.server.lift_limits()?;
        self.settle()?;
        Ok(Survivor::default())
    }

    fn finish(&mut self) -> Result<(), KernelError> {
        self.server.records = false;
        self.stalling.clear();
        // Errors that no call was answered with were meant for this run's clients, not for those of the next run.
        self.injection.end();
        self.server.lift_limits()?;
        Ok(())
    }
}
