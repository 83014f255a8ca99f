//! Mutates scenarios event by event, for hunts and for fuzz targets.

use crate::scenario::table::{Form, Row};
use crate::scenario::{Action, Client, Event, Fault, MAX_CLIENTS, MAX_SEND, Payload, Repeat, Scenario};
use fastrand::Rng;

/// Maximum number of changes that [`Mutator::mutate`] makes.
const MOST_CHANGES: usize = 3;
/// Maximum number of events that one change puts in a block, and maximum number of rounds of that block.
const MAX_BLOCK: usize = 4;
const MAX_ROUNDS: usize = 8;

/// Mutates scenarios event by event: inserts, removes, swaps, replaces and copies events, gives events to other clients, makes
/// blocks and replaces blocks by their events. The same seed makes the same change.
///
/// ```
/// use brokenpipe::{Mutator, Scenario};
///
/// let mutator = Mutator::default();
/// let scenario: Scenario = "a connect; a fin; a rst".parse()?;
/// let changed = mutator.mutate(&scenario, 7);
/// assert_eq!(changed, mutator.mutate(&scenario, 7));
/// assert!(changed.events().len() <= mutator.max_events);
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mutator {
    /// Number of clients that new events name, clamped to 1 to [`MAX_CLIENTS`].
    pub clients: usize,
    /// Maximum number of events of a result.
    pub max_events: usize,
    /// Maximum number of events that a result plays: those of a block once for each round.
    pub max_played: usize,
    /// The payloads that clients send: usually a whole one, else a prefix. If empty, clients send filling of various lengths.
    pub payloads: Vec<Payload>,
    /// The injected errors to choose from; if empty, there are no faults.
    pub faults: Vec<Fault>,
}

/// Four clients, 32 events, 256 played, filling, and every fault.
impl Default for Mutator {
    fn default() -> Mutator {
        Mutator { clients: 4, max_events: 32, max_played: 256, payloads: Vec::new(), faults: Fault::all().collect() }
    }
}

impl Mutator {
    /// Makes one to three changes to a scenario. Sometimes none of them has an effect.
    pub fn mutate(&self, scenario: &Scenario, seed: u64) -> Scenario {
        let mut rng = Rng::with_seed(seed);
        let mut events = scenario.events().to_vec();
        for _ in 0..rng.usize(1..=MOST_CHANGES) {
            self.change(&mut events, &mut rng);
        }
        self.fitting(events)
    }

    /// Combines two scenarios: a prefix of `one` and then a suffix of `other`, or both interleaved at random, each in its own
    /// order.
    pub fn cross_over(&self, one: &Scenario, other: &Scenario, seed: u64) -> Scenario {
        let mut rng = Rng::with_seed(seed);
        let (x, y) = (one.events(), other.events());
        let events = if rng.bool() {
            [&x[..rng.usize(..=x.len())], &y[rng.usize(..=y.len())..]].concat()
        } else {
            shuffled(x, y, &mut rng)
        };
        self.fitting(events)
    }

    /// A scenario of the first of these events, as many as the limits allow.
    pub(crate) fn fitting(&self, mut events: Vec<Event>) -> Scenario {
        events.truncate(self.max_events);
        let mut scenario = Scenario::from_valid(events);
        while scenario.played() > self.max_played || scenario.clients().len() > MAX_CLIENTS {
            let events = scenario.events();
            scenario = Scenario::from_valid(events[..events.len() - 1].to_vec());
        }
        scenario
    }

    /// Makes one change.
    pub(crate) fn change(&self, events: &mut Vec<Event>, rng: &mut Rng) {
        let len = events.len();
        match rng.u8(..16) {
            0..2 if len > 0 => drop(events.remove(rng.usize(..len))),
            2..5 if len > 1 => {
                let i = rng.usize(1..len);
                events.swap(i - 1, i);
            }
            5..7 if len > 0 => {
                let i = rng.usize(..len);
                if let Event::Client(client, _) = &mut events[i] {
                    *client = self.client(rng);
                }
            }
            7..9 if len > 0 => {
                let i = rng.usize(..len);
                events[i] = self.event(events, rng);
            }
            9 if len > 0 => {
                // Repeating a sequence of events can have effects of its own.
                let (from, to) = (rng.usize(..len), rng.usize(..=len));
                let part = events[from.min(to)..from.max(to)].to_vec();
                let at = rng.usize(..=len);
                events.splice(at..at, part);
            }
            10 if len > 0 => {
                let from = rng.usize(..len);
                let to = (from + rng.usize(1..=MAX_BLOCK)).min(len);
                if let Some(block) = Repeat::new(rng.usize(2..=MAX_ROUNDS), &events[from..to]) {
                    events.splice(from..to, [Event::Repeat(block)]);
                }
            }
            11 if len > 0 => {
                let i = rng.usize(..len);
                let parts = events[i].parts().to_vec();
                events.splice(i..=i, parts);
            }
            _ => events.insert(rng.usize(..=len), self.event(events, rng)),
        }
    }

