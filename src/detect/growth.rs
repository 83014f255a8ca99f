//! Decides whether a count that is taken after each of many repetitions grows without end. Pure: plays nothing.
//!
//! A leak keeps growing. What a healthy server keeps grows as well, but stops: a pool reaches its limit, a cache is full, a garbage
//! collector runs. So two questions are asked of the samples:
//! - Does the second half bring anything new? If its maximum is not above that of the first half, growth has stopped.
//! - Does the *floor* rise? The samples are cut into four windows. The minimum of a window is what was never released in it, however far
//!   the count went up and down meanwhile. For a leak, each floor is higher than the one before, and the last step is not a small part of
//!   the first. For a garbage collector that runs once in a window, the floors are equal. For a pool that has filled up, there is no last
//!   step.
//!
//! A single decrease, as by a late close, changes neither answer.

use std::ops::Range;

/// The verdict on samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trend {
    /// More repetitions are needed.
    Undecided,
    /// The count does not grow, or no longer grows.
    Steady,
    /// The count grows without an end in sight.
    Grows,
}

/// The limits by which samples are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Number of repetitions before which nothing is decided.
    pub(crate) least: usize,
    /// Number of repetitions after which it is decided in any case.
    pub(crate) most: usize,
    /// Growth at which it may be decided before that: more than any pool or cache is expected to hold.
    pub(crate) enough: u64,
    /// A difference between the maxima of the two halves that does not count as growth.
    pub(crate) slack: u64,
    /// The minimum growth of a leak, for each repetition.
    pub(crate) rate: f64,
    /// By how much the count must grow in nearly each repetition, if it does not normally go up and down; 0 if it does.
    pub(crate) step: u64,
}

impl Limits {
    /// Limits for growth that may be that of a large pool.
    pub(crate) const fn extended(self) -> Limits {
        Limits { most: self.most * 2, enough: self.enough * 3, ..self }
    }
}

/// The limits for descriptors. A garbage collector may close descriptors late, but hardly after three hundred.
pub(crate) const DESCRIPTORS: Limits = Limits { least: 24, most: 400, enough: 300, slack: 0, rate: 0.05, step: 0 };
/// The limits for processes and threads, each of which makes every check of the server slower.
pub(crate) const TASKS: Limits = Limits { enough: 100, ..DESCRIPTORS };
/// The limits for resident memory in bytes, sampled after each batch of repetitions. A leak adds memory in each batch. A garbage-collected
/// heap grows in leaps, and may do so over thousands of connections.
pub(crate) const MEMORY: Limits =
    Limits { least: 4, most: 24, enough: 64 << 20, slack: 128 << 10, rate: (96 << 10) as f64, step: 48 << 10 };

/// The number of windows that the samples are cut into.
const WINDOWS: usize = 4;
/// The last step between floors must be at least the first step divided by this.
const LAST_STEP: u64 = 4;

/// Judges these samples: the first was taken before any repetition, the others each after one.
pub(crate) fn judge(samples: &[u64], limits: &Limits) -> Trend {
    let repetitions = samples.len().saturating_sub(1);
    if repetitions < limits.least {
        return Trend::Undecided;
    }
    if limits.step > 0 && !rises_in_nearly_each(samples, limits.step) {
        return Trend::Steady;
    }
    let (early, late) = samples.split_at(samples.len() / 2);
    if highest(late) <= highest(early) + limits.slack {
        return Trend::Steady;
    }
    let is_last = repetitions >= limits.most;
    if !is_last && growth(samples) < limits.enough {
        return Trend::Undecided;
    }
    match floor_rises(samples, limits.rate) {
        true => Trend::Grows,
        false if is_last => Trend::Steady,
        false => Trend::Undecided,
    }
}

/// Whether the count grew by at least `step` in nine of ten repetitions, not counting the first two, which fill what is never released.
fn rises_in_nearly_each(samples: &[u64], step: u64) -> bool {
    let steps = samples.len().saturating_sub(3);
    let up = samples.windows(2).skip(2).filter(|pair| pair[1] >= pair[0] + step).count();
    up * 10 >= steps * 9
}

/// How much more the last sample is than the first.
pub(crate) fn growth(samples: &[u64]) -> u64 {
    let (first, last) = (samples.first().unwrap_or(&0), samples.last().unwrap_or(&0));
    last.saturating_sub(*first)
}

