//! What a run came to: what of it should not be.

use super::symptom::Symptom;
use crate::kernel::KernelError;
use crate::kernel::foreign::residue::Counts;
use crate::kernel::foreign::start::how;
use crate::kernel::foreign::world::{Ended, Foreign};
use crate::trace::Trace;

/// Something that a scenario brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) symptom: Symptom,
    /// What was seen, in words.
    pub(super) evidence: String,
    /// Whether it is the server itself; `false` for a child of its.
    pub(super) main: bool,
    /// The call after which it showed.
    pub(super) call: Option<String>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) trace: Trace,
    pub(super) seen: Vec<Seen>,
    /// The end of what the server wrote.
    pub(super) output: String,
}

/// What a server still has when all clients have gone.
pub(super) struct Left {
    before: Counts,
    pub(super) now: Counts,
    close_wait: usize,
}

impl Left {
    pub(super) fn of(world: &mut Foreign, before: Counts) -> Result<Left, KernelError> {
        world.settle()?;
        Ok(Left { before, now: world.server.counts(), close_wait: world.close_waits()? })
    }

    /// What it would be called.
    pub(super) fn symptoms(&self) -> impl Iterator<Item = Symptom> {
        let Left { before, now, close_wait } = self;
        let all = [
            (now.zombies > before.zombies, Symptom::Zombie),
            (now.processes > before.processes, Symptom::ProcessLeak),
            (now.threads > before.threads, Symptom::ThreadLeak),
            (*close_wait > 0, Symptom::CloseWaitLeak),
            (now.descriptors > before.descriptors, Symptom::FdLeak),
        ];
        all.into_iter().filter(|(left, _)| *left).map(|(_, symptom)| symptom)
    }
}

impl Outcome {
    pub(super) fn add(&mut self, symptom: Symptom, evidence: String, main: bool, call: Option<String>) {
        self.seen.push(Seen { symptom, evidence, main, call });
    }

    pub(super) fn sorted(mut self) -> Outcome {
        self.seen.sort_by_key(|seen| seen.symptom);
        self
    }

    /// Processes that ended as none should, and when that was if the trace does not have it.
    pub(super) fn ends(&mut self, ends: &[Ended], when: &str) {
        for Ended { death, main, after } in ends {
            let symptom = match (death.signal(), main) {
                // A server that ends its own processes means to.
                (Some(_), false) if death.sent => continue,
                (Some(_), true) if death.sent => Symptom::Exit,
                (Some(libc::SIGPIPE), _) => Symptom::Sigpipe,
                (Some(_), _) => Symptom::Crash,
                (None, true) => Symptom::Exit,
                (None, false) => continue,
            };
            let who = if *main { "the server" } else { "a child of the server's" };
            let call = after.map(|(call, client)| match client {
                Some(client) => format!("{call} {client}"),
                None => call.to_owned(),
            });
            let after = call.as_ref().map(|call| format!(", in or after {call}")).unwrap_or_default();
            let was = if death.signal().is_some() { "was " } else { "" };
            let evidence = format!("{who} {was}{}{after}{when}", how(&death.status));
            self.add(symptom, evidence, *main, call.map(|c| c.split(' ').next().unwrap_or_default().to_owned()));
        }
    }

    /// A sanitizer's report makes an end by itself a crash, and is one where nothing has ended.
    pub(super) fn reported(&mut self, output: &str) {
        let Some(line) = super::sanitizer::report(output) else { return };
        match self.seen.iter_mut().find(|seen| matches!(seen.symptom, Symptom::Exit | Symptom::Crash)) {
            Some(seen) => {
                seen.symptom = Symptom::Crash;
                seen.evidence += &format!("; it wrote: {line}");
            }
            None => self.add(Symptom::Crash, format!("it wrote: {line}"), true, None),
        }
    }

    /// What was left. One thing that is left holds others: a process its descriptors, a descriptor its socket. Only the first is told.
    pub(super) fn left(&mut self, left: &Left) {
        let Left { before, now, close_wait } = left;
        let grown = |what: &str, before: usize, now: usize| format!("{what}: {before} before, {now} afterwards");
        let sockets = if *close_wait > 0 { format!("; sockets in CLOSE_WAIT: {close_wait}") } else { String::new() };
        if now.zombies > before.zombies {
            self.add(
                Symptom::Zombie,
                grown("processes that ended and are not reaped", before.zombies, now.zombies),
                true,
                None,
            );
        }
        if now.processes > before.processes {
            self.add(Symptom::ProcessLeak, grown("processes", before.processes, now.processes) + &sockets, true, None);
        } else if now.threads > before.threads {
            self.add(Symptom::ThreadLeak, grown("threads", before.threads, now.threads) + &sockets, true, None);
        } else if *close_wait > 0 {
            let evidence = format!("all clients have gone, and {close_wait} of the server's sockets are in CLOSE_WAIT");
            self.add(Symptom::CloseWaitLeak, evidence, true, None);
        } else if now.descriptors > before.descriptors {
            self.add(Symptom::FdLeak, grown("descriptors", before.descriptors, now.descriptors), true, None);
        }
    }
}