    fn client(&self, rng: &mut Rng) -> Client {
        Client::nth(rng.usize(..self.clients.clamp(1, MAX_CLIENTS)))
    }

    /// A random event, mostly of a client that the scenario already names.
    fn event(&self, events: &[Event], rng: &mut Rng) -> Event {
        let known = rng.choice(events).and_then(Event::client);
        let client = known.filter(|_| rng.u8(..4) > 0).unwrap_or_else(|| self.client(rng));
        let allowed = |row: &Row| match row.form {
            Form::Fault => !self.faults.is_empty(),
            // Limits and signals come only from the seeds of a hunt; they have no effect on a program.
            Form::Limit | Form::Signal => false,
            _ => true,
        };
        let event = Row::draw(rng, allowed).and_then(|row| match row.form {
            Form::Send => Some(Event::Client(client, Action::Send(self.payload(rng)))),
            Form::Fault => rng.choice(&self.faults).copied().map(Event::Fault),
            _ => row.event(client, rng.u16(..)),
        });
        event.unwrap_or(Event::Step)
    }

    fn payload(&self, rng: &mut Rng) -> Payload {
        let Some(whole) = rng.choice(&self.payloads) else {
            let len = [5, 1, 0, MAX_SEND, rng.usize(..64), rng.usize(..=MAX_SEND)][rng.usize(..6)];
            return Payload::filling(len).unwrap_or(Payload::FIVE);
        };
        if rng.u8(..4) > 0 { whole.clone() } else { whole.first(rng.usize(..=whole.len())) }
    }
}

/// The events of both lists, interleaved at random, each list in its own order.
pub(crate) fn shuffled(x: &[Event], y: &[Event], rng: &mut Rng) -> Vec<Event> {
    let (mut x, mut y) = (x.iter(), y.iter());
    let mut all = Vec::with_capacity(x.len() + y.len());
    while x.len() + y.len() > 0 {
        let first = rng.usize(..x.len() + y.len()) < x.len();
        all.extend(if first { x.next() } else { y.next() }.cloned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Scenario {
        text.parse().unwrap()
    }

    #[test]
    fn every_kind_of_event_that_it_may_add_is_added_and_no_other() {
        let count = |mutator: &Mutator, word: &str| {
            let all = (0..3000).map(|seed| mutator.mutate(&Scenario::default(), seed));
            all.filter(|s| s.events().iter().any(|event| event.kind().word == word)).count()
        };
        let mutator = Mutator::default();
        for row in &crate::scenario::table::EVENTS {
            let never = matches!(row.form, Form::Limit | Form::Signal | Form::Wait);
            assert_eq!(count(&mutator, row.word) == 0, never, "{}", row.word);
        }
        assert_eq!(count(&Mutator { faults: Vec::new(), ..mutator }, "fault"), 0);
    }

    #[test]
    fn a_result_is_as_short_as_it_has_to_be() {
        let mutator = Mutator { max_events: 5, max_played: 20, ..Mutator::default() };
        let long =
            scenario("a connect; repeat 8 { b connect; b rst }; repeat 8 { b connect; b rst }; a fin; a rst; hold; go");
        for seed in 0..1000 {
            for made in [mutator.mutate(&long, seed), mutator.cross_over(&long, &long, seed)] {
                assert!(made.events().len() <= 5 && made.played() <= 20, "{made}");
            }
        }
    }

    #[test]
    fn payloads_are_those_given_or_their_beginnings() {
        let payload = Payload::bytes(b"GET").unwrap();
        let mutator = Mutator { payloads: vec![payload], ..Mutator::default() };
        let sends: Vec<Payload> = (0..3000)
            .flat_map(|seed| mutator.mutate(&Scenario::default(), seed).events().to_vec())
            .filter_map(|event| match event {
                Event::Client(_, Action::Send(payload)) => Some(payload),
                _ => None,
            })
            .collect();
        assert!(sends.iter().all(|payload| b"GET".starts_with(payload.given().unwrap())), "{sends:?}");
        assert!(sends.iter().any(|payload| payload.len() == 1) && sends.iter().any(|payload| payload.len() == 3));
    }
}
