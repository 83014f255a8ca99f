//! Changes at the level of events: what libFuzzer's own changes of bytes rarely do in one go.
//!
//! All of it depends on the seed alone, so that a run of the same seed is the same run.

use crate::MAX_EVENTS;
use brokenpipe::{
    Action, Client, Event, Fault, Input, MAX_SEND, Op, PRESETS, Payload, Policy, Program, Repeat, Scenario, Setup,
};
use fastrand::Rng;

/// Clients that a change may bring into a scenario: more than a few only make it longer.
const CLIENTS: usize = 4;
/// Most changes made to an input in one go.
const MOST_CHANGES: usize = 3;
/// Most events that a change makes a block of, and most rounds of it.
const MAX_BLOCK: usize = 4;
const MAX_ROUNDS: usize = 8;
/// Fewest bytes of an input that make an event.
const EVENT: usize = 4;
/// Most ops that a change adds to a program, between `accept` and `close`.
const MAX_INNER: usize = 6;

/// Changes the input in the first `size` bytes of `data`, and gives its new size, at most `max_size`.
///
/// Half of the time it is left to `bytes`, libFuzzer's own mutator, which takes and gives the same.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    bytes: impl FnOnce(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut rng = Rng::with_seed(seed.into());
    if rng.bool() {
        let size = bytes(data, size, max_size);
        if size / EVENT <= MAX_EVENTS {
            return size;
        }
        let Input { setup, scenario } = Input::decode(&data[..size]);
        let events = scenario.events();
        return if events.len() > MAX_EVENTS { store(&setup, events.to_vec(), &mut data[..max_size]) } else { size };
    }
    let Input { mut setup, scenario } = Input::decode(&data[..size]);
    let mut events = scenario.events().to_vec();
    for _ in 0..rng.usize(1..=MOST_CHANGES) {
        change(&mut setup, &mut events, &mut rng);
    }
    store(&setup, events, &mut data[..max_size])
}

