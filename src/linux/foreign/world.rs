//! The world of a server that is another project's program: real clients, and a server behind the [gate](crate::linux::foreign::server).
//!
//! A server is started once and serves run after run, until a run leaves it in a state that the caller no longer trusts. The caller checks
//! after each run what the server has left behind.

mod clear;
mod connections;
mod landing;
mod listeners;
mod notes;
mod one;
mod overtaken;
mod play;
mod reset;
mod spin;
mod time;
mod unread;
mod withheld;

pub(crate) use overtaken::ResetRequest;
use reset::Before;
pub(crate) use spin::{Circle, Spin};
use unread::Unread;
use withheld::Handled;
pub(crate) use withheld::Withheld;

use super::history::{History, Last};
use super::injection::Injection;
use super::start::{NotListening, wait_for_listener};
use crate::linux::error::KernelError;
use crate::linux::foreign::server::{Quiet, Server};
use crate::linux::net::client::ClientSocket;
use crate::linux::net::sock_diag::SockDiag;
use crate::linux::net::tables;
use crate::linux::net::time_wait::Leftovers;
use crate::linux::process::affinity;
use crate::linux::process::guardian::Plan;
use crate::linux::process::tasks::Death;
use crate::scenario::{Client, Fault};
use crate::trace::{Called, Detail, Role, TcpState};
use crate::world::Ending;
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A client's connection, which may have ended.
#[derive(Debug)]
struct Connection {
    client: ClientSocket,
    /// The cookie of the server-side socket (`SO_COOKIE`).
    cookie: Option<u64>,
    state: TcpState,
    /// What decides about the server's calls if an RST arrives.
    before: Before,
    /// What the client has sent and the server has not read.
    unread: Unread,
    /// Whether the client's name still means this connection. `forget` makes the name mean a new client.
    known: bool,
}

/// A process of the server that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) death: Death,
    /// The role of the process in the server.
    pub(crate) role: Role,
    /// The last call of the process.
    pub(crate) after: Option<Last>,
}

