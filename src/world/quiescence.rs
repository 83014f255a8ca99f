//! Computes whether a server can still change while no client acts, from the state of every task and every source of time.
//!
//! The computation is pure: [`blocked_call`](crate::linux::clock::blocked_call) and [`timers`](crate::linux::clock::timers) read the states
//! of tasks and timers. The rules, in order:
//! - without a process, the server has exited;
//! - a running task makes the server busy;
//! - a wait that something outside the harness's control may end makes the result unknown;
//! - a deadline makes the server idle until then;
//! - otherwise nothing changes until a client or the harness acts.

use std::fmt;
use std::time::Instant;

/// What outside the harness's control may wake a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    /// A peer that is no client of the harness: a backend, a log daemon.
    Peer,
    /// A watch on files (`inotify(7)`, `fanotify(7)`).
    FileWatch,
    /// A lock or queue that processes outside the server may also use.
    SharedLock,
    /// A timer whose deadline cannot be read, such as one on a clock of processor time.
    Timer,
    /// The system call with this number, which may be ended by something that is not known.
    Call(i64),
    /// The server's calls are not intercepted, so it is not known what the server waits for.
    NoGate,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outside::Peer => f.write_str("a peer that is no client of brokenpipe"),
            Outside::FileWatch => f.write_str("a watch on files"),
            Outside::SharedLock => f.write_str("a lock that others may hold"),
            Outside::Timer => f.write_str("a timer whose deadline cannot be read"),
            Outside::Call(number) => write!(f, "system call {number}"),
            Outside::NoGate => f.write_str("calls that are not intercepted"),
        }
    }
}

/// Whether a server can still change while no client acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiescence {
    /// Nothing changes until a client or the harness acts: every wait is for a descriptor that the harness controls or for another task
    /// of the server, and no timer is armed.
    Frozen,
    /// Idle until this deadline at the latest. It is the earliest of all deadlines.
    Until(Instant),
    /// Idle as far as can be seen, but something outside the harness's control may wake it.
    Unknown {
        /// What may wake the server.
        because: Outside,
    },
    /// The task with this tid runs.
    Busy(i32),
    /// No process of the server is left.
    Exited,
}

/// What ends the wait of a blocked task, apart from a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakes {
    /// A client of the harness, or another task of the server: a socket, a lock within the server, a child's end, a signal.
    Controlled,
    /// Something outside the harness's control.
    Uncontrolled(Outside),
}

/// The state of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// The task with this tid runs, or may run at any moment.
    Running(i32),
    /// The task is blocked: at the gate, or in a call that the gate does not intercept.
    Blocked {
        /// What ends the wait.
        wakes: Wakes,
        /// When the wait ends by itself, at the latest.
        deadline: Option<Instant>,
    },
}

impl TaskState {
    /// When the wait ends by itself, if it does.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self {
            TaskState::Running(_) => None,
            TaskState::Blocked { deadline, .. } => *deadline,
        }
    }
}

