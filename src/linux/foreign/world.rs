//! The world of a server that nobody here wrote: clients as everywhere, and a server behind the [`gate`](crate::linux::foreign::server).
//!
//! A server is started once and serves run after run, as long as nothing speaks against it: whoever plays looks at what it left behind
//! after each.

mod listeners;
mod notes;
mod play;
mod spin;
mod withheld;

pub(crate) use spin::{Circle, Spin};
use withheld::Handled;
pub(crate) use withheld::Withheld;

use super::history::{History, Last};
use super::injection::Injection;
use super::start::{NotListening, wait_for_listener};
use crate::linux::clock::quiescence::Quiescence;
use crate::linux::error::KernelError;
use crate::linux::foreign::server::{LOOK_UP, Quiet, Server, Whose};
use crate::linux::net::client::ClientSocket;
use crate::linux::net::sock_diag::Netstat;
use crate::linux::net::tables;
use crate::linux::net::time_wait::Leftovers;
use crate::linux::process::affinity;
use crate::linux::process::guardian::Plan;
use crate::linux::process::tasks::Death;
use crate::scenario::{Client, Errno, Fault};
use crate::trace::{Called, End, Reason, Reply, Role, TcpState};
use crate::world::{Ending, Stepped, World};
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// After so many calls that get it nowhere, a server may be in a busy loop: it has taken no data and closed nothing.
const MOST_CALLS: u32 = 3_000;
/// The same for a server that has been seen to be.
const MOST_CALLS_OF_A_SPINNER: u32 = 200;
/// The receive buffer of a client that is going to stall, in bytes: the kernel's smallest, twice over.
const SMALL_BUFFER: usize = 4096;

/// A client's connection, or what there was of one.
#[derive(Debug)]
struct Connection {
    client: ClientSocket,
    /// The kernel's number of the server-side socket.
    cookie: Option<u64>,
    state: TcpState,
    /// Of those of one name, only the last is known by it.
    known: bool,
}

/// A process of the server's that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) death: Death,
    /// Which process of the server's it was.
    pub(crate) role: Role,
    /// The last call that it made.
    pub(crate) after: Option<Last>,
}

