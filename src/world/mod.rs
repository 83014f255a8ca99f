//! The [`World`] trait, and the one loop that plays a scenario, generic over the world.

use crate::scenario::{Action, Call, Client, Errno, Event, Fault, HarmlessSignal, Limit, Repeat};
use crate::trace::{At, Called, End, Hygiene, Outcome, Reason, Reply, Signal, Survivor, TcpState, Trace};
use std::convert::Infallible;
use std::time::Duration;

/// A place where scenarios are played. Its two main operations let a client act, and let the server make its pending call if that
/// call can finish now.
pub trait World {
    /// A failure of the world itself; never an effect of a scenario or a server.
    type Error;
    /// The server to start: a program and a policy, for example.
    type Setup: ?Sized;

    /// Begins a run with a server of this setup, which is parked before its first call.
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

    /// Lets this much real time pass, whatever the server does meanwhile. A world without a clock does nothing.
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
    /// find out whether the server still serves.
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
    const fn outcome(self, at: At) -> Outcome {
        match self {
            Ending::Killed(signal) => Outcome::Killed { signal, at },
            Ending::Exited(code) => Outcome::Exited { code, at },
            Ending::Ended => Outcome::Ended { at },
            Ending::Stuck => Outcome::Stuck { at },
        }
    }
}

/// Plays `events` and then the teardown in `world` against a server of `setup`, and writes what happened into `trace`.
///
/// # Errors
///
/// Those of the world. `trace` then holds what happened before the error.
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

/// Plays a block, which is the event of index `event`, round after round. Returns how the run ended, if it did.
#[inline(never)]
fn rounds<W: World>(
    world: &mut W,
    repeat: &Repeat,
    event: usize,
    held: &mut bool,
    trace: &mut Trace,
) -> Result<Option<Outcome>, W::Error> {
    let mut last = None;
    // The casts lose nothing: a block has at most 10,000 rounds (`ROUNDS`), and no scenario has 2^32 events.
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

/// Plays one event and records it as a step. Returns how the run ended, if it did.
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

/// Plays one event that is not a block, then lets the server step until it is settled, unless it is held. Adds the calls to
/// `trace`. Returns the event's reply, and how the server ended if it did.
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
        // `rounds` plays a block, and plays each of its events through this function.
        Event::Repeat(_) => Reply::Ok(0),
    };
    let ending = if *held { None } else { settle(world, trace)? };
    Ok((reply, ending))
}

/// Releases the server if it is held, then closes each client that is still open, in the order of their names. The server settles
/// after each of these steps.
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

/// Lets the server step until its pending call cannot finish now: the server is then *settled*. Returns how it ended, if it did.
fn settle<W: World>(world: &mut W, trace: &mut Trace) -> Result<Option<Ending>, W::Error> {
    loop {
        match step(world, trace)? {
            Progress::Blocked => return Ok(None),
            Progress::Called => {}
            Progress::Ended(end) => return Ok(Some(end)),
        }
    }
}

/// Lets a settled server that is back at `accept` serve a fresh client, which connects, half-closes, reads to the end and closes.
/// The result says whether the server accepted the client, sent an end of file, and ended. No trace shows these steps.
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
            // A server that was blocked on a full window continues after the read. If nothing was read and the server made no
            // call, nothing more will come.
            Reply::Received { bytes, end: End::Open } if bytes > 0 || probe.calls > calls => {}
            _ => break,
        }
    }
    world.act(client, &Action::Close)?;
    probe.settle(world, client)?;
    Ok(probe)
}

/// The result of a probe.
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

    /// Whether the server served the client to its end and is still running.
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

/// Whether a send that failed with `errno` raised SIGPIPE; `raising` says whether the server's sends can raise it.
pub(crate) const fn raises(errno: Errno, raising: bool) -> bool {
    raising && errno.raw() == Errno::EPIPE.raw()
}
