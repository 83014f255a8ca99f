//! Which of a server's pending calls is released next.
//!
//! A server has a pending call for each task that is stopped at the gate. Of those that could finish now the first in the scheduler's order is
//! released. Whether a call could finish costs system calls to find out, so that a scheduler gives an order, and calls are asked about only up to
//! the first that could.

use std::fmt::Debug;

/// A pending call, as a scheduler knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The thread that makes the call.
    pub(crate) task: i32,
    /// The call's place in the order in which calls arrived at the gate, from 1. No two calls of a server have the same.
    pub(crate) arrival: u64,
}

/// Decides the order in which pending calls are released.
pub(crate) trait Scheduler: Debug {
    /// Puts the calls in order: the first that could finish now is released. It is asked again before each release.
    fn arrange(&mut self, pending: &mut [Pending]);
}

/// First come, first served: the default, in which today's cases replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InOrderOfArrival;

impl Scheduler for InOrderOfArrival {
    fn arrange(&mut self, pending: &mut [Pending]) {
        pending.sort_unstable_by_key(|pending| pending.arrival);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_released_in_the_order_of_their_arrival() {
        let mut pending = [(7, 3), (8, 1), (9, 2)].map(|(task, arrival)| Pending { task, arrival });
        InOrderOfArrival.arrange(&mut pending);
        assert_eq!(pending.map(|pending| pending.task), [8, 9, 7]);
    }
}
