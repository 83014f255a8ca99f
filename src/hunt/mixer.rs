//! Makes random scenarios from seeds: changes them event by event and combines them.

use crate::scenario::{Call, Client, Errno, Event, Fault, Payload, Scenario};
use crate::search::{Mutator, shuffled};
use fastrand::Rng;

/// The errors of `accept` that are injected. A server must be able to handle each of them.
const ACCEPT: [Errno; 3] = [Errno::ECONNABORTED, Errno::EMFILE, Errno::EINTR];
/// Maximum number of changes to one scenario.
const MOST_CHANGES: usize = 4;
/// Maximum number of events that a scenario plays. Each round of a block counts, because it takes as much time as its events.
const MAX_PLAYED: usize = 128;
/// One in so many scenarios ends after some of its events. The server is judged there, before any client leaves.
const ENDS_EARLY: usize = 4;

/// Makes scenarios from seeds.
#[derive(Debug)]
pub(super) struct Mixer<'m> {
    seeds: &'m [Scenario],
    mutator: Mutator,
    seed: u64,
}

/// What a mixer may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Maximum number of clients of a scenario.
    pub(super) clients: usize,
    /// Maximum number of events of a scenario.
    pub(super) max_events: usize,
    /// Whether errors may be injected.
    pub(super) faults: bool,
}

impl<'m> Mixer<'m> {
    /// A mixer of these seeds. Clients send one of `payloads`, or a prefix of one.
    pub(super) fn new(seeds: &'m [Scenario], payloads: &[Payload], limits: Limits, seed: u64) -> Mixer<'m> {
        let faults = ACCEPT.iter().filter_map(|errno| Fault::new(Call::Accept, *errno));
        let mutator = Mutator {
            clients: limits.clients,
            max_events: limits.max_events,
            max_played: MAX_PLAYED,
            payloads: if payloads.is_empty() { vec![Payload::FIVE] } else { payloads.to_vec() },
            faults: faults.filter(|_| limits.faults).collect(),
        };
        Mixer { seeds, mutator, seed }
    }

    /// Scenario `number` of this mixer's seed. No scenario contains a `wait`, so none takes real time.
    pub(super) fn scenario(&self, number: u64) -> Scenario {
        let mut rng = Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        let mut events = self.part(&mut rng);
        if rng.u8(..3) == 0 {
            // Each client of the second part gets the name of another client.
            let other = self.part(&mut rng);
            let shift = 1 + rng.usize(..self.mutator.clients.max(2) - 1);
            let other: Vec<Event> = other.iter().map(|event| self.moved(event, shift)).collect();
            events = if rng.bool() { [events, other].concat() } else { shuffled(&events, &other, &mut rng) };
        }
        for _ in 0..rng.usize(0..=MOST_CHANGES) {
            self.mutator.change(&mut events, &mut rng);
        }
        if rng.usize(..ENDS_EARLY) == 0 && !events.is_empty() {
            events.truncate(rng.usize(1..=events.len()));
        }
        let scenario = self.mutator.fitting(events);
        // If the last `hold` has no `go` after it, one is added.
        match scenario.events().iter().rev().find(|event| matches!(event, Event::Hold | Event::Go)) {
            Some(Event::Hold) => Scenario::from_valid([scenario.events(), &[Event::Go]].concat()),
            _ => scenario,
        }
    }

    /// The events of a random seed, without those that take time.
    fn part(&self, rng: &mut Rng) -> Vec<Event> {
        let seed = rng.choice(self.seeds).map(|seed| seed.events().to_vec()).unwrap_or_default();
        seed.into_iter().filter(|event| !matches!(event, Event::Wait(_))).collect()
    }

    fn moved(&self, event: &Event, shift: usize) -> Event {
        let clients = self.mutator.clients.max(1);
        match event {
            Event::Client(client, action) => {
                let rank = (0..clients).find(|k| Client::nth(*k) == *client).unwrap_or(0);
                Event::Client(Client::nth((rank + shift) % clients), action.clone())
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::seeds::seeds;

    /// The number of injected errors in the first 2000 scenarios.
    fn faults(faults: bool) -> usize {
        let mut seeds = seeds(&[]);
        seeds.retain(|seed| !seed.events().iter().any(|event| matches!(event, Event::Fault(_))));
        let mixer = Mixer::new(&seeds, &[], Limits { clients: 3, max_events: 12, faults }, 1);
        let all = (0..2000).map(|number| mixer.scenario(number));
        all.map(|s| s.events().iter().filter(|event| matches!(event, Event::Fault(_))).count()).sum()
    }

    #[test]
    fn errors_are_injected_only_if_they_may_be() {
        assert!(faults(true) > 0);
        assert_eq!(faults(false), 0);
    }
}
