//! The worlds of this crate's own servers, which are programs in the memory of the harness.
//!
//! A [`Kernel`] is a worker. It stays on one thread, which it pins to one core together with its servers, and plays one scenario at a
//! time. Several workers may run at once in a process, each on its own thread; they share only that core. Workers that need a core each
//! are separate processes, each in its own session ([`session`](crate::linux::process::session) gives the reason).

use crate::linux::error::KernelError;
use crate::linux::gate::handshake::arena::{Arena, Parked};
use crate::linux::gate::handshake::park::Next;
use crate::linux::gate::handshake::spawn::Server;
use crate::linux::net::close;
use crate::linux::net::connection::Connection;
use crate::linux::net::sock_diag::SockDiag;
use crate::linux::net::time_wait::Leftovers;
use crate::linux::process::affinity;
use crate::linux::sys::{self, Exit};
use crate::scenario::{Action, Call, Client, Errno, Fault, MAX_CLIENTS};
use crate::subject::{Policy, Setup};
use crate::trace::{Called, End, Hygiene, Reason, Reply, Signal, Survivor, TcpState, WINDOW};
use crate::world::{Ending, Sealed, Stepped, World, probe, raises};
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

/// The kernel world: plays scenarios with real sockets against a forked server.
///
/// It needs Linux 5.9 or later on a 64-bit machine, and no privilege. [`requirements`](crate::requirements) lists the details.
///
/// ```no_run
/// use brokenpipe::{Kernel, Policy, Scenario, Setup, Trace, play};
///
/// let setup = Setup::new("greeter".parse()?, Policy::Default);
/// let scenario: Scenario = "a connect; b connect; b fin; b rst; a close".parse()?;
/// let mut trace = Trace::default();
/// play(&mut Kernel::new()?, &setup, &scenario, &mut trace)?;
/// assert_eq!(trace.outcome().to_string(), "killed by SIGPIPE at 4");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Kernel {
    /// The server of the current run, or of the last run if the next run may use it too.
    server: Option<Server>,
    /// Whether a server may serve more than one run.
    reuse: bool,
    /// Whether the last run has shown that its server is in the state of a fresh server.
    as_new: bool,
    arenas: Vec<Arena>,
    sock_diag: SockDiag,
    leftovers: Leftovers,
    run: Run,
    _pinned: Option<affinity::Pinned>,
    /// The pinning applies to the thread, so a worker must not move to another thread.
    _not_send: PhantomData<*mut ()>,
}

/// The state of one run.
#[derive(Debug, Default)]
struct Run {
    connections: Vec<Connection>,
    /// Index of the connection that the server is serving.
    current: Option<usize>,
    faults: Vec<Fault>,
    /// Whether the server has ended, and so closed all its sockets.
    ended: bool,
}

impl Kernel {
    /// Creates a worker on the calling thread, which stays pinned to a core until the worker is dropped. If a run has shown that its
    /// server is in the state of a fresh server, the next run of the same setup uses that server too.
    ///
    /// # Errors
    ///
    /// If the kernel's socket tables cannot be read.
    pub fn new() -> Result<Kernel, KernelError> {
        Kernel::reusing(true)
    }

    /// Like [`Kernel::new`], but with a fresh server for each run.
    ///
    /// # Errors
    ///
    /// As [`Kernel::new`].
    pub fn fresh() -> Result<Kernel, KernelError> {
        Kernel::reusing(false)
    }

    fn reusing(reuse: bool) -> Result<Kernel, KernelError> {
        Ok(Kernel {
            server: None,
            reuse,
            as_new: false,
            arenas: Vec::new(),
            sock_diag: SockDiag::open()?,
            leftovers: Leftovers::default(),
            run: Run::default(),
            _pinned: affinity::Pinned::here(),
            _not_send: PhantomData,
        })
    }

    /// Starts a server and ends it.
    pub(super) fn try_out(&mut self) -> Result<(), KernelError> {
        self.start(&Setup::default())?;
        self.finish()
    }

    fn server(&self) -> Result<&Server, KernelError> {
        self.server.as_ref().ok_or(KernelError::StillBorn)
    }

    fn server_mut(&mut self) -> Result<&mut Server, KernelError> {
        self.server.as_mut().ok_or(KernelError::StillBorn)
    }

