//! Lets the server make one call.

use super::Foreign;
use crate::linux::error::KernelError;
use crate::linux::foreign::server::{Quiet, Whose};
use crate::world::Stepped;

/// After this many calls in a row that take no data and close nothing, a server may be in a busy loop
/// ([`gets_on`](crate::linux::foreign::server::Passed::gets_on)).
const MOST_CALLS: u32 = 3_000;
/// The same for a server that has already been seen in a busy loop, or whose descriptors are limited.
const MOST_CALLS_OF_A_SPINNER: u32 = 200;

impl Foreign {
    /// Lets the server make one call, if one could finish.
    pub(super) fn one(&mut self) -> Result<Stepped, KernelError> {
        if let Some(ending) = self.main_ended {
            return Ok(Stepped::Ended(None, ending));
        }
        if !self.server.rests(Whose::Callers)
            && let Quiet::Busy(task) = self.server.quiet_of(Whose::Callers)?
        {
            self.spins(task, None)?;
            return Ok(Stepped::Blocked);
        }
        let before = self.ended.len();
        self.note_ends();
        if let Some(ending) = self.main_ended {
            return Ok(Stepped::Ended(None, ending));
        }
        let short = self.spin.is_some() || self.server.is_limited();
        let most = if short { MOST_CALLS_OF_A_SPINNER } else { MOST_CALLS };
        if self.calls >= most {
            // Of a server with several tasks it is the one in the loop whose call came last. The others wait.
            let call = self.server.latest_call().or(self.last.map(|last| (last.0, None)));
            self.spins(self.main, call)?;
            return Ok(Stepped::Blocked);
        }
        let next = self.queue.front().map(|i| self.connections[*i].client.name);
        self.injection.set_next(next);
        let time = self.server.now().saturating_duration_since(self.began);
        let Some((mut passed, quiet)) = self.server.step(&mut self.injection)? else {
            if self.server.rests(Whose::All) {
                return Ok(Stepped::Blocked);
            }
            // Tasks that do not come to the gate may still run, and may wake tasks that do.
            if let Quiet::Busy(task) = self.server.quiet()? {
                self.spins(task, None)?;
                return Ok(Stepped::Blocked);
            }
            return self.one();
        };
        self.calls = if passed.gets_on() { 0 } else { self.calls + 1 };
        self.note_state(&mut passed);
        let client = self.note(&passed);
        self.note_reset_request(&passed)?;
        self.last = Some((passed.name, client));
        if let Quiet::Busy(task) = quiet {
            self.spins(task, None)?;
        }
        self.note_ends();
        let broken =
            self.ended[before.min(self.ended.len())..].iter().any(|ended| ended.death.signal() == Some(libc::SIGPIPE));
        let called = self.told(&passed, broken)?;
        self.detail = self.server.records.then(|| self.detail_of(&passed, called.result, time));
        Ok(match self.main_ended {
            Some(ending) => Stepped::Ended(Some(called), ending),
            None => Stepped::Called(called),
        })
    }
}