/// Computes the quiescence of a server from the states of its tasks, the deadlines of its timers, and what else outside the harness's
/// control may wake it.
pub(crate) fn quiescence(
    tasks: impl IntoIterator<Item = TaskState>,
    timers: impl IntoIterator<Item = Instant>,
    outside: Option<Outside>,
) -> Quiescence {
    let mut earliest: Option<Instant> = timers.into_iter().min();
    let mut unknown = outside;
    let mut none = true;
    for task in tasks {
        none = false;
        match task {
            TaskState::Running(tid) => return Quiescence::Busy(tid),
            TaskState::Blocked { wakes, deadline } => {
                if let Wakes::Uncontrolled(what) = wakes {
                    unknown = unknown.or(Some(what));
                }
                earliest = [earliest, deadline].into_iter().flatten().min();
            }
        }
    }
    match (none, unknown, earliest) {
        (true, ..) => Quiescence::Exited,
        (_, Some(because), _) => Quiescence::Unknown { because },
        (_, None, Some(deadline)) => Quiescence::Until(deadline),
        (_, None, None) => Quiescence::Frozen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn blocked(deadline: Option<Instant>) -> TaskState {
        TaskState::Blocked { wakes: Wakes::Controlled, deadline }
    }

    fn outside(what: Outside, deadline: Option<Instant>) -> TaskState {
        TaskState::Blocked { wakes: Wakes::Uncontrolled(what), deadline }
    }

    #[test]
    fn each_rule_has_its_answer() {
        let now = Instant::now();
        let [soon, late] = [1, 2].map(|seconds| now + Duration::from_secs(seconds));
        /// The tasks, the timers, what is outside the harness's control, and the result.
        type Row<'r> = (&'r [TaskState], &'r [Instant], Option<Outside>, Quiescence);
        let table: [Row<'_>; 10] = [
            (&[], &[], None, Quiescence::Exited),
            // A timer of a process that has ended has no effect.
            (&[], &[soon], Some(Outside::Peer), Quiescence::Exited),
            (&[blocked(None)], &[], None, Quiescence::Frozen),
            (&[blocked(None), blocked(None)], &[], None, Quiescence::Frozen),
            (&[blocked(None), blocked(Some(late))], &[], None, Quiescence::Until(late)),
            (&[blocked(Some(late)), blocked(Some(soon))], &[], None, Quiescence::Until(soon)),
            (&[blocked(None)], &[late, soon], None, Quiescence::Until(soon)),
            (&[blocked(Some(soon))], &[], Some(Outside::Peer), Quiescence::Unknown { because: Outside::Peer }),
            (
                &[blocked(None), outside(Outside::Call(7), Some(soon))],
                &[],
                None,
                Quiescence::Unknown { because: Outside::Call(7) },
            ),
            (&[outside(Outside::Timer, None), TaskState::Running(4)], &[soon], None, Quiescence::Busy(4)),
        ];
        for (tasks, timers, what, expected) in table {
            let got = quiescence(tasks.iter().copied(), timers.iter().copied(), what);
            assert_eq!(got, expected, "{tasks:?} {timers:?} {what:?}");
        }
    }

    #[cfg(feature = "proptest")]
    mod properties {
        use super::*;
        use proptest::prelude::*;

        /// A state from small numbers, so that all deadlines of a run are relative to the same `now`.
        fn state(now: Instant, (kind, deadline): (u8, Option<u8>)) -> TaskState {
            let deadline = deadline.map(|n| now + Duration::from_millis(n.into()));
            match kind {
                0 => TaskState::Running(1),
                1 => outside(Outside::SharedLock, deadline),
                _ => blocked(deadline),
            }
        }

        proptest! {
            #[test]
            fn frozen_means_that_nothing_at_all_can_wake_it(
                tasks in proptest::collection::vec((0u8..6, proptest::option::of(0u8..9)), 0..5),
                timers in proptest::collection::vec(0u8..9, 0..3),
                peer: bool,
            ) {
                let now = Instant::now();
                let states: Vec<TaskState> = tasks.iter().map(|task| state(now, *task)).collect();
                let times: Vec<Instant> = timers.iter().map(|n| now + Duration::from_millis((*n).into())).collect();
                let got = quiescence(states.iter().copied(), times.iter().copied(), peer.then_some(Outside::Peer));
                let controlled = states.iter().all(|s| matches!(s, TaskState::Blocked { wakes: Wakes::Controlled, .. }));
                let deadlines = || states.iter().filter_map(TaskState::deadline).chain(times.iter().copied());
                let frozen = !states.is_empty() && controlled && !peer && deadlines().next().is_none();
                prop_assert_eq!(got == Quiescence::Frozen, frozen);
                if let Quiescence::Until(deadline) = got {
                    prop_assert_eq!(Some(deadline), deadlines().min());
                    prop_assert!(controlled && !peer);
                }
            }

            #[test]
            fn the_order_of_the_tasks_does_not_matter(
                tasks in proptest::collection::vec((2u8..6, proptest::option::of(0u8..9)), 1..6),
            ) {
                let now = Instant::now();
                let states: Vec<TaskState> = tasks.iter().map(|task| state(now, *task)).collect();
                let forwards = quiescence(states.iter().copied(), [], None);
                prop_assert_eq!(forwards, quiescence(states.iter().rev().copied(), [], None));
            }
        }
    }
}
