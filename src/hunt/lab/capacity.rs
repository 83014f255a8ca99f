//! How many clients that are silent leave a server able to serve another one, and for how long it serves nobody beside more.

use super::manner::Manner;
use super::{EXAMINING, Lab};
use crate::detect::detector::Observation;
use crate::detect::outcome::Outcome;
use crate::detect::shut_out::{Later, Shut};
use crate::hunt::baseline::{HuntError, ShutOut, Silent};
use crate::hunt::health_check::Answered;
use crate::linux::KernelError;
use crate::linux::foreign::world::Foreign;
use crate::scenario::{Action, Client, Event, MAX_CLIENTS};
use crate::subject::Polite;
use crate::trace::{End, Reply, TcpState};
use crate::world::World;
use std::time::{Duration, Instant};

/// How many polite clients have to be left unserved, one after the other. Where several processes have a listener each (SO_REUSEPORT), the
/// kernel gives each connection to one of them by chance, and that one may be busy.
const ASKED: usize = 8;
/// The same while it is learnt what the server bears, of one in real time. If that is too few, less is judged later.
const ASKED_IN_REAL_TIME: usize = 2;
/// How much real time is spent on each kind of client. If that is too little, less is judged later.
const LONG: Duration = Duration::from_secs(1);
/// How long a server is watched that serves nobody, in virtual time.
const MOST_VIRTUAL: Duration = Duration::from_secs(2 * 3600);
/// How much real time that may take.
const MOST_REAL: Duration = Duration::from_secs(20);

/// The numbers of silent clients beside which a server still serves another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capacity {
    /// For the kind of silent client that it bears most of.
    most: usize,
    /// For the kind that it bears least of.
    least: usize,
}

/// Whether it is a fault that a server serves nobody beside so many clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    No,
    Yes,
    /// Only if it would go on for ever: a server may have a limit that its timeouts make up for.
    IfForEver,
}

impl Capacity {
    /// From the number for each kind of silent client that the server keeps: of those that a server closes after a time, and of others. Whoever
    /// does not read is no measure of what a server can bear.
    fn of(timed: &[usize], others: &[usize], concurrent: bool) -> Capacity {
        match (timed.iter().max(), timed.iter().chain(others).min()) {
            (Some(&most), Some(&least)) => Capacity { most, least },
            (None, Some(&least)) if concurrent => Capacity { most: MAX_CLIENTS, least },
            // It closes the connection of everybody who is silent, so that no such client can keep it busy.
            _ if concurrent => Capacity { most: MAX_CLIENTS, least: MAX_CLIENTS },
            _ => Capacity::default(),
        }
    }

    /// `others` are connected besides the clients of the scenario.
    fn judged(self, clients: usize, others: usize) -> Judged {
        match (clients, clients + others) {
            (0, _) => Judged::No,
            (_, all) if all > self.most => Judged::No,
            (1, _) => Judged::Yes,
            (_, all) if all <= self.least => Judged::Yes,
            _ => Judged::IfForEver,
        }
    }
}

/// How many silent clients of one kind a server bears.
struct Borne {
    /// The number beside which another one is served, at most [`MAX_CLIENTS`].
    clients: usize,
    /// The number beside which none is, and after what virtual time one is served all the same.
    shut: Option<(usize, Option<Duration>)>,
}

/// How a polite client is asked for beside others.
pub(super) struct Asking<'t> {
    pub(super) manner: Manner<'t>,
    /// How long each waits for its answer.
    pub(super) bound: Duration,
    pub(super) capacity: Capacity,
    /// Whether the failure is examined, and not only suspected.
    pub(super) examines: bool,
}