    /// Ends the connections that are left of a run. Unless the server is kept, it ends first: a client that vanished must send nothing
    /// while its server exists.
    fn clear(&mut self, keep_server: bool) -> Result<(), KernelError> {
        let Some(address) = self.server.as_ref().map(Server::address) else {
            return Ok(());
        };
        if !keep_server && let Some(server) = self.server.take() {
            self.arenas.push(server.end());
        }
        for mut connection in self.run.connections.drain(..) {
            // An abort removes the connection at once, without TIME_WAIT. A vanished client must reappear for its RST to arrive.
            connection.client.reappear(address)?;
            connection.client.close(true, address, &mut self.sock_diag)?;
            self.leftovers.add((address, connection.client.address), &mut self.sock_diag)?;
        }
        self.run.current = None;
        self.run.faults.clear();
        self.run.ended = false;
        Ok(())
    }

    /// Whether the parked call could finish now.
    fn ready(&self, parked: Parked) -> Result<bool, KernelError> {
        let server = self.server()?;
        let current = self.run.current.map(|i| &self.run.connections[i]);
        match (parked.call, current) {
            (Call::Accept | Call::Recv, _) => {
                let fd = server.duplicate(parked.fd)?;
                let ready = sys::poll([fd.as_fd()], Duration::ZERO);
                ready.map(|[ready]| !ready.is_empty()).map_err(KernelError::call("look at the server's socket", "poll"))
            }
            (Call::Send, Some(c)) if c.to_client + parked.len > WINDOW => {
                let fd = server.duplicate(parked.fd)?;
                let open = sys::may_send(fd.as_fd());
                open.map(|open| !open).map_err(KernelError::call("look at the server's socket", "getsockopt TCP_INFO"))
            }
            _ => Ok(true),
        }
    }

    /// Whether the server is parked at `accept` and the accept queue is empty.
    fn settled_at_accept(&self) -> Result<bool, KernelError> {
        let parked = self.server()?.parked;
        Ok(parked.call == Call::Accept && !self.ready(parked)?)
    }

    /// Describes the call that has just returned, from the page that the server shares with the harness.
    fn returned(&mut self, call: Call) -> Result<Called, KernelError> {
        let Some(server) = &self.server else {
            return Err(KernelError::StillBorn);
        };
        let page = server.page();
        let value = page.result.load(Relaxed);
        let result = match u32::try_from(value) {
            Ok(n) => Ok(n),
            Err(_) => Err(Errno::from_raw(-value as i32)),
        };
        let policy = server.setup.policy;
        if call == Call::Accept {
            // SAFETY: the server is parked or has ended, and so does not write.
            let peer = unsafe { *page.peer.get() };
            let address =
                SocketAddrV4::new(Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr)), u16::from_be(peer.sin_port));
            let found = self.run.connections.iter().position(|c| c.client.address == address);
            self.run.current = result.ok().and(found);
        }
        let broken = call == Call::Send && result.is_err_and(|e| raises(e, policy.raises()));
        let sigpipe = match policy {
            Policy::Handler => page.handled.swap(0, Relaxed) > 0,
            Policy::Blocked => broken && page.pending.load(Relaxed) != 0,
            // An ignored SIGPIPE leaves no trace but EPIPE. Under `default` and `nosignal`, a server that was sent SIGPIPE is killed.
            Policy::Ignore | Policy::Default | Policy::NoSignal => broken,
        };
        let client = self.run.current.map(|i| self.run.connections[i].client.name);
        Ok(Called {
            call,
            client: if result.is_err() && call == Call::Accept { None } else { client },
            result: Some(result),
            sigpipe,
        })
    }

    /// Makes sure that the segment of the parked call is sent at once: waits for acknowledgements if too many segments are in flight. A
    /// client that has vanished acknowledges nothing, and there is no need to wait for it.
    fn make_room(&mut self, parked: Parked) -> Result<(), KernelError> {
        let Some(i) = self.run.current else {
            return Ok(());
        };
        let connection = &self.run.connections[i];
        let sends = matches!(parked.call, Call::Send | Call::Shutdown | Call::Close);
        if sends && connection.from_server.full() && !connection.client.vanished {
            let fd = self.server()?.duplicate(parked.fd)?;
            self.run.connections[i].from_server.land(fd.as_fd())?;
        }
        Ok(())
    }

    /// Drops the connections that both ends have closed and whose client's name has been released.
    fn sweep(&mut self) -> Result<(), KernelError> {
        let server = self.server()?.address();
        let gone = |c: &mut Connection| c.forgotten && c.is_over();
        // The current connection is never dropped, because the server has closed every connection that is.
        let current = self.run.current.map(|i| self.run.connections[i].client.address);
        for connection in self.run.connections.extract_if(.., gone) {
            self.leftovers.add((server, connection.client.address), &mut self.sock_diag)?;
        }
        self.run.current = self.run.connections.iter().position(|c| Some(c.client.address) == current);
        Ok(())
    }

    /// Records that the server has made a call on the connection that it is serving.
    fn touch(&mut self) {
        if let Some(i) = self.run.current {
            self.run.connections[i].touched = true;
        }
    }

    /// Records the bytes that a server call has sent, or that it has closed the connection.
    fn account(&mut self, called: &Called) {
        let Some(connection) = self.run.current.map(|i| &mut self.run.connections[i]) else {
            return;
        };
        match (called.call, called.result) {
            (Call::Send, Some(Ok(n))) => {
                connection.from_server.sent(n);
                connection.to_client += if connection.client.socket.is_some() { n } else { 0 };
            }
            (Call::Close, _) => {
                connection.served = true;
                self.run.current = None;
            }
            _ => {}
        }
    }
}

