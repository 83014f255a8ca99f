//! The one loop that plays a scenario, generic over the world.

use super::{Ending, Stepped, World};
use crate::scenario::{Action, Call, Client, Event, Repeat};
use crate::trace::{At, End, Outcome, Reason, Reply, Trace};

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
    play_watched(world, setup, events, trace, |_| Ok(()))
}

/// The same. Calls `watch` when the events have been played and the server has been released, before any client is closed, unless the
/// server has ended. No trace shows what it does.
pub(crate) fn play_watched<W: World>(
    world: &mut W,
    setup: &W::Setup,
    events: impl AsRef<[Event]>,
    trace: &mut Trace,
    watch: impl FnOnce(&mut W) -> Result<(), W::Error>,
) -> Result<(), W::Error> {
    trace.clear();
    let events = events.as_ref();
    world.start(setup)?;
    world.foresee(events);
    let outcome = run(world, events, trace, watch)?;
    trace.finish(outcome);
    world.finish()
}

fn run<W: World>(
    world: &mut W,
    events: &[Event],
    trace: &mut Trace,
    watch: impl FnOnce(&mut W) -> Result<(), W::Error>,
) -> Result<Outcome, W::Error> {
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
    if held && let Some(outcome) = let_go(world, trace)? {
        return Ok(outcome);
    }
    watch(world)?;
    teardown(world, trace)
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

/// Releases a server that is held at the end of a scenario. Returns how the run ended, if it did.
fn let_go<W: World>(world: &mut W, trace: &mut Trace) -> Result<Option<Outcome>, W::Error> {
    world.hold(false)?;
    settled_step(world, At::TeardownGo, Reply::Ok(0), trace)
}

/// Closes each client that is still open, in the order of their names. The server settles after each.
fn teardown<W: World>(world: &mut W, trace: &mut Trace) -> Result<Outcome, W::Error> {
    let mut last = None;
    while let Some(client) = world.next_open(last) {
        let reply = world.close(client)?;
        if let Some(outcome) = settled_step(world, At::Teardown(client), reply, trace)? {
            return Ok(outcome);
        }
        last = Some(client);
    }
    Ok(Outcome::Survived(world.survivor()?))
}

/// Lets the server settle, and records a step of the teardown. Returns how the run ended, if it did.
fn settled_step<W: World>(world: &mut W, at: At, reply: Reply, trace: &mut Trace) -> Result<Option<Outcome>, W::Error> {
    let ending = settle(world, trace)?;
    trace.push_step(at, reply, |out| world.sockets(out))?;
    Ok(ending.map(|end| end.outcome(at)))
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
            trace.push_call(called, world.detail());
            Progress::Called
        }
        Stepped::Ended(called, end) => {
            called.into_iter().for_each(|c| trace.push_call(c, world.detail()));
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