impl Asking<'_> {
    /// Asks as polite clients while the clients of a scenario are connected, if it would be a fault that none is served.
    pub(super) fn while_held(&self, world: &mut Foreign) -> Result<Option<Shut>, KernelError> {
        let clients = world.held_clients();
        let judged = self.capacity.judged(clients, world.own_clients());
        let is_fit = !world.has_spin() && world.main_ended().is_none() && !world.was_short() && !world.is_limited();
        // If all of them have vanished, that is asked later, when nobody else is there. What clients have done that have left shows when all
        // have.
        if judged == Judged::No || clients == world.vanished() || world.has_left() || !is_fit {
            return Ok(None);
        }
        let waits = world.server.waits_in().iter().map(|(_, call)| *call).collect();
        let start = world.server.now();
        let asked = if self.examines || judged == Judged::IfForEver { ASKED } else { 1 };
        let Some(answered) = self.is_shut(world, asked)? else { return Ok(None) };
        let later = if asked == ASKED { self.served_later(world, start)? } else { Later::Unknown };
        let is_fault = judged == Judged::Yes || later.is_never();
        Ok(is_fault.then(|| Shut { clients, asked, answered: answered.to_string(), waits, later }))
    }

    /// Whether none of this number of polite clients, one after the other, is served. Returns what the last one got.
    fn is_shut(&self, world: &mut Foreign, asked: usize) -> Result<Option<Answered>, KernelError> {
        let mut last = None;
        for _ in 0..asked {
            let answered = self.manner.ask(world, self.bound)?;
            // A server may be busy with a polite client until that reads on.
            world.spins_on()?;
            if answered.is_full() || world.main_ended().is_some() || world.has_spin() {
                return Ok(None);
            }
            last = Some(answered);
        }
        Ok(last)
    }

    /// Asks as polite clients until one is served. Says after what virtual time since `start`.
    pub(super) fn served_later(&self, world: &mut Foreign, start: Instant) -> Result<Later, KernelError> {
        if world.server.real_time().is_some() {
            return Ok(Later::Unknown);
        }
        let (real, mut bound) = (Instant::now(), self.bound);
        loop {
            let answered = self.manner.ask(world, bound)?;
            let time = world.server.now().saturating_duration_since(start);
            if answered.is_full() {
                return Ok(Later::After(time));
            }
            if real.elapsed() >= MOST_REAL || world.is_stopped() || world.main_ended().is_some() {
                return Ok(Later::Unknown);
            }
            if time >= MOST_VIRTUAL {
                return Ok(Later::NotIn(time));
            }
            if matches!(answered, Answered::Silent(_)) && world.is_at_rest() {
                return Ok(Later::Never);
            }
            bound = (bound * 2).min(MOST_VIRTUAL);
            if !matches!(answered, Answered::Silent(_)) {
                // One that is refused does not wait.
                let until = world.server.now() + bound;
                while world.server.now() < until && real.elapsed() < MOST_REAL && !world.is_stopped() {
                    world.idle(until)?;
                }
            }
        }
    }
}

