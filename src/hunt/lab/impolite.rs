//! Why a fresh server that was given its listener gave a polite client no full answer.

use super::Lab;
use crate::hunt::baseline::HuntError;
use crate::hunt::health_check::Answered;
use crate::linux::KernelError;
use crate::linux::foreign::start::how;
use crate::trace::Role;

impl Lab<'_> {
    /// The error for a fresh server with `--listen-fd` that gave the first polite client no full answer. A server that does not use
    /// descriptor 3 gets this far too, because the harness's listener is open all the same.
    pub(super) fn impolite(&mut self, answered: &Answered) -> Result<HuntError, KernelError> {
        let output = self.output();
        let world = &mut self.running()?.world;
        // The sockets of a process that ends are closed before the process has ended.
        world.settle()?;
        let end = world.ends().into_iter().find(|ended| ended.role == Role::Main);
        let others: Vec<String> = world.other_listeners()?.iter().map(ToString::to_string).collect();
        let why = match end {
            Some(ended) => format!("the server ended before it had served anybody: {}", how(&ended.death.status)),
            None if !others.is_empty() => format!(
                "the server listens on {} by itself, and does not use the listener that it was given: leave `--listen-fd` out",
                others.join(" and ")
            ),
            None if !world.has_listener() => {
                "the server has closed descriptor 3, the listener that it was given: `--listen-fd` is for \
                                              servers that take it, as sd_listen_fds(3) has it"
                    .to_owned()
            }
            None => return Ok(HuntError::Impolite { why: answered.to_string(), output }),
        };
        Ok(HuntError::NotListening { why, output })
    }
}
