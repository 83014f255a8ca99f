//! The one loop that plays a scenario, written once and generic over the world.

use crate::scenario::{Action, Call, Client, Errno, Event, Fault, HarmlessSignal, Limit, Repeat};
use crate::trace::{At, Called, End, Hygiene, Outcome, Reason, Reply, Signal, Survivor, TcpState, Trace};
use std::convert::Infallible;
use std::time::Duration;

/// A place where scenarios are played. There are two ways to touch it: let a client act, and let the server make its
/// pending call, if that call can finish now.
pub trait World {
    /// What keeps the world from going on; nothing that a scenario or a server does.
    type Error;
    /// What a server is to be: a program and a policy, a command line.
    type Setup: ?Sized;

    /// Begins a run with a server of this setup, parked before its first call.
    ///
    /// # Errors
    ///
    /// If the world cannot make one.
    fn start(&mut self, setup: &Self::Setup) -> Result<(), Self::Error>;

    /// Learns, once the run has begun and before its first event, all that is going to be played: what a client is like from its
    /// connect on may depend on what it will do ([`Action::Stall`]). By default nothing is made of it.
    fn foresee(&mut self, events: &[Event]) {
        let _ = events;
    }

    /// Lets a client act, and gives what its call returned. An action that the client cannot do does nothing.
    ///
    /// # Errors
    ///
    /// If the world fails, not if the client's call does.
    fn act(&mut self, client: Client, action: &Action) -> Result<Reply, Self::Error>;

    /// Has the server's next such call answered with an error. Faults of one call are used up in the order they were given in.
    fn fault(&mut self, fault: Fault);

    /// Limits the server's resources, or lifts the limit, which in the end is lifted in any case: when all clients have gone. By default it
    /// does nothing, for a program that is described has no resources of its own.
    ///
    /// # Errors
    ///
    /// If the world fails, not if it may not.
    fn limit(&mut self, limit: Limit) -> Result<Reply, Self::Error> {
        let _ = limit;
        Ok(Reply::Nothing(Reason::Program))
    }

    /// Sends a signal to each process of the server that has a handler for it. By default it does nothing, for a program that is described
    /// has none.
    ///
    /// # Errors
    ///
    /// If the world fails, not if it may not.
    fn signal(&mut self, signal: HarmlessSignal) -> Result<Reply, Self::Error> {
        let _ = signal;
        Ok(Reply::Nothing(Reason::Program))
    }

    /// Is told that the server is held from here on, or no longer: a world whose server goes nowhere between two steps has nothing to do.
    ///
    /// # Errors
    ///
    /// If the world fails.
    fn hold(&mut self, held: bool) -> Result<(), Self::Error> {
        let _ = held;
        Ok(())
    }

    /// Lets real time pass, whatever the server does meanwhile: a world without a clock has nothing to do.
    ///
    /// # Errors
    ///
    /// If the world fails.
    fn wait(&mut self, time: Duration) -> Result<(), Self::Error>;

    /// From here on these names are those of new clients, which have not connected. What the old ones have open stays open until
    /// the teardown; [`World::sockets`] no longer shows it.
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

    /// Adds the state of each server-side TCP socket, in the order in which the clients connected.
    ///
    /// # Errors
    ///
    /// If the states cannot be seen.
    fn sockets(&mut self, out: &mut Vec<(Client, TcpState)>) -> Result<(), Self::Error>;

    /// Closes plainly all that clients of this name have open, forgotten ones and the last, in the order in which they connected. One
    /// that has vanished is left alone.
    ///
    /// # Errors
    ///
    /// If the world fails, not if a client's call does.
    fn close(&mut self, client: Client) -> Result<Reply, Self::Error>;

    /// Of the clients that have connected, not closed and not vanished, forgotten ones too: the first by name after `after`, or of
    /// all.
    fn next_open(&self, after: Option<Client>) -> Option<Client>;

    /// What the settled server is like now that every client is gone. If it is back at `accept`, a fresh client is served
    /// to find out.
    ///
    /// # Errors
    ///
    /// If the world fails, not if the server does.
    fn survivor(&mut self) -> Result<Survivor, Self::Error>;

    /// Ends the run: afterwards the world holds nothing of it that the next could notice.
    ///
    /// # Errors
    ///
    /// If something could not be taken down.
    fn finish(&mut self) -> Result<(), Self::Error>;
}