impl Sealed for Kernel {}

impl World for Kernel {
    type Error = KernelError;
    type Setup = Setup;

    fn start(&mut self, setup: &Setup) -> Result<(), KernelError> {
        // Cleared here and set only by a run that completes, because a run that fails leaves its server in an unknown state.
        let keep = std::mem::take(&mut self.as_new) && self.server.as_ref().is_some_and(|s| s.setup == *setup);
        self.clear(keep)?;
        if self.server.is_none() {
            let arena = match self.arenas.pop() {
                Some(arena) => arena,
                None => Arena::new().map_err(KernelError::call("map a server's memory", "mmap"))?,
            };
            self.server = Some(Server::start(arena, setup)?);
        }
        Ok(())
    }

    fn act(&mut self, client: Client, action: &Action) -> Result<Reply, KernelError> {
        let server = self.server()?.address();
        if let Some(connection) = self.run.connections.iter_mut().find(|c| c.client.name == client && !c.forgotten) {
            let reply = connection.act(action, server, &mut self.sock_diag)?;
            let Reply::Received { bytes, end: End::Open } = reply else { return Ok(reply) };
            if !connection.served {
                return Ok(reply);
            }
            // The server has closed, so there is an end, which may be late.
            connection.client.wait_for_the_end()?;
            return Ok(match connection.act(action, server, &mut self.sock_diag)? {
                Reply::Received { bytes: more, end } => Reply::Received { bytes: bytes + more, end },
                other => other,
            });
        }
        if *action != Action::Connect {
            return Ok(Reply::Nothing(Reason::NotConnected));
        }
        if client != Client::PROBE && self.run.connections.iter().filter(|c| !c.is_over()).count() >= MAX_CLIENTS {
            return Ok(Reply::Nothing(Reason::Full));
        }
        self.run.connections.push(Connection::open(client, server)?);
        Ok(Reply::Ok(0))
    }

    fn fault(&mut self, fault: Fault) {
        self.run.faults.push(fault);
    }

    /// Sleeps for `time`. The rest of the trace does not depend on this, because servers of this world set no timers, and the kernel's
    /// timers that change a TCP state take a minute.
    /// Nothing happens: a program has no clock, so time changes nothing that it does.
    fn wait(&mut self, _: Duration) -> Result<(), KernelError> {
        Ok(())
    }

    fn forget(&mut self, clients: &[Client]) -> Result<(), KernelError> {
        let known = self.run.connections.iter_mut().filter(|c| clients.contains(&c.client.name));
        known.for_each(|c| c.forgotten = true);
        self.sweep()
    }

    fn close(&mut self, client: Client) -> Result<Reply, KernelError> {
        let server = self.server()?.address();
        for connection in self.run.connections.iter_mut().filter(|c| c.client.name == client && c.is_open()) {
            connection.act(&Action::Close, server, &mut self.sock_diag)?;
        }
        Ok(Reply::Ok(0))
    }

