//! Mutations of whole events, which libFuzzer's own mutations of bytes rarely produce in one step.
//!
//! All mutations depend on the seed only, so a run with the same seed is the same run.

use crate::{MAX_EVENTS, MAX_PLAYED};
use brokenpipe::{Input, MAX_SEND, Mutator, Op, PRESETS, Policy, Program, Scenario, Setup};
use fastrand::Rng;

/// The minimum number of bytes of an event.
const EVENT: usize = 4;
/// Mutations add ops to a program only up to this number, between `accept` and `close`.
const MAX_INNER: usize = 6;

/// Mutates the input in the first `size` bytes of `data`, and returns its new size, at most `max_size`.
///
/// Half of the time it calls `bytes` instead, libFuzzer's own mutator, with the same arguments and result.
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
        let is_long = scenario.events().len() > MAX_EVENTS;
        return if is_long { store(setup, scenario, &mut data[..max_size]) } else { size };
    }
    let Input { mut setup, scenario } = Input::decode(&data[..size]);
    let scenario = match rng.u8(..9) {
        0 => {
            setup = other_setup(&setup, &mut rng);
            scenario
        }
        _ => mutator().mutate(&scenario, rng.u64(..)),
    };
    store(setup, scenario, &mut data[..max_size])
}

/// The mutator of the library, with the limits of an input.
fn mutator() -> Mutator {
    let mut mutator = Mutator::default();
    mutator.max_events = MAX_EVENTS;
    mutator.max_played = MAX_PLAYED;
    mutator
}

/// Combines two inputs, and returns the size of the result. Its program and its policy are each from one of the inputs. Its events are
/// those of one input up to some position followed by those of the other from some position on, or those of both shuffled together.
pub fn cross_over(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut rng = Rng::with_seed(seed.into());
    let (one, other) = (Input::decode(one), Input::decode(other));
    let scenario = mutator().cross_over(&one.scenario, &other.scenario, rng.u64(..));
    let policy = if rng.bool() { one.setup.policy } else { other.setup.policy };
    let program = if rng.bool() { one.setup.program } else { other.setup.program };
    store(Setup::new(program, policy), scenario, out)
}

/// Writes as many events of the input as fit, and returns the size.
fn store(setup: Setup, scenario: Scenario, out: &mut [u8]) -> usize {
    let mut input = Input::new(setup, scenario);
    loop {
        let bytes = input.encode();
        let events = input.scenario.events();
        let fits = bytes.len() <= out.len() && events.len() <= MAX_EVENTS;
        // Any prefix of the bytes is an input too.
        if fits || events.is_empty() {
            let len = bytes.len().min(out.len());
            out[..len].copy_from_slice(&bytes[..len]);
            return len;
        }
        let fewer = events[..events.len() - 1].to_vec();
        input.scenario = Scenario::new(fewer).unwrap_or_default();
    }
}

/// The same program under another policy, or another program.
fn other_setup(setup: &Setup, rng: &mut Rng) -> Setup {
    match rng.bool() {
        true => Setup::new(setup.program.clone(), Policy::ALL[rng.usize(..Policy::ALL.len())]),
        false => Setup::new(program(&setup.program, rng), setup.policy),
    }
}

/// Another program: a preset, or this program with an op added, removed or replaced.
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

    /// A mutation of `bytes`, in which libFuzzer's mutator changes nothing.
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