/// A running server, and the clients of the run.
#[derive(Debug)]
pub(crate) struct Foreign {
    connections: Vec<Connection>,
    pub(crate) server: Server,
    address: SocketAddrV4,
    /// The pid of the process that counts as the server itself: the process that was started, or, if that has put the server into the
    /// background and ended, the process that listens.
    main: i32,
    /// The inode of the listener that was found when the server started.
    listener: u32,
    sock_diag: SockDiag,
    leftovers: Leftovers,
    injection: Injection,
    /// Whether the server's descriptors were limited in the last run.
    was_limited: bool,
    history: History,
    stalling: Vec<Client>,
    /// What processes have done with the connections of the scenario's clients, by the cookie of the server-side socket.
    handled: BTreeMap<u64, Handled>,
    /// The FINs that were withheld when the first client was closed.
    withheld: Vec<Withheld>,
    /// Whether withheld FINs have been looked for in this run.
    is_withheld_noted: bool,
    reset_requests: Vec<ResetRequest>,
    held: bool,
    /// Whether a `wait` was cut short since this was last asked.
    is_cut_short: bool,
    /// The connections that wait to be accepted, by their index in `connections`.
    queue: VecDeque<usize>,
    /// Calls that were made during a `wait`, and that `step` has not returned yet.
    late: VecDeque<(Called, Option<Detail>)>,
    /// What is known of the call that `step` returned last.
    detail: Option<Detail>,
    /// The beginning of the run, on the server's clock.
    began: Instant,
    /// The numbers of the tasks that have made calls in the run, by their tids.
    tasks: BTreeMap<i32, u32>,
    calls: u32,
    last: Option<(&'static str, Option<Client>)>,
    ended: Vec<Ended>,
    main_ended: Option<Ending>,
    spin: Option<Spin>,
    /// The busy loop in which the server was seen while its descriptors were limited.
    spin_while_short: Option<Spin>,
    /// Whether a suspected busy loop is measured ([`Spin::measured`]).
    pub(crate) measures: bool,
    /// The minimum time for which a busy loop is measured.
    pub(crate) measured_for: Duration,
    /// Set by another thread to stop the run.
    stop: Arc<AtomicBool>,
    /// When the run is stopped, if it has not ended by then.
    pub(crate) deadline: Option<Instant>,
    _pinned: Option<affinity::Pinned>,
    /// The network namespace belongs to the thread, so the world must stay on that thread.
    _not_send: PhantomData<*mut ()>,
}

impl Foreign {
    /// Starts a server and waits until it listens, at most for `bound`: on `port` if that is given, else on any TCP port. Setting `stop`
    /// cancels the start.
    pub(crate) fn start(
        plan: &Plan,
        port: Option<u16>,
        namespace: bool,
        stop: &Arc<AtomicBool>,
        bound: Duration,
    ) -> Result<Foreign, NotListening> {
        let pinned = affinity::Pinned::here();
        let sock_diag = SockDiag::open()?;
        let mut server = Server::start(plan, namespace)?;
        let (entry, main) = wait_for_listener(&mut server, port, stop, bound)?;
        let ip = match entry.address {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST,
            IpAddr::V4(ip) => ip,
            // An IPv6 wildcard listener may accept IPv4 too. The look-up of the IPv4 address below shows whether it does.
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST,
            // An IPv4-mapped IPv6 address.
            IpAddr::V6(ip) => ip.to_ipv4_mapped().ok_or(NotListening::Address(entry.address))?,
        };
        let began = server.now();
        let mut foreign = Foreign {
            connections: Vec::new(),
            server,
            address: SocketAddrV4::new(ip, entry.port),
            main,
            listener: entry.inode,
            sock_diag,
            leftovers: Leftovers::until(Arc::clone(stop)),
            injection: Injection::default(),
            was_limited: false,
            history: History::default(),
            stalling: Vec::new(),
            handled: BTreeMap::new(),
            withheld: Vec::new(),
            is_withheld_noted: false,
            reset_requests: Vec::new(),
            held: false,
            is_cut_short: false,
            queue: VecDeque::new(),
            late: VecDeque::new(),
            detail: None,
            began,
            tasks: BTreeMap::new(),
            calls: 0,
            last: None,
            ended: Vec::new(),
            main_ended: None,
            spin: None,
            spin_while_short: None,
            measures: false,
            measured_for: Duration::ZERO,
            stop: Arc::clone(stop),
            deadline: None,
            _pinned: pinned,
            _not_send: PhantomData,
        };
        if foreign.sock_diag.queue_is_full(foreign.address)?.is_none() {
            // A process that ends closes its sockets before its end can be seen, so let it end first.
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
        // Ends of processes that were needed only for the start are not reported.
        foreign.ended.clear();
        foreign.spin = None;
        match foreign.main_ended {
            Some(_) => Err(NotListening::Ended(foreign.server.main_status())),
            None => Ok(foreign),
        }
    }

    /// The address of the server's listener.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Whether `stop` has been set.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// The number of the server's connections to peers that are no clients of the harness, including those that are being established.
    /// Without the gate, which sees every `connect`, only TCP connections are counted.
    pub(crate) fn peers_outside(&mut self) -> Result<usize, KernelError> {
        if self.server.is_gated() {
            return Ok(self.server.peers_outside());
        }
        let port = self.address.port();
        let others = tables::connected()?.into_iter().filter(|entry| entry.port != port && entry.inode != 0);
        Ok(self.server.count_of(&others.map(|entry| entry.inode).collect()))
    }

    /// Whether there is still a listener at the server's address.
    pub(crate) fn is_listening(&mut self) -> Result<bool, KernelError> {
        Ok(self.sock_diag.queue_is_full(self.address)?.is_some())
    }

    /// The injected errors with which calls were answered in the last run.
    pub(crate) fn injected(&self) -> &[Fault] {
        self.injection.injected()
    }

    /// Whether the server's descriptors were limited in the last run.
    pub(crate) const fn was_limited(&self) -> bool {
        self.was_limited
    }

    /// Whether the server was short of a resource in the last run: an error was injected, or its descriptors were limited.
    pub(crate) fn was_short(&self) -> bool {
        self.was_limited || !self.injected().is_empty()
    }

    /// The processes of the server whose end was seen since this was last asked.
    pub(crate) fn ends(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// How the server itself has ended, if it has.
    pub(crate) fn main_ended(&self) -> Option<Ending> {
        self.main_ended
    }

    /// Whether the harness has made a call of the server return EINTR since this was last asked, or has not waited for as long as it should
    /// have. What was seen meanwhile is then no evidence against the server.
    pub(crate) fn was_perturbed(&mut self) -> bool {
        self.server.was_perturbed() | std::mem::take(&mut self.is_cut_short)
    }

    /// The busy loop in which the server was seen while its descriptors were limited, since this was last asked, if any.
    pub(crate) fn spin_while_short(&mut self) -> Option<Spin> {
        self.spin_while_short.take()
    }

    /// The busy loop in which the server was seen since this was last asked, if any.
    pub(crate) fn spin(&mut self) -> Option<Spin> {
        self.spin.take()
    }

    /// Whether the server was seen in a busy loop since this was last asked of [`Foreign::spin`].
    pub(crate) const fn has_spin(&self) -> bool {
        self.spin.is_some()
    }
}
