//! A world whose runs end when a flag is set.

use super::{Sealed, Stepped, World};
use crate::scenario::{Action, Client, Event, Fault, HarmlessSignal, Limit};
use crate::trace::{Detail, Reply, Survivor, TcpState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A world in which every operation that can fail gives [`Stopped::Interrupted`] once the flag is set. An interrupted run leaves the world
/// in the same state as a run that failed.
#[derive(Debug)]
pub struct Stoppable<W> {
    world: W,
    stop: Arc<AtomicBool>,
}

/// Why a run in a [`Stoppable`] world ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped<E> {
    /// The flag was set.
    #[error("interrupted")]
    Interrupted,
    /// The world failed.
    #[error("{0}")]
    World(E),
}

impl<W> Stoppable<W> {
    /// This world, until `stop` is set.
    pub fn new(world: W, stop: Arc<AtomicBool>) -> Stoppable<W> {
        Stoppable { world, stop }
    }
}

impl<W: World> Stoppable<W> {
    /// Calls `act`, unless the flag is set.
    fn unless<T>(&mut self, act: impl FnOnce(&mut W) -> Result<T, W::Error>) -> Result<T, Stopped<W::Error>> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped::Interrupted);
        }
        act(&mut self.world).map_err(Stopped::World)
    }
}

impl<W> Sealed for Stoppable<W> {}

impl<W: World> World for Stoppable<W> {
    type Error = Stopped<W::Error>;
    type Setup = W::Setup;

    fn start(&mut self, setup: &W::Setup) -> Result<(), Self::Error> {
        self.unless(|world| world.start(setup))
    }

    fn foresee(&mut self, events: &[Event]) {
        self.world.foresee(events);
    }

    fn act(&mut self, client: Client, action: &Action) -> Result<Reply, Self::Error> {
        self.unless(|world| world.act(client, action))
    }

    fn fault(&mut self, fault: Fault) {
        self.world.fault(fault);
    }

    fn limit(&mut self, limit: Limit) -> Result<Reply, Self::Error> {
        self.unless(|world| world.limit(limit))
    }

    fn signal(&mut self, signal: HarmlessSignal) -> Result<Reply, Self::Error> {
        self.unless(|world| world.signal(signal))
    }

    fn hold(&mut self, held: bool) -> Result<(), Self::Error> {
        self.unless(|world| world.hold(held))
    }

    fn wait(&mut self, time: Duration) -> Result<(), Self::Error> {
        self.unless(|world| world.wait(time))
    }

    fn forget(&mut self, clients: &[Client]) -> Result<(), Self::Error> {
        self.unless(|world| world.forget(clients))
    }

    fn step(&mut self) -> Result<Stepped, Self::Error> {
        self.unless(W::step)
    }

    fn detail(&self) -> Option<Detail> {
        self.world.detail()
    }

    fn sockets(&mut self, out: &mut Vec<(Client, TcpState)>) -> Result<(), Self::Error> {
        self.unless(|world| world.sockets(out))
    }

    fn close(&mut self, client: Client) -> Result<Reply, Self::Error> {
        self.unless(|world| world.close(client))
    }

    fn next_open(&self, after: Option<Client>) -> Option<Client> {
        self.world.next_open(after)
    }

    fn survivor(&mut self) -> Result<Survivor, Self::Error> {
        self.unless(W::survivor)
    }

    fn finish(&mut self) -> Result<(), Self::Error> {
        self.unless(W::finish)
    }
}
