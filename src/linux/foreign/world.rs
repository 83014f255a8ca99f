//! The world of a server that nobody here wrote: clients as everywhere, and a server behind the [`gate`](super::gate).
//!
//! A server is started once and serves run after run, as long as nothing speaks against it: whoever plays looks at what it left behind
//! after each.

mod listeners;
mod play;

pub(super) use listeners::{are_all_stopped, instead_of_listening};

use super::environment::Injection;
use super::gate::{Passed, Quiet, Server, Whose};
use super::history::{History, Last};
use super::launch::Plan;
use super::quiescence::Quiescence;
use super::start::{NotListening, wait_for_listener};
use super::tables;
use super::tasks::Death;
use crate::linux::affinity;
use crate::linux::client::ClientSocket;
use crate::linux::error::KernelError;
use crate::linux::netstat::Netstat;
use crate::linux::timewait::Leftovers;
use crate::scenario::{Call, Client, Errno, Fault};
use crate::trace::{Called, End, Reason, Reply, Role, Signal, TcpState};
use crate::world::{Ending, Stepped, World};
use std::collections::VecDeque;
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
/// How often somebody who waits looks whether that is still wanted.
pub(crate) const LOOK_UP: Duration = Duration::from_millis(100);
/// How much processor time a server that seems to be busy for ever may use until it is said to be, how many calls it may make that get it
/// nowhere, and how long all of that may take on the clock at most.
const MEASURED: Duration = Duration::from_secs(1);
const MEASURED_CALLS: u32 = 10_000;
const MEASURED_AT_MOST: Duration = Duration::from_secs(60);
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

/// What a server did while it was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) calls: u32,
    pub(crate) processor: Duration,
    /// Whether there was a moment at which it waited for something that was not there.
    pub(crate) rested: bool,
}

/// A server at work in a circle, or on something that takes no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spin {
    /// What it did in a second in which nobody asked anything of it, if that was measured.
    pub(crate) measured: Option<Circle>,
    /// The process or thread.
    pub(crate) task: i32,
    /// The call that it makes again and again, and on which descriptor; `None` if it makes none that can be seen.
    pub(crate) call: Option<(&'static str, Option<i32>)>,
    /// By which call it is told from others, if it makes any.
    pub(crate) known_by: Option<Last>,
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

    /// Takes note of a server at work in a circle, and measures, if asked to, what it does in a second.
    fn spins(&mut self, task: i32, call: Option<(&'static str, Option<i32>)>) -> Result<(), KernelError> {
        if self.server.is_limited() {
            // What goes on when the limit is lifted is seen then; what ends with it is no busy loop.
            return Ok(());
        }
        let known = self.spin;
        let known_by = call.and_then(|_| self.history.of_a_loop());
        let mut spin = known.unwrap_or(Spin { measured: None, task, call, known_by });
        if self.measures && spin.measured.is_none() {
            spin.measured = Some(self.measure()?);
        }
        self.spin = Some(spin);
        Ok(())
    }

    /// Lets the server run until it is blocked or has done so much that it never will be. However slow the machine, a busy loop never blocks.
    /// One that neither makes calls nor uses processor time is not busy.
    fn measure(&mut self) -> Result<Circle, KernelError> {
        let before = self.server.processor_time();
        let start = Instant::now();
        let (mut calls, mut rested) = (0, false);
        let busy = |server: &Server| server.processor_time().saturating_sub(before) >= MEASURED;
        while !rested
            && !self.is_stopped()
            && (start.elapsed() < self.measured_for || (calls < MEASURED_CALLS && !busy(&self.server)))
        {
            rested = start.elapsed() >= MEASURED_AT_MOST;
            match self.server.step(&mut self.injection)? {
                Some((passed, _)) if passed.gets_on() => calls = 0,
                Some(_) => calls += 1,
                None => rested = self.server.quiet()? == Quiet::Yes,
            }
        }
        Ok(Circle { calls, processor: self.server.processor_time().saturating_sub(before), rested })
    }

    /// The trace's word for a call that was let in.
    fn told(&mut self, passed: &Passed, broken: bool) -> Result<Called, KernelError> {
        let client = if passed.accepts {
            let taken = matches!(passed.result, Some(Ok(_)) | None);
            let taken = if taken { self.accepted()? } else { None };
            taken.map(|i| self.connections[i].client.name)
        } else {
            let of = |cookie| self.connections.iter().find(|c| c.cookie == Some(cookie)).map(|c| c.client.name);
            passed.cookie.and_then(of)
        };
        let result = passed.result.unwrap_or(if passed.moves { Err(Errno::UNSEEN) } else { Ok(0) });
        Ok(Called {
            call: Call::Other(passed.name),
            client,
            result: if broken { Err(Errno::EPIPE) } else { result },
            sigpipe: broken,
        })
    }

    /// Which of the connections that waited has just been accepted: the first, unless the kernel says that it still waits. With
    /// several listeners each has a queue of its own, and with TCP_DEFER_ACCEPT one that sends comes before one that does not.
    fn accepted(&mut self) -> Result<Option<usize>, KernelError> {
        let mut place = 0;
        if self.queue.len() > 1 {
            for (n, i) in self.queue.iter().enumerate() {
                if self.netstat.is_accepted((self.address, self.connections[*i].client.address))? {
                    place = n;
                    break;
                }
            }
        }
        Ok(self.queue.remove(place))
    }

    /// Takes note of a call that a process has made, and gives the client of the connection that it was made on.
    fn note(&mut self, passed: &Passed) -> Option<Client> {
        let client = passed.cookie.and_then(|cookie| self.connections.iter().find(|c| c.cookie == Some(cookie)));
        let client = client.map(|c| c.client.name);
        self.history.called(passed, client);
        client
    }

    /// Takes note of processes that have ended.
    fn note_ends(&mut self) {
        for interrupted in std::mem::take(&mut self.server.interrupted) {
            self.note(&interrupted);
        }
        for death in self.server.deaths() {
            let (role, after) = self.history.ended(death.pid, self.main);
            let ended = Ended { death, role, after };
            if role == Role::Main {
                self.main_ended = Some(match (death.signal(), death.code()) {
                    (Some(signal), _) => Ending::Killed(Signal::from_raw(signal)),
                    (_, Some(code)) => Ending::Exited(code),
                    _ => Ending::Ended,
                });
            }
            self.ended.push(ended);
        }
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
