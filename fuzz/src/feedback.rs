//! The server's own states as coverage.
//!
//! libFuzzer keeps an input that reaches a new branch, or reaches a branch more often. A server takes the same few branches for all
//! inputs; only the results of its calls, the states of its sockets and their order differ. So these are counted too, in a table of
//! *extra counters*: libFuzzer finds the table by the name of its section, clears it before each input, and regards each counter as one
//! more branch.
//!
//! The counters are set from the kernel's trace, not from the model's: if the two differ, the kernel's behaviour is new coverage.

use brokenpipe::{Call, Called, Client, TcpState, Trace};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The number of counters: ten times as many as an hour of fuzzing reaches, so that few states share one. libFuzzer scans all of them
/// after each input, eight at a time.
const COUNTERS: usize = 1 << 16;

/// libFuzzer requires that the section is page-aligned and that its size is a multiple of eight.
#[repr(C, align(4096))]
struct Table([AtomicU8; COUNTERS]);

#[allow(unsafe_code)]
// SAFETY: the section contains plain bytes, and no other data is in it.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
// The compiler sees no code that reads the table, and would remove it.
#[used]
static TABLE: Table = Table([const { AtomicU8::new(0) }; COUNTERS]);

/// A call of the server: which call, its result, and the TCP state of the socket before the step and after it. Encoded in the 23 lowest
/// bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seen(u32);

impl Seen {
    fn new(called: &Called, before: Option<TcpState>, after: Option<TcpState>) -> Seen {
        let call = Call::ALL.iter().position(|call| *call == called.call).map_or(0, |i| i as u32);
        let result = match called.result {
            // Of a program the result is always known.
            None | Some(Ok(0)) => 0,
            // The number of bytes depends only on the payload, so all positive counts are equal.
            Some(Ok(_)) => 1,
            Some(Err(errno)) => 2 + (errno.raw() as u32 & 0xff),
        };
        let state = |state: Option<TcpState>| state.map_or(0, |s| 1 + s as u32);
        Seen(call << 20 | result << 9 | u32::from(called.sigpipe) << 8 | state(before) << 4 | state(after))
    }

    /// The value without the state before: the triple of call, result and TCP state.
    pub fn triple(self) -> Seen {
        Seen(self.0 & !0xf0)
    }
}

/// The server's calls in this trace, in order.
pub fn seen(trace: &Trace) -> impl Iterator<Item = Seen> {
    let mut before: &[(Client, TcpState)] = &[];
    trace.steps().flat_map(move |step| {
        let earlier = std::mem::replace(&mut before, step.sockets);
        let state = |sockets: &[(Client, TcpState)], called: &Called| {
            sockets.iter().find(|(client, _)| Some(*client) == called.client).map(|(_, state)| *state)
        };
        step.calls.iter().map(move |called| Seen::new(called, state(earlier, called), state(step.sockets, called)))
    })
}

/// Sets the counters of what the server did in this trace: of each call with its result and states, and of each two calls in a row.
///
/// Sequences of three calls are not counted. There are so many of them that a run spends its time on inputs that are new in no other way;
/// it then reached fewer such sequences than without counting them.
pub fn count(trace: &Trace) {
    let mut last = 0;
    for Seen(now) in seen(trace) {
        let now = u64::from(now);
        set(now);
        set(now | last << 23 | 1 << 63);
        last = now;
    }
}

/// Sets the counter of this number to 1. If calls were counted, libFuzzer would regard higher counts as new coverage, and would fill the
/// corpus with ever longer inputs.
fn set(number: u64) {
    // Fibonacci hashing: the upper bits depend on all bits of the number.
    let index = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - COUNTERS.trailing_zeros());
    TABLE.0[index as usize].store(1, Relaxed);
}

/// Everything reached since the process began. It is exact, while the counters are hashed and cleared. Used by the experiment that
/// compares fuzzing with and without the counters.
#[derive(Debug, Default)]
pub struct Reached {
    triples: HashSet<Seen>,
    pairs: HashSet<[Seen; 2]>,
    threes: HashSet<[Seen; 3]>,
}

impl Reached {
    /// Adds what the server did in this trace.
    pub fn add(&mut self, trace: &Trace) {
        let all: Vec<Seen> = seen(trace).collect();
        self.triples.extend(all.iter().map(|seen| seen.triple()));
        self.pairs.extend(all.windows(2).filter_map(|w| <[Seen; 2]>::try_from(w).ok()));
        self.threes.extend(all.windows(3).filter_map(|w| <[Seen; 3]>::try_from(w).ok()));
    }
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [triples, pairs, threes] = [self.triples.len(), self.pairs.len(), self.threes.len()];
        write!(f, "reached: {triples} triples, {pairs} two in a row, {threes} three in a row")
    }
}

static REACHED: Mutex<Option<Reached>> = Mutex::new(None);

/// Adds to what the process has reached. It is printed when the process exits, but not when the process is killed.
#[allow(unsafe_code)]
pub fn reach(trace: &Trace) {
    extern "C" fn print() {
        if let Ok(Some(reached)) = REACHED.lock().as_deref() {
            eprintln!("{reached}");
        }
    }
    let Ok(mut reached) = REACHED.lock() else {
        return;
    };
    reached
        .get_or_insert_with(|| {
            // SAFETY: the function takes no arguments, returns nothing and does not unwind.
            unsafe { libc::atexit(print) };
            Reached::default()
        })
        .add(trace);
}

#[cfg(test)]
mod tests {
    use super::*;
    use brokenpipe::{Input, Model, play};

    fn trace(scenario: &str) -> Trace {
        let Input { setup, scenario } = Input::new(Default::default(), scenario.parse().unwrap());
        let mut trace = Trace::default();
        let Ok(()) = play(&mut Model::default(), &setup, &scenario, &mut trace);
        trace
    }

    #[test]
    fn a_send_on_a_socket_that_was_reset_differs_by_what_it_was_before() {
        let all = |scenario| seen(&trace(scenario)).collect::<Vec<_>>();
        let (close_wait, established) = (all("hold; a connect; a fin; a rst; go"), all("hold; a connect; a rst; go"));
        assert_eq!(close_wait.len(), 2);
        assert_ne!(close_wait[1], established[1]);
    }

    #[test]
    fn what_is_reached_is_counted_once() {
        let mut reached = Reached::default();
        for _ in 0..2 {
            reached.add(&trace("a connect; a close"));
        }
        assert_eq!(reached.to_string(), "reached: 4 triples, 3 two in a row, 2 three in a row");
    }

    #[test]
    fn a_run_sets_a_counter_for_each_call_and_each_two_in_a_row() {
        count(&trace("a connect; a close"));
        // Four calls, and four pairs: the first call forms a pair with no call before it.
        assert_eq!(TABLE.0.iter().filter(|c| c.load(Relaxed) == 1).count(), 4 + 4);
    }
}
