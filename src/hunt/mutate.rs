//! Scenarios made of others: known shapes changed event by event, and mixed with each other.

use crate::scenario::{Action, Client, Event, Fault, Payload, Scenario};
use crate::scenario::{Call, Errno};
use fastrand::Rng;

/// The errors of `accept` that a server must be able to live with.
const ACCEPT: [Errno; 3] = [Errno::ECONNABORTED, Errno::EMFILE, Errno::EINTR];
/// Most changes made in one go.
const MOST_CHANGES: usize = 4;

/// What scenarios are mixed from, and how large they may get.
#[derive(Debug)]
pub(super) struct Mixer<'m> {
    pub(super) shapes: &'m [Scenario],
    pub(super) payloads: &'m [Payload],
    pub(super) clients: usize,
    pub(super) max_events: usize,
    pub(super) seed: u64,
    /// Whether errors may be injected.
    pub(super) faults: bool,
}

impl Mixer<'_> {
    /// Scenario `number` of this mixer's seed. None of them takes real time.
    pub(super) fn scenario(&self, number: u64) -> Scenario {
        let mut rng = Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        let mut events = self.part(&mut rng);
        if rng.u8(..3) == 0 {
            // The other's clients are others.
            let other = self.part(&mut rng);
            let shift = 1 + rng.usize(..self.clients.max(2) - 1);
            let other: Vec<Event> = other.iter().map(|event| self.moved(event, shift)).collect();
            events = if rng.bool() { [events, other].concat() } else { shuffled(&events, &other, &mut rng) };
        }
        for _ in 0..rng.usize(0..=MOST_CHANGES) {
            self.change(&mut events, &mut rng);
        }
        events.truncate(self.max_events);
        // Nobody stays held for nothing.
        if events.iter().rev().find(|e| matches!(e, Event::Hold | Event::Go)) == Some(&Event::Hold) {
            events.push(Event::Go);
        }
        Scenario::from_valid(events)
    }

    /// The events of a shape, without those that take time.
    fn part(&self, rng: &mut Rng) -> Vec<Event> {
        let shape = rng.choice(self.shapes).map(|s| s.events().to_vec()).unwrap_or_default();
        shape.into_iter().filter(|event| !matches!(event, Event::Wait(_))).collect()
    }

    fn moved(&self, event: &Event, shift: usize) -> Event {
        match event {
            Event::Client(client, action) => {
                let rank = (0..self.clients).find(|k| Client::nth(*k) == *client).unwrap_or(0);
                Event::Client(Client::nth((rank + shift) % self.clients.max(1)), action.clone())
            }
            other => other.clone(),
        }
    }

    fn change(&self, events: &mut Vec<Event>, rng: &mut Rng) {
        let len = events.len();
        match rng.u8(..8) {
            0..3 => events.insert(rng.usize(..=len), self.event(rng)),
            3 if len > 1 => drop(events.remove(rng.usize(..len))),
            4..6 if len > 1 => {
                let i = rng.usize(1..len);
                events.swap(i - 1, i);
            }
            6 if len > 0 => events[rng.usize(..len)] = self.event(rng),
            _ => events.insert(rng.usize(..=len), Event::Step),
        }
    }

    fn event(&self, rng: &mut Rng) -> Event {
        let client = Client::nth(rng.usize(..self.clients.max(1)));
        let action = match rng.u8(..20) {
            0..4 => Action::Connect,
            4..8 => Action::Send(self.payload(rng)),
            8..10 => Action::Recv,
            10..12 => Action::Fin,
            12 => Action::Close,
            13..15 => Action::Rst,
            15 => Action::Urgent,
            16 => Action::Vanish,
            17 => return if rng.bool() { Event::Hold } else { Event::Go },
            18 => return Event::Step,
            _ if !self.faults => Action::Recv,
            _ => {
                let errno = rng.choice(ACCEPT).unwrap_or(Errno::EINTR);
                return Fault::new(Call::Accept, errno).map_or(Event::Step, Event::Fault);
            }
        };
        Event::Client(client, action)
    }

    /// A payload of the target's: whole, cut short, or a little filling.
    fn payload(&self, rng: &mut Rng) -> Payload {
        let whole = rng.choice(self.payloads).cloned();
        let filling = Payload::filling(5).unwrap_or_else(|| unreachable!("five bytes"));
        match (whole, rng.u8(..4)) {
            (Some(whole), 0) => {
                let cut = rng.usize(..=whole.len());
                whole.given().map_or(Payload::filling(cut), |bytes| Payload::bytes(&bytes[..cut])).unwrap_or(whole)
            }
            (Some(whole), _) => whole,
            (None, _) => filling,
        }
    }
}

/// Both, each in its own order.
fn shuffled(x: &[Event], y: &[Event], rng: &mut Rng) -> Vec<Event> {
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
    use crate::hunt::seeds::shapes;

    /// How many of the events of the first scenarios are injected errors.
    fn faults(faults: bool) -> usize {
        let mut shapes = shapes(&[]);
        shapes.retain(|shape| !shape.events().iter().any(|event| matches!(event, Event::Fault(_))));
        let mixer = Mixer { shapes: &shapes, payloads: &[], clients: 3, max_events: 12, seed: 1, faults };
        let all = (0..2000).map(|number| mixer.scenario(number));
        all.map(|s| s.events().iter().filter(|event| matches!(event, Event::Fault(_))).count()).sum()
    }

    #[test]
    fn errors_are_injected_only_if_they_may_be() {
        assert!(faults(true) > 0);
        assert_eq!(faults(false), 0);
    }
}
