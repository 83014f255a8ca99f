//! Records what each process of a server did: its last call, and its role, which follows from its calls and from whether it existed before
//! there were clients.

use crate::linux::error::KernelError;
use crate::linux::foreign::server::{Passed, Server};
use crate::scenario::{Client, Errno};
use crate::trace::{Role, TcpState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The last call that a process made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) name: &'static str,
    /// The client of the connection that the call was made on.
    pub(crate) client: Option<Client>,
    /// The state of the socket that the call was made on, just before the call.
    pub(crate) state: Option<TcpState>,
    /// The error of the call, where it is known to have failed.
    pub(crate) error: Option<Errno>,
}

/// What is known of one process.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    /// The last call that was neither `close` nor `shutdown`. A process that is about to end closes its descriptors, so those two calls say
    /// nothing about the cause.
    last: Option<Last>,
    /// The last `close` or `shutdown`.
    closed: Option<Last>,
    accepts: bool,
    /// The cookie of the client connection that the process last read from or wrote to. `serves_several` says whether there was more than
    /// one.
    served: Option<u64>,
    serves_several: bool,
}

/// How many of the last calls are kept: more than one round of a busy loop has.
const RECENT: usize = 32;

/// What is known of all processes.
#[derive(Debug, Default)]
pub(crate) struct History {
    processes: BTreeMap<i32, Process>,
    /// The last calls of all processes.
    recent: VecDeque<Last>,
    /// The processes that existed when no client was connected for the last time.
    last: BTreeSet<i32>,
    /// Those of them that had existed the time before too. A process of one client may still be about to end when that has left.
    before: BTreeSet<i32>,
}

impl History {
    /// All clients have left, and these processes exist.
    pub(crate) fn rests(&mut self, pids: impl Iterator<Item = i32>) {
        let now: BTreeSet<i32> = pids.collect();
        self.before = now.intersection(&self.last).copied().collect();
        self.processes.retain(|pid, _| now.contains(pid));
        self.last = now;
    }

    /// Records a call. `client` is the client of the connection that the call was made on.
    pub(crate) fn called(&mut self, passed: &Passed, client: Option<Client>) {
        let process = self.processes.entry(passed.pid).or_default();
        let error = passed.result.and_then(Result::err);
        let last = Last { name: passed.name, client, state: passed.state, error };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(last);
        let last = Some(last);
        if matches!(passed.name, "close" | "shutdown") {
            process.closed = last;
        } else {
            process.last = last;
        }
        process.accepts |= passed.class.accepts();
        if passed.class.moves().is_some() && client.is_some() {
            process.serves_several |= process.served.is_some() && process.served != passed.cookie;
            process.served = passed.cookie;
        }
    }

    /// The call that identifies a busy loop, whichever call of the loop was the last. It is a call other than poll, select or epoll if the
    /// recent calls include such a call.
    pub(crate) fn of_a_loop(&self) -> Option<Last> {
        let waits = |last: &Last| ["poll", "select", "epoll"].iter().any(|wait| last.name.contains(wait));
        self.recent.iter().min_by_key(|last| (waits(last), last.name, last.state)).copied()
    }

    /// The role of a process that has ended, and its last call. `main` is the pid of the main process. Removes the record of the process.
    pub(crate) fn ended(&mut self, pid: i32, main: i32) -> (Role, Option<Last>) {
        let process = self.processes.remove(&pid).unwrap_or_default();
        (self.role_in(pid, main, &process), process.last.or(process.closed))
    }

    /// The role of a process that runs.
    pub(crate) fn role(&self, pid: i32, main: i32) -> Role {
        self.processes.get(&pid).map_or(Role::Worker, |process| self.role_in(pid, main, process))
    }

    fn role_in(&self, pid: i32, main: i32, process: &Process) -> Role {
        if pid == main {
            Role::Main
        } else if self.before.contains(&pid) || process.accepts || process.serves_several {
            Role::Worker
        } else {
            Role::Connection
        }
    }
}

impl Server {
    /// The pids of the server's processes.
    pub(super) fn pids(&mut self) -> Result<impl Iterator<Item = i32>, KernelError> {
        if !self.is_gated() {
            // Without the gate, no call shows that there are new processes.
            self.tree.refresh()?;
        }
        Ok(self.tree.processes.keys().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: i32 = 10;

    fn call(pid: i32, name: &'static str, cookie: u64) -> Passed {
        Passed { cookie: Some(cookie), state: Some(TcpState::Established), ..Passed::of(pid, name) }
    }

    fn history() -> History {
        let mut history = History::default();
        for pids in [&[MAIN, 11][..], &[MAIN, 11, 15]] {
            history.rests(pids.iter().copied());
        }
        history
    }

    #[test]
    fn a_child_is_a_connections_if_it_came_in_the_run_never_accepted_and_served_one_client() {
        let a = Some(Client::nth(0));
        let mut history = history();
        history.called(&call(12, "recv", 1), a);
        // A child process may have inherited other connections, which it closes.
        history.called(&call(12, "close", 2), a);
        history.called(&call(13, "accept", 9), None);
        history.called(&call(13, "recv", 1), a);
        history.called(&call(14, "recv", 1), a);
        history.called(&call(14, "send", 2), a);
        let roles = [MAIN, 11, 12, 13, 14, 15].map(|pid| history.ended(pid, MAIN).0);
        use Role::{Connection, Main, Worker};
        assert_eq!(roles, [Main, Worker, Connection, Worker, Worker, Connection]);
    }

    #[test]
    fn the_last_call_is_the_process_own_and_no_close_of_one_that_is_about_to_end() {
        let mut history = history();
        history.called(&call(MAIN, "accept", 9), None);
        history.called(&call(11, "recv", 1), Some(Client::nth(0)));
        history.called(&call(11, "close", 1), None);
        history.called(&call(12, "close", 1), None);
        let mut last = |pid| history.ended(pid, MAIN).1.map(|last| last.name);
        assert_eq!([last(MAIN), last(11), last(12), last(13)], [Some("accept"), Some("recv"), Some("close"), None]);
    }

    #[test]
    fn a_busy_loop_is_known_by_the_same_call_wherever_it_is_looked_at() {
        for shift in 0..2 {
            let mut history = history();
            for i in 0..RECENT * 2 + shift {
                history.called(&call(MAIN, ["epoll_wait", "recv"][i % 2], 1), None);
            }
            assert_eq!(history.of_a_loop().map(|last| last.name), Some("recv"));
        }
    }
}
