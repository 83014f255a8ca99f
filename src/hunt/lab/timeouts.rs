//! Learns at which times a server does something about a client that is silent: when it closes the connection, and when it wakes up.

use super::{EXAMINING, Lab};
use crate::hunt::baseline::{HuntError, Silent, Timeout};
use crate::linux::foreign::patience::Patience;
use crate::scenario::{Action, Client, Payload};
use crate::trace::{End, Reply};
use crate::world::World;
use std::time::{Duration, Instant};

/// For how long a client is silent, in virtual time.
const SILENT: Duration = Duration::from_secs(2 * 3600);
/// A server that wakes up again and again is watched for this many times. 1,000 are 100 s of a server that does so ten times a second.
const MOST_JUMPS: u64 = 1000;
/// A server that wakes up more often than this has no deadlines for its clients that could be told from others.
const FEW: usize = 12;
/// How much real time this may take for each client.
const BOUND: Duration = Duration::from_secs(10);

/// A time at which a server does something about a client that is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hunt) struct Mark {
    pub(in crate::hunt) silent: Silent,
    pub(in crate::hunt) time: Duration,
    /// Whether it does so again and again, whatever its clients do.
    pub(in crate::hunt) is_periodic: bool,
}

impl Lab<'_> {
    /// Has a client of each kind be silent. Returns when the server closes its connection, and at what times it does something. Both are
    /// empty for a server in real time.
    pub(super) fn timeouts(&mut self) -> Result<(Vec<Timeout>, Vec<Mark>), HuntError> {
        let (mut timeouts, mut marks) = (Vec::new(), Vec::new());
        let jumps = self.running()?.world.server.has_virtual_time().is_ok();
        if !jumps {
            return Ok((timeouts, marks));
        }
        // What other clients have left behind has deadlines too.
        self.begin()?;
        let payload = self.target.payloads().into_iter().next();
        self.serves_beside_silent = true;
        for silent in Silent::TIMED {
            let Some(said) = silent.says(payload.as_ref()) else { continue };
            let (closed, wakes) = self.is_silent(said)?;
            self.still_wanted()?;
            timeouts.extend(closed.map(|time| Timeout { silent, time }));
            // Of one that wakes up again and again, the first time stands for all.
            let is_periodic = wakes.len() > FEW;
            let some = if is_periodic { usize::from(silent == Silent::Connected) } else { wakes.len() };
            let mut times: Vec<Mark> =
                wakes.into_iter().take(some).map(|time| Mark { silent, time, is_periodic }).collect();
            times.extend(closed.map(|time| Mark { silent, time, is_periodic: false }));
            times.sort_unstable_by_key(|mark| (mark.time.as_millis(), mark.is_periodic));
            times.dedup_by_key(|mark| mark.time.as_millis());
            marks.extend(times);
        }
        Ok((timeouts, marks))
    }

    /// A client connects, sends this, and is silent. Returns when the server has closed the connection, if it has, and when it woke up.
    fn is_silent(&mut self, said: Option<Payload>) -> Result<(Option<Duration>, Vec<Duration>), HuntError> {
        const CLIENT: Client = Client::BYSTANDER;
        let world = &mut self.running()?.world;
        let (mut closed, mut wakes) = (None, Vec::new());
        let mut connected = matches!(world.act(CLIENT, &Action::Connect)?, Reply::Ok(_));
        world.settle()?;
        if let Some(payload) = said {
            connected &= matches!(world.act(CLIENT, &Action::Send(payload))?, Reply::Ok(_));
            world.settle()?;
        }
        let (start, real) = (world.server.now(), Instant::now());
        if connected {
            let beside = self.polite_beside(EXAMINING)?;
            self.serves_beside_silent &= beside.is_full();
        }
        let world = &mut self.running()?.world;
        let patience = Patience::new(&world.server);
        let mut jumps = Some(0);
        while connected && jumps < Some(MOST_JUMPS) && real.elapsed() < BOUND && !world.is_stopped() {
            let passed = world.server.now().saturating_duration_since(start);
            if world.take(CLIENT).1 != End::Open {
                // A connection that is closed at once has no timeout.
                closed = (jumps > Some(0)).then_some(passed);
                break;
            }
            if world.is_at_rest() || world.is_let_in_by_the_kernel() || world.has_spin() || passed >= SILENT {
                break;
            }
            world.idle(start + SILENT)?;
            let now = patience.jumps(&world.server);
            if now > jumps {
                wakes.push(world.server.now().saturating_duration_since(start));
            }
            jumps = now;
        }
        if world.has_spin() || world.main_ended().is_some() {
            // The scenarios will show what it did at that time.
            self.begin()?;
            return Ok((None, wakes));
        }
        world.close(CLIENT)?;
        world.settle()?;
        world.forget(&[CLIENT])?;
        world.clear(None)?;
        Ok((closed, wakes.into_iter().filter(|time| *time < SILENT).collect()))
    }
}
