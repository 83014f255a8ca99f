//! Where scenarios are played.
//!
//! A [`World`] has few operations. The [`driver`] plays a scenario with them, whatever the world; a [`schedule`] decides which of a server's
//! pending calls is released next; [`quiescence`] says whether a server can still change while no client acts.

mod driver;
pub(crate) mod quiescence;
pub(crate) mod schedule;
mod stoppable;

pub use driver::play;
pub(crate) use driver::{Probe, happen, play_watched, probe};
pub use stoppable::{Stoppable, Stopped};

use crate::scenario::{Action, Client, Errno, Event, Fault, HarmlessSignal, Limit};
use crate::trace::{At, Called, Detail, Hygiene, Outcome, Reason, Reply, Signal, Survivor, TcpState};
use std::convert::Infallible;
use std::time::Duration;

/// Keeps other crates from implementing [`World`], so that operations can be added to it.
pub(crate) trait Sealed {}

/// A place where scenarios are played. Its two main operations let a client act, and let the server make its pending call if that
/// call can finish now.
///
/// The trait is sealed: the worlds are [`Kernel`](crate::Kernel), [`Model`](crate::Model), and either of them as a [`Stoppable`].
#[expect(private_bounds, reason = "the bound seals the trait")]
pub trait World: Sealed {
    /// A failure of the world itself; never an effect of a scenario or a server.
    type Error;
    /// What [`World::start`] is given about the server: a program and a policy, or nothing if the world has one server for all runs.
    type Setup: ?Sized;

    /// Begins a run. A world that starts servers starts one of this setup, or takes one that is in the state of a fresh server; it is parked
    /// before its first call.
    ///
    /// # Errors
    ///
    /// If the world cannot start such a server.
    fn start(&mut self, setup: &Self::Setup) -> Result<(), Self::Error>;

    /// Gives the world all events that will be played, after [`World::start`] and before the first event. A client's connect may
    /// depend on its later events: one that will stall can get a small receive buffer ([`Action::Stall`]). The default does
    /// nothing.
    fn foresee(&mut self, events: &[Event]) {
        let _ = events;
    }

    /// Lets a client act, and returns the result of its call. An action that the client cannot do does nothing.
    ///
    /// # Errors
    ///
    /// If the world fails, not if the client's call does.
    fn act(&mut self, client: Client, action: &Action) -> Result<Reply, Self::Error>;

    /// Makes the server's next call of this kind fail with the fault's error. Faults for one call are used in the order in which
    /// they were given.
    fn fault(&mut self, fault: Fault);

    /// Limits the server's resources, or lifts the limit. A limit is also lifted after all clients have gone. The default does
    /// nothing, because a server that is a program has no resources of its own.
    ///
    /// # Errors
    ///
    /// If the world fails, not if the kernel does not permit it.
    fn limit(&mut self, limit: Limit) -> Result<Reply, Self::Error> {
        let _ = limit;
        Ok(Reply::Nothing(Reason::Program))
    }

    /// Sends a signal to each process of the server that has a handler for it. The default does nothing, because a server that is
    /// a program has no such handler.
    ///
    /// # Errors
    ///
    /// If the world fails, not if the kernel does not permit it.
    fn signal(&mut self, signal: HarmlessSignal) -> Result<Reply, Self::Error> {
        let _ = signal;
        Ok(Reply::Nothing(Reason::Program))
    }

    /// Called when the server is held (`true`) or released (`false`). The default does nothing: it suits a world whose server
    /// does not run between two steps.
    ///
    /// # Errors
    ///
    /// If the world fails.
    fn hold(&mut self, held: bool) -> Result<(), Self::Error> {
        let _ = held;
        Ok(())
    }

    /// Lets this much time pass on the server's clock, whatever the server does meanwhile. A world whose servers are programs does nothing:
    /// a program has no clock.
    ///
    /// # Errors
    ///
    /// If the world fails.
    fn wait(&mut self, time: Duration) -> Result<(), Self::Error>;

    /// From now on these names mean new clients, which have not connected. The connections of the old clients stay open until the
    /// teardown, but [`World::sockets`] no longer lists them.
    ///
    /// # Errors
    ///
    /// If the world fails.
    fn forget(&mut self, clients: &[Client]) -> Result<(), Self::Error>;

    /// Lets the server make its pending call, if that call can finish now.
    ///
    /// # Errors
    ///
    /// If the world fails, not if the server's call does.
    fn step(&mut self) -> Result<Stepped, Self::Error>;

    /// What else is known of the call that [`World::step`] returned last. The default is `None`, for a world whose servers are programs.
    fn detail(&self) -> Option<Detail> {
        None
    }

    /// Appends the state of each server-side TCP socket to `out`, in the order in which the clients connected.
    ///
    /// # Errors
    ///
    /// If the states cannot be read.
    fn sockets(&mut self, out: &mut Vec<(Client, TcpState)>) -> Result<(), Self::Error>;

    /// Closes the sockets of all clients of this name, forgotten ones too, with a plain `close(2)`, in the order in which they
    /// connected. Clients that have vanished are skipped.
    ///
    /// # Errors
    ///
    /// If the world fails, not if a client's call does.
    fn close(&mut self, client: Client) -> Result<Reply, Self::Error>;

    /// The first name after `after`, or the first of all if it is `None`, among the clients that have connected and neither
    /// closed nor vanished, forgotten ones too.
    fn next_open(&self, after: Option<Client>) -> Option<Client>;

    /// Examines the settled server after every client has gone. If the server is back at `accept`, a fresh client may connect to
    /// find out whether the server still serves. A world whose caller examines the server itself returns the default, which says that
    /// nothing was examined.
    ///
    /// # Errors
    ///
    /// If the world fails, not if the server does.
    fn survivor(&mut self) -> Result<Survivor, Self::Error>;

    /// Ends the run. Afterwards the world holds nothing of it that the next run could notice.
    ///
    /// # Errors
    ///
    /// If something could not be cleaned up.
    fn finish(&mut self) -> Result<(), Self::Error>;
}

/// The result of [`World::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// The server's pending call cannot finish now.
    Blocked,
    /// The server made the call, and is parked before the next.
    Called(Called),
    /// The server ended, in or after the call if it made one.
    Ended(Option<Called>, Ending),
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A signal killed the server.
    Killed(Signal),
    /// The server ended by itself, with this exit code.
    Exited(i32),
    /// The server ended, and the kernel does not tell how: before Linux 6.15, if another process has reaped it.
    Ended,
    /// The server did not come to its next call within the time bound.
    Stuck,
}

impl Ending {
    pub(super) const fn outcome(self, at: At) -> Outcome {
        match self {
            Ending::Killed(signal) => Outcome::Killed { signal, at },
            Ending::Exited(code) => Outcome::Exited { code, at },
            Ending::Ended => Outcome::Ended { at },
            Ending::Stuck => Outcome::Stuck { at },
        }
    }
}

/// The result of a world that cannot fail.
pub(crate) fn certain<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

impl Hygiene {
    /// Whether nothing was left behind and the server still serves.
    pub fn is_clean(&self) -> bool {
        *self == Hygiene::CLEAN
    }
}

impl Survivor {
    /// A survivor that is back at `accept`.
    pub(crate) const fn at_accept(pending: bool, hygiene: Hygiene) -> Survivor {
        Survivor { waits_on: None, pending, hygiene: Some(hygiene) }
    }
}

/// Whether a send that failed with `errno` raised SIGPIPE; `raising` says whether the server's sends can raise it.
pub(crate) const fn raises(errno: Errno, raising: bool) -> bool {
    raising && errno.raw() == Errno::EPIPE.raw()
}
