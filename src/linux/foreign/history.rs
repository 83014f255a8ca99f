//! What each process of a server did: its last call, and from that and from when it came to be, what it is to the server.

use crate::linux::error::KernelError;
use crate::linux::foreign::server::{Passed, Server};
use crate::scenario::{Client, Errno};
use crate::trace::{Role, TcpState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The last call that a process made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) name: &'static str,
    /// The client of the connection that it was made on.
    pub(crate) client: Option<Client>,
    /// The state of the socket that it was made on, just before.
    pub(crate) state: Option<TcpState>,
    /// What it failed with, where that is known.
    pub(crate) error: Option<Errno>,
}

/// What is known of one process.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    /// Its last call that was neither `close` nor `shutdown`. A process that is about to end closes what it has: those calls say nothing
    /// about why.
    last: Option<Last>,
    /// The last of those two.
    closed: Option<Last>,
    accepts: bool,
    /// The connection that it has taken from or given to, by the socket's number, and whether there was more than one.
    served: Option<u64>,
    serves_several: bool,
}

/// How many of the last calls are kept: more than a busy loop has.
const RECENT: usize = 32;

/// What is known of all of them.
#[derive(Debug, Default)]
pub(crate) struct History {
    processes: BTreeMap<i32, Process>,
    /// The last calls of all of them.
    recent: VecDeque<Last>,
    /// Those that were there when the run began.
    before: BTreeSet<i32>,
}

impl History {
    /// Begins a run, at which these processes are there.
    pub(crate) fn begin(&mut self, pids: impl Iterator<Item = i32>) {
        self.before = pids.collect();
        self.processes.retain(|pid, _| self.before.contains(pid));
    }

    /// Takes note of a call, and of the client of the connection that it was made on.
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
        process.accepts |= passed.accepts;
        if passed.moves && client.is_some() {
            process.serves_several |= process.served.is_some() && process.served != passed.cookie;
            process.served = passed.cookie;
        }
    }

    /// The call by which a busy loop is told from others, wherever in it the server is now: one that does something, if there is one among
    /// those that only wait for something to do.
    pub(crate) fn of_a_loop(&self) -> Option<Last> {
        let waits = |last: &Last| ["poll", "select", "epoll"].iter().any(|wait| last.name.contains(wait));
        self.recent.iter().min_by_key(|last| (waits(last), last.name, last.state)).copied()
    }

    /// What a process that has ended was, beside the main one of this number, and its last call. It is known no more.
    pub(crate) fn ended(&mut self, pid: i32, main: i32) -> (Role, Option<Last>) {
        let process = self.processes.remove(&pid).unwrap_or_default();
        let role = if pid == main {
            Role::Main
        } else if self.before.contains(&pid) || process.accepts || process.serves_several {
            Role::Worker
        } else {
            Role::Connection
        };
        (role, process.last.or(process.closed))
    }
}

impl Server {
    /// The numbers of its processes.
    pub(super) fn pids(&mut self) -> Result<impl Iterator<Item = i32>, KernelError> {
        if !self.is_gated() {
            // No call tells that there are new ones.
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
        let moves = matches!(name, "recv" | "send");
        let state = Some(TcpState::Established);
        let accepts = name == "accept";
        Passed { name, pid, fd: None, cookie: Some(cookie), state, accepts, moves, result: None }
    }

    fn history() -> History {
        let mut history = History::default();
        history.begin([MAIN, 11].into_iter());
        history
    }

    #[test]
    fn a_child_is_a_connections_if_it_came_in_the_run_never_accepted_and_served_one_client() {
        let a = Some(Client::nth(0));
        let mut history = history();
        history.called(&call(12, "recv", 1), a);
        // A child may have been given more connections than its own, and closes them.
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