/// Makes an input of two, and gives its size: the server of either, and the events of the one up to some place followed by those of
/// the other from some place on, or those of both shuffled together.
pub fn cross_over(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut rng = Rng::with_seed(seed.into());
    let (one, other) = (Input::decode(one), Input::decode(other));
    let (x, y) = (one.scenario.events(), other.scenario.events());
    let events = if rng.bool() {
        [&x[..rng.usize(..=x.len())], &y[rng.usize(..=y.len())..]].concat()
    } else {
        shuffled(x, y, &mut rng)
    };
    let policy = if rng.bool() { one.setup.policy } else { other.setup.policy };
    let program = if rng.bool() { one.setup.program } else { other.setup.program };
    store(&Setup::new(program, policy), events, out)
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

/// Events that name few enough clients to be a scenario: decoded ones name no others than `Client::nth` does.
fn scenario(events: Vec<Event>) -> Scenario {
    Scenario::new(events).unwrap_or_default()
}

/// Writes as much of the input as fits, and gives its size.
fn store(setup: &Setup, mut events: Vec<Event>, out: &mut [u8]) -> usize {
    events.truncate(MAX_EVENTS);
    loop {
        let input = Input::new(setup.clone(), scenario(events));
        let bytes = input.encode();
        if bytes.len() <= out.len() {
            out[..bytes.len()].copy_from_slice(&bytes);
            return bytes.len();
        }
        events = input.scenario.events().to_vec();
        if events.pop().is_none() {
            // Any beginning is an input too.
            let len = out.len();
            out.copy_from_slice(&bytes[..len]);
            return len;
        }
    }
}

fn change(setup: &mut Setup, events: &mut Vec<Event>, rng: &mut Rng) {
    let len = events.len();
    match rng.u8(..18) {
        0..4 => events.insert(rng.usize(..=len), event(events, rng)),
        4..6 if len > 0 => drop(events.remove(rng.usize(..len))),
        6..9 if len > 1 => {
            let i = rng.usize(1..len);
            events.swap(i - 1, i);
        }
        9..11 if len > 0 => {
            let i = rng.usize(..len);
            if let Event::Client(client, _) = &mut events[i] {
                *client = Client::nth(rng.usize(..CLIENTS));
            }
        }
        11..13 if len > 0 => {
            let i = rng.usize(..len);
            events[i] = event(events, rng);
        }
        13 if len > 0 => {
            // Once more, a part of it: what happens twice in a row is a scenario of its own.
            let (from, to) = (rng.usize(..len), rng.usize(..=len));
            let part = events[from.min(to)..from.max(to)].to_vec();
            let at = rng.usize(..=len);
            events.splice(at..at, part);
        }
        14 => setup.policy = Policy::ALL[rng.usize(..Policy::ALL.len())],
        15 => setup.program = program(&setup.program, rng),
        16 if len > 0 => {
            let from = rng.usize(..len);
            let to = (from + rng.usize(1..=MAX_BLOCK)).min(len);
            if let Some(block) = Repeat::new(rng.usize(2..=MAX_ROUNDS), &events[from..to]) {
                events.splice(from..to, [Event::Repeat(block)]);
            }
        }
        17 if len > 0 => {
            let i = rng.usize(..len);
            let parts = events[i].parts().to_vec();
            events.splice(i..=i, parts);
        }
        _ => events.push(event(events, rng)),
    }
}

/// An event, mostly of a client that the scenario knows already.
fn event(events: &[Event], rng: &mut Rng) -> Event {
    let known = rng.choice(events).and_then(Event::client);
    let client = known.filter(|_| rng.u8(..4) > 0).unwrap_or_else(|| Client::nth(rng.usize(..CLIENTS)));
    let action = match rng.u8(..18) {
        0..3 => Action::Connect,
        3..6 => Action::Send(payload(rng)),
        6 => Action::Recv,
        7..9 => Action::Fin,
        9 => Action::Close,
        10..12 => Action::Rst,
        12 => Action::Vanish,
        13 => return if rng.bool() { Event::Hold } else { Event::Go },
        14 => return Event::Step,
        15 => Action::Urgent,
        16 => Action::Stall,
        _ => return rng.choice(Fault::all().collect::<Vec<_>>()).map_or(Event::Go, Event::Fault),
    };
    Event::Client(client, action)
}

fn payload(rng: &mut Rng) -> Payload {
    let len = [5, 1, 0, MAX_SEND, rng.usize(..64), rng.usize(..=MAX_SEND)][rng.usize(..6)];
    // None of these is too long.
    Payload::filling(len).unwrap_or_else(|| unreachable!("{len} bytes"))
}

/// Another program: a preset, or this one with an op more, less or other.
fn program(old: &Program, rng: &mut Rng) -> Program {
    if rng.u8(..4) == 0 {
        return rng.choice(PRESETS).and_then(|(_, text)| text.parse().ok()).unwrap_or_default();
    }
    let mut ops = old.ops().to_vec();
    let inner = ops.len() - 2;
    let op = match rng.u8(..8) {
        0..3 => Op::Send([26, 0, 1, MAX_SEND as u16][rng.usize(..4)]),
        3 => Op::Recv,
        4 => Op::RecvAll,
        5 => Op::Echo,
        6 => Op::RecvOrClose,
        _ => Op::Shutdown,
    };
    match rng.u8(..3) {
        0 if inner > 0 => drop(ops.remove(rng.usize(1..=inner))),
        1 if inner > 0 => ops[rng.usize(1..=inner)] = op,
        _ if inner < MAX_INNER => ops.insert(rng.usize(1..=inner + 1), op),
        _ => {}
    }
    Program::new(&ops).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEATH: &str = "a connect; b connect; b fin; b rst; a close";

    fn input(scenario: &str) -> Vec<u8> {
        Input::new(Setup::default(), scenario.parse().unwrap()).encode()
    }

    /// One mutation of `bytes`, never one of libFuzzer's.
    fn mutated(bytes: &[u8], max_size: usize, seed: u32) -> Vec<u8> {
        let mut data = bytes.to_vec();
        data.resize(max_size.max(bytes.len()), 0);
        let size = mutate(&mut data, bytes.len(), max_size, seed, |_, size, max| size.min(max));
        data[..size].to_vec()
    }

    #[test]
    fn the_same_seed_makes_the_same_change() {
        let bytes = input(DEATH);
        let all: Vec<_> = (0..100).map(|seed| mutated(&bytes, 4096, seed)).collect();
        assert!((0..100).zip(&all).all(|(seed, x)| mutated(&bytes, 4096, seed) == *x));
        assert!(all.iter().filter(|x| **x != bytes).count() > 30);
    }

    #[test]
    fn what_comes_out_fits_and_is_an_input_of_few_enough_events() {
        for (seed, max_size) in (0..2000).map(|seed| (seed, seed as usize % 80)) {
            let long = input(&vec![DEATH; 20].join("; "));
            assert!(mutated(&long, max_size, seed).len() <= max_size);
            let size = mutated(&long, 4096, seed);
            assert!(Input::decode(&size).scenario.events().len() <= MAX_EVENTS);
            let mut out = vec![0; max_size];
            assert!(cross_over(&long, &input("hold"), &mut out, seed) <= max_size);
        }
    }

    #[test]
    fn no_event_has_fewer_bytes_than_the_bound_says() {
        for (byte, len) in (0..=255).flat_map(|byte| (0..40).map(move |len| (byte, len))) {
            assert!(Input::decode(&vec![byte; len]).scenario.events().len() <= len / EVENT, "{byte} {len}");
        }
    }

    #[test]
    fn two_inputs_make_one_of_the_events_of_both() {
        let (one, other) = (input("a connect; a fin"), input("b connect; b rst"));
        let mut out = [0; 256];
        let made: Vec<String> = (0..200)
            .map(|seed| {
                let size = cross_over(&one, &other, &mut out, seed);
                Input::decode(&out[..size]).scenario.to_string()
            })
            .collect();
        assert!(made.iter().any(|s| s == "a connect; a rst"), "{made:?}");
        assert!(made.iter().all(|s| s.is_empty() || s.starts_with('a')), "{made:?}");
    }
}
