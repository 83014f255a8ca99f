//! Records a server's calls and the ends of its processes.

use super::{Ended, Foreign, Unread};
use crate::linux::error::KernelError;
use crate::linux::foreign::server::Passed;
use crate::linux::gate::seccomp::pending_call::Foreseen;
use crate::scenario::{Call, Client, Errno};
use crate::trace::{Called, Data, Detail, Role, Signal};
use crate::world::Ending;
use std::time::Duration;

impl Foreign {
    /// The trace record of a call that was released. `broken`: SIGPIPE has killed a process in this call.
    pub(super) fn told(&mut self, passed: &Passed, broken: bool) -> Result<Called, KernelError> {
        let client = if passed.class.accepts() {
            let taken = matches!(passed.result, Some(Ok(_)) | None);
            let taken = if taken { self.accepted()? } else { None };
            taken.map(|i| self.connections[i].client.name)
        } else {
            let of = |cookie| self.connections.iter().find(|c| c.cookie == Some(cookie)).map(|c| c.client.name);
            passed.cookie.and_then(of)
        };
        let result = passed.result.or(passed.class.moves().is_none().then_some(Ok(0)));
        Ok(Called {
            call: Call::Other(passed.name),
            client,
            result: if broken { Some(Err(Errno::EPIPE)) } else { result },
            sigpipe: broken || (passed.raises_sigpipe && result == Some(Err(Errno::EPIPE))),
        })
    }

    /// What else is known of a call that was let in at this time of the run and has returned this.
    pub(super) fn detail_of(&mut self, passed: &Passed, result: Option<Result<u32, Errno>>, time: Duration) -> Detail {
        let next = self.tasks.len() as u32;
        let task = *self.tasks.entry(passed.tid).or_insert(next);
        let moved = result.and_then(Result::ok).unwrap_or(0) as usize;
        let connection = self.connections.iter_mut().find(|c| c.cookie.is_some() && c.cookie == passed.cookie);
        let data = match connection {
            Some(connection) if passed.takes && result.is_none() => {
                // It is not known how much was read, so neither what comes next.
                connection.unread = Unread::Lost;
                Data::default()
            }
            Some(connection) if passed.takes => connection.unread.read(moved),
            _ => passed.data.first(moved),
        };
        Detail::new(task, time, data)
    }

    /// Records the state of the socket before a call, and completes the result of a call on a connection that was reset.
    pub(super) fn note_state(&mut self, passed: &mut Passed) {
        let Some(connection) = self.connections.iter_mut().find(|c| c.cookie.is_some() && c.cookie == passed.cookie)
        else {
            return;
        };
        passed.state.into_iter().for_each(|state| connection.before.saw(state));
        // If the client has vanished or does not read, the error may also be ETIMEDOUT.
        let times_out = connection.client.vanished || connection.client.stalled;
        if passed.foreseen == Foreseen::Reset && !times_out {
            passed.result = Some(connection.before.result(passed.class.reads()));
        }
    }

    /// The index of the connection that has just been accepted, which is removed from the queue. It is the first in the queue that the
    /// kernel reports as accepted, or the oldest if there is none. It need not be the oldest: each of several listeners has a queue of its
    /// own, and with TCP_DEFER_ACCEPT a connection with data is queued before an older one without data.
    pub(super) fn accepted(&mut self) -> Result<Option<usize>, KernelError> {
        let mut place = 0;
        if self.queue.len() > 1 {
            for (n, i) in self.queue.iter().enumerate() {
                if self.sock_diag.is_accepted((self.address, self.connections[*i].client.address))? {
                    place = n;
                    break;
                }
            }
        }
        Ok(self.queue.remove(place))
    }

    /// Records a call that a process has made. Returns the client of the connection that the call was made on.
    pub(super) fn note(&mut self, passed: &Passed) -> Option<Client> {
        let client = passed.cookie.and_then(|cookie| self.connections.iter().find(|c| c.cookie == Some(cookie)));
        let client = client.map(|c| c.client.name);
        self.history.called(passed, client);
        if let (Some(cookie), Some(client)) = (passed.cookie, client)
            && !client.is_own()
        {
            self.handled.entry(cookie).or_default().note(passed);
        }
        client
    }

    /// Records calls that were released for a signal, and processes that have ended.
    pub(super) fn note_ends(&mut self) {
        for interrupted in std::mem::take(&mut self.server.interrupted) {
            self.note(&interrupted);
        }
        for death in self.server.deaths() {
            let (role, after) = self.history.ended(death.pid, self.main);
            let ended = Ended { death, role, after };
            if role == Role::Main {
                self.main_ended = Some(match (death.signal(), death.code()) {
                    (Some(signal), _) => Ending::Killed(Signal::from_raw(signal)),
                    (_, Some(code)) => Ending::Exited(code),
                    _ => Ending::Ended,
                });
            }
            self.ended.push(ended);
        }
    }
}