/// What came of letting the server step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// Its pending call could not finish now.
    Blocked,
    /// It made the call, and is parked before the next.
    Called(Called),
    /// It ended in or after the call.
    Ended(Option<Called>, Ending),
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A signal killed it.
    Killed(Signal),
    /// It ended by itself, with this code.
    Exited(i32),
    /// It ended, and the kernel does not tell how: before Linux 6.15, where another process has reaped it.
    Ended,
    /// It did not come to its next call within the bound.
    Stuck,
}

impl Ending {
    const fn outcome(self, at: At) -> Outcome {
        match self {
            Ending::Killed(signal) => Outcome::Killed { signal, at },
            Ending::Exited(code) => Outcome::Exited { code, at },
            Ending::Ended => Outcome::Ended { at },
            Ending::Stuck => Outcome::Stuck { at },
        }
    }
}

/// Plays `events` in `world` against a server of `setup`, then the teardown, and writes into `trace` what happened.
///
/// # Errors
///
/// The world's; the trace then holds what had happened before.
pub fn play<W: World>(
    world: &mut W,
    setup: &W::Setup,
    events: impl AsRef<[Event]>,
    trace: &mut Trace,
) -> Result<(), W::Error> {
    trace.clear();
    let events = events.as_ref();
    world.start(setup)?;
    world.foresee(events);
    let outcome = run(world, events, trace)?;
    trace.finish(outcome);
    world.finish()
}

fn run<W: World>(world: &mut W, events: &[Event], trace: &mut Trace) -> Result<Outcome, W::Error> {
    let mut held = false;
    for (i, event) in events.iter().enumerate() {
        let ended = match event {
            Event::Repeat(repeat) => rounds(world, repeat, i, &mut held, trace)?,
            event => step_of(world, event, At::Event(i), &mut held, trace)?,
        };
        if let Some(outcome) = ended {
            return Ok(outcome);
        }
    }
    teardown(world, held, trace)
}

/// Plays a block, the event of this index, round after round. How the run ended, if it did.
#[inline(never)]
fn rounds<W: World>(
    world: &mut W,
    repeat: &Repeat,
    event: usize,
    held: &mut bool,
    trace: &mut Trace,
) -> Result<Option<Outcome>, W::Error> {
    let mut last = None;
    // Both fit: a block has at most so many rounds, and no scenario so many events.
    for round in 0..repeat.times() as u16 {
        world.forget(repeat.newcomers())?;
        let start = trace.mark();
        for (inner, one) in repeat.events().iter().enumerate() {
            let at = At::Round { event, round, inner: inner as u32 };
            if let Some(outcome) = step_of(world, one, at, held, trace)? {
                return Ok(Some(outcome));
            }
        }
        last = Some(trace.fold(last, start));
    }
    Ok(None)
}

/// Lets one event happen and makes a step of it. How the run ended, if it did.
#[inline]
fn step_of<W: World>(
    world: &mut W,
    event: &Event,
    at: At,
    held: &mut bool,
    trace: &mut Trace,
) -> Result<Option<Outcome>, W::Error> {
    let (reply, ending) = happen(world, event, held, trace)?;
    trace.push_step(at, reply, |out| world.sockets(out))?;
    Ok(ending.map(|end| end.outcome(at)))
}

/// Lets one event happen, which is no block, then the server step until it is settled, unless it is held. Gives the event's reply, and how
/// the server ended if it did; adds the calls to `trace`.
pub(crate) fn happen<W: World>(
    world: &mut W,
    event: &Event,
    held: &mut bool,
    trace: &mut Trace,
) -> Result<(Reply, Option<Ending>), W::Error> {
    let reply = match event {
        Event::Client(client, action) => world.act(*client, action)?,
        Event::Hold if *held => Reply::Nothing(Reason::AlreadyHeld),
        Event::Step | Event::Go if !*held => Reply::Nothing(Reason::NotHeld),
        Event::Hold | Event::Go => {
            *held = !*held;
            world.hold(*held)?;
            Reply::Ok(0)
        }
        Event::Step => match step(world, trace)? {
            Progress::Blocked => Reply::Nothing(Reason::Blocked),
            Progress::Called => Reply::Ok(0),
            Progress::Ended(end) => return Ok((Reply::Ok(0), Some(end))),
        },
        Event::Fault(fault) => {
            world.fault(*fault);
            Reply::Ok(0)
        }
        Event::Wait(wait) => {
            world.wait(wait.time())?;
            Reply::Ok(0)
        }
        Event::Limit(limit) => world.limit(*limit)?,
        Event::Signal(signal) => world.signal(*signal)?,
        // A block is played round by round, and its events come here one by one.
        Event::Repeat(_) => Reply::Ok(0),
    };
    let ending = if *held { None } else { settle(world, trace)? };
    Ok((reply, ending))
}