/// A running server, and the clients of the run.
#[derive(Debug)]
pub(crate) struct Foreign {
    connections: Vec<Connection>,
    pub(crate) server: Server,
    address: SocketAddrV4,
    /// The process that counts as the server itself: the one that was started, or, if that has gone into the background, the one that
    /// listens.
    main: i32,
    /// The inode of the listener that was found when it started.
    listener: u32,
    netstat: Netstat,
    leftovers: Leftovers,
    injection: Injection,
    /// Whether the server's descriptors were limited in the last run.
    was_limited: bool,
    history: History,
    stalling: Vec<Client>,
    /// What processes have done with the connections of the scenario's clients, by the kernel's number.
    handled: BTreeMap<u64, Handled>,
    /// The FINs that were withheld when the first client was closed.
    withheld: Vec<Withheld>,
    /// Whether that has been seen to in this run.
    is_withheld_noted: bool,
    held: bool,
    /// Connections that wait to be accepted, by their place in the list.
    queue: VecDeque<usize>,
    /// Calls that were made while time passed, and are still to be told.
    late: VecDeque<Called>,
    calls: u32,
    last: Option<(&'static str, Option<Client>)>,
    ended: Vec<Ended>,
    main_ended: Option<Ending>,
    spin: Option<Spin>,
    /// Whether it is measured what a server at work in a circle does in a second.
    pub(crate) measures: bool,
    /// For how long it is measured at least.
    pub(crate) measured_for: Duration,
    /// Set by whoever wants it to stop.
    stop: Arc<AtomicBool>,
    _pinned: Option<affinity::Pinned>,
    /// The namespace is the thread's.
    _not_send: PhantomData<*mut ()>,
}

impl Foreign {
    /// Starts a server and waits until it listens, as long as `bound`: on `port` if that is given, else on any. Somebody who sets `stop`
    /// wants it no more.
    pub(crate) fn start(
        plan: &Plan,
        port: Option<u16>,
        namespace: bool,
        stop: &Arc<AtomicBool>,
        bound: Duration,
    ) -> Result<Foreign, NotListening> {
        let pinned = affinity::Pinned::here();
        let netstat = Netstat::open()?;
        let mut server = Server::start(plan, namespace)?;
        let (entry, main) = wait_for_listener(&mut server, port, stop, bound)?;
        let ip = match entry.address {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST,
            IpAddr::V4(ip) => ip,
            // One of IPv6's that takes IPv4 as well; whether it does is seen by asking for it.
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST,
            // An address of IPv4's in the notation of IPv6.
            IpAddr::V6(ip) => ip.to_ipv4_mapped().ok_or(NotListening::Address(entry.address))?,
        };
        let mut foreign = Foreign {
            connections: Vec::new(),
            server,
            address: SocketAddrV4::new(ip, entry.port),
            main,
            listener: entry.inode,
            netstat,
            leftovers: Leftovers::until(Arc::clone(stop)),
            injection: Injection::default(),
            was_limited: false,
            history: History::default(),
            stalling: Vec::new(),
            handled: BTreeMap::new(),
            withheld: Vec::new(),
            is_withheld_noted: false,
            held: false,
            queue: VecDeque::new(),
            late: VecDeque::new(),
            calls: 0,
            last: None,
            ended: Vec::new(),
            main_ended: None,
            spin: None,
            measures: false,
            measured_for: Duration::ZERO,
            stop: Arc::clone(stop),
            _pinned: pinned,
            _not_send: PhantomData,
        };
        if foreign.netstat.queue_is_full(foreign.address)?.is_none() {
            // The sockets of a process that ends go before it has ended.
            foreign.settle()?;
            let end = foreign.ended.iter().find(|ended| ended.role == Role::Main);
            return Err(match (end, entry.address) {
                (Some(ended), _) => NotListening::Ended(ended.death.status),
                (None, IpAddr::V4(_)) => NotListening::Closed { port: entry.port, given: plan.listener.is_some() },
                (None, other) => NotListening::Address(other),
            });
        }
        foreign.settle()?;
        foreign.server.survey()?;
        if foreign.server.is_gated() && foreign.server.uses_io_uring() {
            return Err(NotListening::Ring);
        }
        // Ends of what it needed to start are nobody's concern.
        foreign.ended.clear();
        foreign.spin = None;
        match foreign.main_ended {
            Some(_) => Err(NotListening::Ended(foreign.server.main_status())),
            None => Ok(foreign),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Whether there is nothing to wait for: the server has ended, or waits without any time limit until a client does something, or
    /// nobody wants to know.
    pub(crate) fn is_at_rest(&mut self) -> bool {
        self.main_ended.is_some()
            || self.is_stopped()
            || (self.server.quiescence() == Quiescence::Frozen && !self.is_let_in_by_the_kernel())
    }

    /// Whether the kernel is going to hand a connection to the server in its own time: with TCP_DEFER_ACCEPT a client that says nothing stays
    /// in SYN_RECV until the kernel has sent the SYN-ACK again, after a second (`tcp(7)`). True if it cannot be seen.
    fn is_let_in_by_the_kernel(&mut self) -> bool {
        self.look().is_err() || self.connections.iter().any(|connection| connection.state == TcpState::SynRecv)
    }

    /// Whether somebody wants it to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// How many connections it has to others than clients of the harness, or is about to have. Without the gate, which sees them being made,
    /// they are TCP's only.
    pub(crate) fn peers_outside(&mut self) -> Result<usize, KernelError> {
        if self.server.is_gated() {
            return Ok(self.server.peers_outside());
        }
        let port = self.address.port();
        let others = tables::connected()?.into_iter().filter(|entry| entry.port != port && entry.inode != 0);
        Ok(self.server.count_of(&others.map(|entry| entry.inode).collect()))
    }

    /// Whether anybody listens at its address.
    pub(crate) fn is_listening(&mut self) -> Result<bool, KernelError> {
        Ok(self.netstat.queue_is_full(self.address)?.is_some())
    }

    /// Lets the server step until nothing that it waits for is ready.
    pub(crate) fn settle(&mut self) -> Result<(), KernelError> {
        self.calls = 0;
        while let Stepped::Called(_) = self.step()? {}
        Ok(())
    }

    /// Lets real time pass, at most until `deadline` and until the server does something, which it then does until it is settled. After
    /// [`LOOK_UP`] it comes back in any case.
    pub(crate) fn idle(&mut self, deadline: Instant) -> Result<(), KernelError> {
        self.idle_or(deadline, None)
    }

    /// The same, and comes back as well when `other` can be read from.
    pub(crate) fn idle_or(&mut self, deadline: Instant, other: Option<BorrowedFd<'_>>) -> Result<(), KernelError> {
        if let Quiet::Busy(task) = self.server.until_or(deadline.min(Instant::now() + LOOK_UP), other)? {
            self.spins(task, None)?;
        }
        self.settle()
    }

    /// The injected errors that calls were answered with in the last run.
    pub(crate) fn injected(&self) -> &[Fault] {
        self.injection.injected()
    }

    /// Whether the server's descriptors were limited in the last run.
    pub(crate) const fn was_limited(&self) -> bool {
        self.was_limited
    }

    /// Whether the server ran short of something in the last run: an error said so that was injected, or a limit was set.
    pub(crate) fn was_short(&self) -> bool {
        self.was_limited || !self.injected().is_empty()
    }

    /// How processes of the server's have ended since this was last asked.
    pub(crate) fn ends(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// How the server itself has ended, if it has.
    pub(crate) fn main_ended(&self) -> Option<Ending> {
        self.main_ended
    }

    /// Whether the gate has made a call return what it would not have returned without it, since this was last asked: what was seen meanwhile
    /// says nothing about the server.
    pub(crate) fn was_perturbed(&mut self) -> bool {
        self.server.was_perturbed()
    }

    /// Whether the server was seen at work in a circle since this was last asked.
    pub(crate) fn spin(&mut self) -> Option<Spin> {
        self.spin.take()
    }

    /// How many connections that the server has taken have their server-side socket in CLOSE_WAIT.
    pub(crate) fn close_waits(&mut self) -> Result<usize, KernelError> {
        self.look()?;
        let mut count = 0;
        for connection in self.connections.iter().filter(|c| c.state == TcpState::CloseWait) {
            // One that still waits in the accept queue is in nobody's hands yet.
            count += usize::from(self.netstat.is_accepted((self.address, connection.client.address))?);
        }
        Ok(count)
    }

    /// Whether the server has taken the connection of this client out of the accept queue.
    pub(crate) fn has_taken(&mut self, client: Client) -> Result<bool, KernelError> {
        let Some(i) = self.connection(client) else { return Ok(false) };
        if self.server.is_gated() {
            return Ok(!self.queue.contains(&i));
        }
        self.netstat.is_accepted((self.address, self.connections[i].client.address))
    }

    /// Everything that a client has to read, and what comes after it.
    pub(crate) fn take(&mut self, client: Client) -> (Vec<u8>, End) {
        let mut bytes = Vec::new();
        let end = match self.connection(client).map(|c| &self.connections[c].client.socket) {
            Some(Some(socket)) => ClientSocket::take(socket, &mut bytes),
            _ => End::Error(Errno::ENOTCONN),
        };
        (bytes, end)
    }

    /// Forgets connections that are closed on both sides.
    fn connection(&self, client: Client) -> Option<usize> {
        self.connections.iter().rposition(|c| c.known && c.client.name == client)
    }

    fn connect(&mut self, client: Client) -> Result<Reply, KernelError> {
        if self.connection(client).is_some() {
            return Ok(Reply::Nothing(Reason::AlreadyConnected));
        }
        if self.netstat.queue_is_full(self.address)? == Some(true) {
            return Ok(Reply::Nothing(Reason::Full));
        }
        let small = self.stalling.contains(&client).then_some(SMALL_BUFFER);
        let client = match ClientSocket::connect(client, self.address, small, false) {
            Ok(Some(client)) => client,
            Ok(None) => return Ok(Reply::Nothing(Reason::Full)),
            // What a server brings about by not listening is its own doing.
            Err(KernelError::Call { call: "connect", errno, .. }) => return Ok(Reply::Error(errno)),
            Err(error) => return Err(error),
        };
        let cookie = self.netstat.cookie((self.address, client.address))?;
        if !client.name.is_own() {
            self.injection.expose(cookie);
        }
        self.queue.push_back(self.connections.len());
        self.connections.push(Connection { client, cookie, state: TcpState::Established, known: true });
        Ok(Reply::Ok(0))
    }

    /// Looks at the state of each server-side socket that was still there.
    fn look(&mut self) -> Result<(), KernelError> {
        let live: Vec<usize> =
            (0..self.connections.len()).filter(|i| self.connections[*i].state != TcpState::Close).collect();
        let pairs = live.iter().map(|i| (self.address, self.connections[*i].client.address)).collect::<Vec<_>>();
        let mut states = Vec::with_capacity(live.len());
        self.netstat.states(pairs.into_iter(), |state, _| states.push(state))?;
        for (i, state) in live.into_iter().zip(states) {
            self.connections[i].state = state;
        }
        Ok(())
    }

    /// One step, and what it came to.
    fn one(&mut self) -> Result<Stepped, KernelError> {
        if let Some(ending) = self.main_ended {
            return Ok(Stepped::Ended(None, ending));
        }
        if !self.server.rests(Whose::Callers)
            && let Quiet::Busy(task) = self.server.quiet_of(Whose::Callers)?
        {
            self.spins(task, None)?;
            return Ok(Stepped::Blocked);
        }
        let before = self.ended.len();
        self.note_ends();
        if let Some(ending) = self.main_ended {
            return Ok(Stepped::Ended(None, ending));
        }
        let short = self.spin.is_some() || self.server.is_limited();
        let most = if short { MOST_CALLS_OF_A_SPINNER } else { MOST_CALLS };
        if self.calls >= most {
            let call = self.server.waits_in().first().map(|(_, name)| *name).or(self.last.map(|last| last.0));
            let task = self.main;
            let fd = self.server.first_descriptor();
            self.spins(task, call.map(|call| (call, fd)))?;
            return Ok(Stepped::Blocked);
        }
        let next = self.queue.front().map(|i| self.connections[*i].client.name);
        self.injection.set_next(next);
        let Some((passed, quiet)) = self.server.step(&mut self.injection)? else {
            if self.server.rests(Whose::All) {
                return Ok(Stepped::Blocked);
            }
            // Those who do not come to the gate may have something to do, and others then by them.
            if let Quiet::Busy(task) = self.server.quiet()? {
                self.spins(task, None)?;
                return Ok(Stepped::Blocked);
            }
            return self.one();
        };
        self.calls = if passed.gets_on() { 0 } else { self.calls + 1 };
        let client = self.note(&passed);
        self.last = Some((passed.name, client));
        if let Quiet::Busy(task) = quiet {
            self.spins(task, None)?;
        }
        self.note_ends();
        let broken =
            self.ended[before.min(self.ended.len())..].iter().any(|ended| ended.death.signal() == Some(libc::SIGPIPE));
        let called = self.told(&passed, broken)?;
        Ok(match self.main_ended {
            Some(ending) => Stepped::Ended(Some(called), ending),
            None => Stepped::Called(called),
        })
    }

    /// Ends every connection that is left but that of a client which `stays` and has been served, and forgets them all.
    pub(crate) fn clear(&mut self, stays: Option<Client>) -> Result<(), KernelError> {
        self.server.disturb();
        for mut connection in std::mem::take(&mut self.connections) {
            if connection.known && connection.client.socket.is_some() && Some(connection.client.name) == stays {
                self.connections.push(connection);
                continue;
            }
            connection.client.reappear(self.address)?;
            connection.client.close(true)?;
            self.leftovers.add((self.address, connection.client.address), &mut self.netstat)?;
        }
        self.queue.clear();
        self.settle()
    }

    /// Gives a client another name.
    pub(crate) fn rename(&mut self, client: Client, name: Client) {
        if let Some(i) = self.connection(client) {
            self.connections[i].client.name = name;
        }
    }
}
