//! A world whose runs end when the user interrupts.

use super::failure::Failure;
use super::interrupt::Interrupt;
use brokenpipe::{Action, Client, Event, Fault, KernelError, Reply, Stepped, Survivor, TcpState, World};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest part of a `wait` between two checks for an interruption.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A world in which every operation that can fail gives [`Stopped::Interrupted`] once the user has interrupted. An interrupted run leaves
/// the world in the same state as a run that failed.
#[derive(Debug)]
pub(super) struct Stoppable<W> {
    world: W,
    stop: Arc<AtomicBool>,
}

/// Why a run ended early.
#[derive(Debug)]
pub(super) enum Stopped<E> {
    /// The user interrupted.
    Interrupted,
    /// The world's own error.
    World(E),
}

impl From<Stopped<KernelError>> for Failure {
    fn from(stopped: Stopped<KernelError>) -> Failure {
        match stopped {
            Stopped::Interrupted => Failure::Interrupted,
            Stopped::World(error) => error.into(),
        }
    }
}

impl From<Stopped<Infallible>> for Failure {
    fn from(stopped: Stopped<Infallible>) -> Failure {
        match stopped {
            Stopped::Interrupted => Failure::Interrupted,
            Stopped::World(never) => match never {},
        }
    }
}

impl<W> Stoppable<W> {
    pub(super) fn new(world: W, interrupt: &Interrupt) -> Stoppable<W> {
        Stoppable { world, stop: interrupt.flag() }
    }
}

impl<W: World> Stoppable<W> {
    /// Calls `act`, unless the user has interrupted.
    fn unless<T>(&mut self, act: impl FnOnce(&mut W) -> Result<T, W::Error>) -> Result<T, Stopped<W::Error>> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped::Interrupted);
        }
        act(&mut self.world).map_err(Stopped::World)
    }
}

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

    fn hold(&mut self, held: bool) -> Result<(), Self::Error> {
        self.unless(|world| world.hold(held))
    }

    fn wait(&mut self, time: Duration) -> Result<(), Self::Error> {
        let mut left = time;
        while left > ASK_AGAIN {
            self.unless(|world| world.wait(ASK_AGAIN))?;
            left -= ASK_AGAIN;
        }
        self.unless(|world| world.wait(left))
    }

    fn forget(&mut self, clients: &[Client]) -> Result<(), Self::Error> {
        self.unless(|world| world.forget(clients))
    }

    fn step(&mut self) -> Result<Stepped, Self::Error> {
        self.unless(W::step)
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