/// Opens the gate, then closes each client still open, in the order of their names, settling after each name.
fn teardown<W: World>(world: &mut W, held: bool, trace: &mut Trace) -> Result<Outcome, W::Error> {
    let mut next = if held { Some(At::TeardownGo) } else { world.next_open(None).map(At::Teardown) };
    while let Some(at) = next {
        let (reply, last) = match at {
            At::Teardown(client) => (world.close(client)?, Some(client)),
            _ => {
                world.hold(false)?;
                (Reply::Ok(0), None)
            }
        };
        let ending = settle(world, trace)?;
        trace.push_step(at, reply, |out| world.sockets(out))?;
        if let Some(end) = ending {
            return Ok(end.outcome(at));
        }
        next = world.next_open(last).map(At::Teardown);
    }
    Ok(Outcome::Survived(world.survivor()?))
}

enum Progress {
    Blocked,
    Called,
    Ended(Ending),
}

fn step<W: World>(world: &mut W, trace: &mut Trace) -> Result<Progress, W::Error> {
    Ok(match world.step()? {
        Stepped::Blocked => Progress::Blocked,
        Stepped::Called(called) => {
            trace.push_call(called);
            Progress::Called
        }
        Stepped::Ended(called, end) => {
            called.into_iter().for_each(|c| trace.push_call(c));
            Progress::Ended(end)
        }
    })
}

/// Lets the server step until nothing it waits for is ready. That is all that *settled* means.
fn settle<W: World>(world: &mut W, trace: &mut Trace) -> Result<Option<Ending>, W::Error> {
    loop {
        match step(world, trace)? {
            Progress::Blocked => return Ok(None),
            Progress::Called => {}
            Progress::Ended(end) => return Ok(Some(end)),
        }
    }
}

/// Has a fresh client served by a settled server that is back at `accept`: it connects, half-closes, reads to the end and
/// closes. Gives whether the server accepted it, sent an end of file and is back; no trace shows these steps.
pub(crate) fn probe<W: World>(world: &mut W, client: Client) -> Result<Probe, W::Error> {
    let mut probe = Probe::default();
    for action in [Action::Connect, Action::Fin] {
        world.act(client, &action)?;
        probe.settle(world, client)?;
    }
    loop {
        let calls = probe.calls;
        let reply = world.act(client, &Action::Recv)?;
        probe.settle(world, client)?;
        match reply {
            Reply::Received { end: End::Eof, .. } => break probe.eof = true,
            // A server whose window was closed goes on now. One that does nothing more never will.
            Reply::Received { bytes, end: End::Open } if bytes > 0 || probe.calls > calls => {}
            _ => break,
        }
    }
    world.act(client, &Action::Close)?;
    probe.settle(world, client)?;
    Ok(probe)
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probe {
    pub(crate) accepted: bool,
    pub(crate) eof: bool,
    pub(crate) ended: bool,
    calls: u64,
}

impl Probe {
    fn settle<W: World>(&mut self, world: &mut W, client: Client) -> Result<(), W::Error> {
        while !self.ended {
            match world.step()? {
                Stepped::Blocked => break,
                Stepped::Called(called) => {
                    self.calls += 1;
                    self.accepted |= called.call == Call::Accept && called.client == Some(client);
                }
                Stepped::Ended(..) => self.ended = true,
            }
        }
        Ok(())
    }

    /// Whether the client was served to its end.
    pub(crate) const fn served(&self) -> bool {
        self.accepted && self.eof && !self.ended
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

/// What a send that failed with this did beside failing.
pub(crate) const fn raises(errno: Errno, raising: bool) -> bool {
    raising && errno.raw() == Errno::EPIPE.raw()
}