/// Whether the count grew in nearly each repetition up to the one in which the server failed, because the resource was used up. Samples
/// after the maximum are left out, because nothing was added after the failure.
pub(crate) fn is_exhausting(samples: &[u64]) -> bool {
    const LEAST: usize = 5;
    let end = samples.iter().position(|sample| *sample == highest(samples)).map_or(0, |last| last + 1);
    let samples = &samples[..end];
    let steps = samples.len().saturating_sub(1);
    let up = samples.windows(2).filter(|pair| pair[1] > pair[0]).count();
    steps >= LEAST && up * 5 >= steps * 4 && growth(samples) >= up as u64
}

/// Whether growth is explained by what polite clients leave: in proportion to the number of clients, that is at least half of it.
pub(crate) fn is_explained(growth: u64, clients: u64, polite_growth: u64, polite_clients: u64) -> bool {
    polite_clients > 0
        && u128::from(polite_growth) * u128::from(clients) * 2 >= u128::from(growth) * u128::from(polite_clients)
}

/// Whether the floor rises by at least `rate` for each repetition, and its last step is not much smaller than its first.
fn floor_rises(samples: &[u64], rate: f64) -> bool {
    // The first repetitions may fill what is never released, so the sample before them is left out.
    let rest = samples.get(1..).unwrap_or_default();
    let floors: Vec<u64> = windows(rest.len()).filter_map(|window| rest[window].iter().min().copied()).collect();
    let steps: Vec<u64> = floors.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return false };
    let between = rest.len() as f64 * steps.len() as f64 / WINDOWS as f64;
    steps.len() + 1 == WINDOWS
        && steps.iter().all(|step| *step > 0)
        && last * LAST_STEP >= *first
        && steps.iter().sum::<u64>() as f64 >= rate * between
}

fn windows(samples: usize) -> impl Iterator<Item = Range<usize>> {
    (0..WINDOWS).map(move |i| samples * i / WINDOWS..samples * (i + 1) / WINDOWS)
}