impl Lab<'_> {
    /// Learns how many silent clients of each kind leave another one served. Returns what keeps others from being served.
    pub(super) fn learn_capacity(&mut self, concurrent: bool) -> Result<Vec<ShutOut>, HuntError> {
        let payload = self.target.payloads().into_iter().next();
        let (mut shut_out, mut timed, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for silent in Silent::ALL {
            let Some(acts) = silent.acts(payload.as_ref()) else { continue };
            // A server that is known to serve one client after the other was seen to leave one unserved already.
            let asked = if concurrent { ASKED } else { 1 };
            let Some(Borne { clients, shut }) = self.borne(&acts, asked)? else { continue };
            self.still_wanted()?;
            (if Silent::TIMED.contains(&silent) { &mut timed } else { &mut others }).push(clients);
            if let Some((clients, time)) = shut {
                shut_out.push(ShutOut { silent, clients, time });
                // It may have been left alone for hours.
                self.begin()?;
            }
            if clients == 0 && !concurrent {
                // Whatever they say, one after the other.
                break;
            }
        }
        self.capacity = Capacity::of(&timed, &others, concurrent);
        Ok(shut_out)
    }

    /// How many clients that connect, do this and are silent the server bears. `None` if it does not keep such clients.
    fn borne(&mut self, acts: &[Action], asked: usize) -> Result<Option<Borne>, HuntError> {
        let is_command = matches!(self.target.polite, Polite::Command(_));
        let asking = Asking { manner: self.manner(), bound: EXAMINING, capacity: self.capacity, examines: true };
        let world = &mut self.running()?.world;
        // In real time each that is not served takes its whole bound.
        let asked = if world.server.real_time().is_some() { asked.min(ASKED_IN_REAL_TIME) } else { asked };
        let (mut borne, mut shut, begun) = (0, None, Instant::now());
        for n in 1..=MAX_CLIENTS {
            let client = Client::nth(n - 1);
            let events = acts.iter().map(|action| Event::Client(client, action.clone()));
            world.foresee(&events.collect::<Vec<_>>());
            let mut connected = matches!(world.act(client, &Action::Connect)?, Reply::Ok(_));
            world.settle()?;
            for (i, action) in acts.iter().enumerate() {
                if !connected {
                    break;
                }
                let replied = world.act(client, action)?;
                // One that does not read cannot send on for ever.
                connected = i > 1 || matches!(replied, Reply::Ok(_));
                world.settle()?;
            }
            let reads = !acts.iter().any(|action| matches!(action, Action::Stall | Action::Vanish));
            if n == 1 {
                connected &= !reads || world.drain(client)? == End::Open;
                connected &= world.server_side(client)?.is_some_and(|side| {
                    !side.closed && matches!(side.state, TcpState::Established | TcpState::CloseWait)
                });
            }
            if n == 1 && !connected {
                world.clear(None)?;
                return Ok(None);
            }
            let took = begun.elapsed();
            if took > LONG {
                break;
            }
            // A command takes long, and so does each step of a server with hundreds of threads.
            if !connected || ((is_command || took > LONG / 4) && !n.is_power_of_two()) {
                continue;
            }
            let start = world.server.now();
            if asking.is_shut(world, asked)?.is_some() {
                shut = Some((n, asking.served_later(world, start)?.time()));
                break;
            }
            borne = n;
        }
        world.clear(None)?;
        Ok(Some(Borne { clients: borne, shut }))
    }
}

impl Outcome {
    /// Records that nobody was served while clients were connected.
    pub(super) fn shut(&mut self, shut: Option<&Shut>) {
        shut.into_iter().for_each(|shut| self.observe(&Observation::ShutOut(shut)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_judged_by_what_it_bears_of_the_kind_that_it_bears_most_of() {
        let judged = |borne: &[usize], concurrent, clients| Capacity::of(borne, &[], concurrent).judged(clients, 0);
        // It serves one client after the other.
        assert_eq!(judged(&[0, 0, 0], false, 1), Judged::No);
        // A pool of ten.
        assert_eq!([1, 9, 10].map(|n| judged(&[9, 9], true, n)), [Judged::Yes, Judged::Yes, Judged::No]);
        assert_eq!([8, 9].map(|n| Capacity::of(&[9, 9], &[], true).judged(n, 1)), [Judged::Yes, Judged::No]);
        // Half a request is enough to keep it busy, for all that it bears many clients without.
        assert_eq!([1, 2, 65].map(|n| judged(&[64, 0, 64], true, n)), [Judged::Yes, Judged::IfForEver, Judged::No]);
        assert_eq!([4, 5].map(|n| judged(&[64, 4], true, n)), [Judged::Yes, Judged::IfForEver]);
        // It closes all connections but those of clients that do not read.
        assert_eq!([1, 2].map(|n| Capacity::of(&[], &[0], true).judged(n, 0)), [Judged::Yes, Judged::IfForEver]);
        // It keeps no connection that is silent.
        assert_eq!([0, 3].map(|n| judged(&[], true, n)), [Judged::No, Judged::Yes]);
    }
}