    fn step(&mut self) -> Result<Stepped, KernelError> {
        let parked = self.server()?.parked;
        let fault = self.run.faults.iter().position(|f| f.call() == parked.call);
        let refusal = match fault {
            Some(i) => Some(self.run.faults.remove(i).errno()),
            None if self.ready(parked)? => None,
            None => return Ok(Stepped::Blocked),
        };
        if refusal.is_none() {
            self.make_room(parked)?;
        }
        let before = self.server()?.page().returned.load(Acquire);
        let next = self.server_mut()?.go(refusal)?;
        self.touch();
        let returned = self.server()?.page().returned.load(Acquire) != before;
        let ending = match next {
            Next::Parked(_) => None,
            Next::Late => Some(Ending::Stuck),
            Next::Ended(Exit::Code(code)) => Some(Ending::Exited(code)),
            Next::Ended(Exit::Signal(signal)) => Some(Ending::Killed(Signal::from_raw(signal))),
        };
        let called = if returned {
            let called = self.returned(parked.call)?;
            self.account(&called);
            Some(called)
        } else {
            // SIGPIPE is raised inside the call. So the call's result is known, although the server was killed before writing it.
            let client = self.run.current.map(|i| self.run.connections[i].client.name);
            let broken = Called { call: parked.call, client, result: Some(Err(Errno::EPIPE)), sigpipe: true };
            (ending == Some(Ending::Killed(Signal::SIGPIPE))).then_some(broken)
        };
        match (ending, called) {
            (Some(ending), called) => {
                // When the server ends, all its connections are closed, including those in the accept queue.
                // A server that is stuck has not ended, and keeps its sockets.
                self.run.ended = ending != Ending::Stuck;
                self.run.connections.iter_mut().for_each(|c| c.touched = true);
                Ok(Stepped::Ended(called, ending))
            }
            (None, Some(called)) => Ok(Stepped::Called(called)),
            (None, None) => Err(KernelError::Garbled { what: "a call that never returned" }),
        }
    }

    fn sockets(&mut self, out: &mut Vec<(Client, TcpState)>) -> Result<(), KernelError> {
        let server = self.server()?.address();
        // A connection on which neither end has made a call has not changed, and a look-up may miss its socket (`net::sock_diag`).
        let live = |c: &Connection| c.touched && c.state != TcpState::Close;
        let connections = &mut self.run.connections;
        let pairs: Vec<_> = connections.iter().filter(|c| live(c)).map(|c| (server, c.client.address)).collect();
        let mut looked_at = connections.iter_mut().filter(|c| live(c));
        let ended = self.run.ended;
        let mut late = None;
        self.sock_diag.states(pairs.into_iter(), |looked| {
            if let Some(connection) = looked_at.next() {
                connection.saw(looked.state, looked.unread);
                connection.touched = (connection.served || ended) && !looked.closed;
                late = late.or(connection.touched.then_some((server, connection.client.address)));
            }
        })?;
        if let Some(late) = late {
            close::wait(&mut self.sock_diag, late)?;
            return self.sockets(out);
        }
        out.extend(connections.iter().filter(|c| !c.forgotten).map(|c| (c.client.name, c.state)));
        Ok(())
    }

    fn next_open(&self, after: Option<Client>) -> Option<Client> {
        let open = self.run.connections.iter().filter(|c| c.is_open());
        open.map(|c| c.client.name).filter(|name| after < Some(*name)).min()
    }

    fn survivor(&mut self) -> Result<Survivor, KernelError> {
        let blocked = self.server()?.setup.policy == Policy::Blocked;
        let pending = blocked && self.server()?.sigpipe_pending()?;
        if self.server()?.parked.call != Call::Accept {
            let waits_on = self.run.current.map(|i| self.run.connections[i].client.name);
            return Ok(Survivor { waits_on, pending, hygiene: None });
        }
        let descriptors = self.server()?.descriptors()?;
        let close_wait = self.run.connections.iter().filter(|c| c.state == TcpState::CloseWait).count() as u32;
        self.run.faults.clear();
        let vanished = self.run.connections.iter().any(|c| c.client.vanished);
        let probe = probe(self, Client::PROBE)?;
        let survivor = Survivor::at_accept(pending, Hygiene { descriptors, close_wait, served: probe.served() });
        let clean = survivor.hygiene.is_some_and(|h| h.is_clean());
        // The probe may leave a SIGPIPE pending too: a program that shuts down before it sends raises it with every client.
        let pending = pending || blocked && !probe.ended && self.server()?.sigpipe_pending()?;
        self.as_new = self.reuse && clean && !pending && !vanished && !probe.ended && self.settled_at_accept()?;
        Ok(survivor)
    }

    fn finish(&mut self) -> Result<(), KernelError> {
        self.clear(self.as_new)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // The order matters: the server, then its clients, then their sockets in TIME_WAIT. `drop` cannot return errors.
        let _ = self.clear(false);
        let _ = self.leftovers.take_down(&mut self.sock_diag);
    }
}

#[cfg(test)]
mod tests;