fn highest(samples: &[u64]) -> u64 {
    samples.iter().max().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { least: 24, most: 400, enough: 300, slack: 0, rate: 0.05, step: 0 };

    /// The verdict on a count, and after how many repetitions it was reached.
    fn decided(limits: &Limits, count: impl Fn(u64) -> u64) -> (Trend, usize) {
        let mut samples = vec![count(0)];
        loop {
            match judge(&samples, limits) {
                Trend::Undecided => samples.push(count(samples.len() as u64)),
                trend => return (trend, samples.len() - 1),
            }
        }
    }

    fn trend(count: impl Fn(u64) -> u64) -> Trend {
        decided(&LIMITS, count).0
    }

    #[test]
    fn a_leak_grows_with_every_repetition_or_with_most() {
        assert_eq!(decided(&LIMITS, |n| 5 + n), (Trend::Grows, 300));
        assert_eq!(trend(|n| 5 + 3 * n), Trend::Grows);
        assert_eq!(trend(|n| n / 2), Trend::Grows);
        // One decrease in five repetitions.
        assert_eq!(trend(|n| 10 + n - n.div_ceil(5).min(n)), Trend::Grows);
        assert_eq!(trend(|n| 10 + n / 5 * 3 + [0, 1, 2, 3, 4][n as usize % 5]), Trend::Grows);
        // A garbage collector releases most of it, but not all.
        assert_eq!(trend(|n| n % 50 + n / 50 * 10), Trend::Grows);
    }

    #[test]
    fn what_comes_to_an_end_is_no_leak() {
        assert_eq!(decided(&LIMITS, |_| 7), (Trend::Steady, 24));
        for limit in [1, 4, 16, 32, 64, 128] {
            assert_eq!(trend(|n| 5 + n.min(limit)), Trend::Steady, "{limit}");
        }
        // All at once.
        assert_eq!(decided(&LIMITS, |n| if n == 0 { 1 } else { 3000 }), (Trend::Steady, 24));
        // A cache of 64 that is filled at random.
        assert_eq!(trend(|n| (64.0 * (1.0 - (-(n as f64) / 64.0).exp())) as u64), Trend::Steady);
    }

    #[test]
    fn what_is_taken_back_now_and_then_is_no_leak() {
        for period in [2, 3, 7, 40, 100, 150, 200, 290] {
            assert_eq!(trend(|n| 5 + n % period), Trend::Steady, "{period}");
        }
        assert_eq!(trend(|n| 5 + n % 2), Trend::Steady);
        // Three more in four hundred repetitions.
        assert_eq!(trend(|n| 5 + n / 100), Trend::Steady);
    }

    #[test]
    fn a_pool_larger_than_what_is_enough_takes_more_repetitions() {
        let limits = Limits { enough: 100, ..LIMITS };
        assert_eq!(decided(&limits, |n| n.min(200)), (Trend::Grows, 100));
        assert_eq!(decided(&limits.extended(), |n| n.min(200)).0, Trend::Steady);
        assert_eq!(decided(&limits.extended(), |n| n), (Trend::Grows, 300));
    }

    #[test]
    fn memory_is_judged_by_the_same_rule() {
        const KIB: u64 = 1024;
        let limits =
            Limits { least: 4, most: 24, enough: 64 << 20, slack: 256 * KIB, rate: 192.0 * 1024.0, step: 96 * KIB };
        // 16 KiB a connection, in batches of a hundred.
        assert_eq!(decided(&limits, |n| (4 << 20) + n * 1600 * KIB).0, Trend::Grows);
        // A heap that is collected at 4 MiB, after which it is reused.
        assert_eq!(decided(&limits, |n| (6 << 20) + (n * 900 * KIB).min(4 << 20)).0, Trend::Steady);
        assert_eq!(decided(&limits, |n| (6 << 20) + n * 20 * KIB), (Trend::Steady, 4));
        // How Node's heap was seen to grow over 7,200 connections, without a leak.
        let node = [
            52_716, 53_500, 55_700, 56_804, 58_108, 58_620, 59_644, 61_288, 62_312, 63_996, 63_960, 65_264, 65_348,
            65_476, 65_476, 65_476, 65_604, 65_860, 65_860, 67_968, 69_120, 69_936, 73_140, 73_396, 73_652,
        ];
        assert_eq!(decided(&limits, |n| node[n as usize] * KIB).0, Trend::Steady);
    }

    #[test]
    fn a_server_that_gives_way_has_used_up_what_it_had() {
        assert!(is_exhausting(&[4, 5, 6, 7, 8, 9, 10]));
        assert!(is_exhausting(&[4, 5, 6, 6, 7, 8]));
        assert!(is_exhausting(&[4, 5, 6, 7, 8, 9, 10, 10, 10, 10, 10, 10]));
        assert!(!is_exhausting(&[4, 5, 6]));
        assert!(!is_exhausting(&[4, 5, 6, 6, 6, 6, 6, 6]));
        assert!(!is_exhausting(&[4, 5, 4, 5, 4, 5, 6]));
        assert!(!is_exhausting(&[]));
    }

    #[test]
    fn growth_is_explained_by_polite_clients_in_proportion() {
        // Each repetition has one client of the scenario and a polite one, and each leaves something.
        assert!(is_explained(200, 200, 100, 100));
        assert!(is_explained(200, 200, 50, 100));
        assert!(!is_explained(100, 200, 0, 200));
        assert!(!is_explained(100, 200, 10, 100));
        assert!(!is_explained(100, 200, 0, 0));
    }

    #[cfg(feature = "proptest")]
    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn nothing_that_has_reached_its_maximum_by_the_middle_is_a_leak(
                rise in prop::collection::vec(0u64..200, 1..200),
                rest in prop::collection::vec(0.0..1.0, 200..400),
            ) {
                let most = highest(&rise);
                let falls = rest.iter().map(|part| (*part * most as f64) as u64);
                let samples: Vec<u64> = rise.iter().copied().chain(falls).collect();
                prop_assert_ne!(judge(&samples, &LIMITS), Trend::Grows);
            }

            #[test]
            fn a_leak_is_found_whatever_single_steps_back_it_has(base in 0u64..1000, back in prop::collection::vec(any::<bool>(), 80)) {
                // In each five repetitions, one may release what another left.
                let mut count = base;
                let mut samples = vec![base];
                for back in back {
                    for n in 0..5 {
                        count = if n == 4 && back { count - 1 } else { count + 1 };
                        samples.push(count);
                    }
                }
                let decided = (1..=samples.len()).map(|n| judge(&samples[..n], &LIMITS)).find(|trend| *trend != Trend::Undecided);
                prop_assert_eq!(decided, Some(Trend::Grows));
            }

            #[test]
            fn what_falls_back_to_its_floor_in_each_window_is_no_leak(period in 1u64..=100, height in 1u64..250, phase in 0u64..100) {
                let count = |n: u64| 5 + (n + phase) % period * height / period;
                prop_assert_eq!(decided(&LIMITS, count).0, Trend::Steady);
            }

            #[test]
            fn it_is_always_decided_in_the_end(samples in prop::collection::vec(any::<u32>(), 401..500)) {
                let samples: Vec<u64> = samples.into_iter().map(u64::from).collect();
                prop_assert_ne!(judge(&samples, &LIMITS), Trend::Undecided);
            }
        }
    }
}
