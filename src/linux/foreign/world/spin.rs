//! Busy loops: what a server does that never blocks.

use super::{Foreign, Quiet};
use crate::linux::error::KernelError;
use crate::linux::foreign::history::Last;
use crate::linux::foreign::server::Server;
use std::time::{Duration, Instant};

/// How much processor time a server that seems to be busy for ever may use until it is said to be, how many calls it may make that get it
/// nowhere, and how long all of that may take on the clock at most.
const MEASURED: Duration = Duration::from_secs(1);
const MEASURED_CALLS: u32 = 10_000;
const MEASURED_AT_MOST: Duration = Duration::from_secs(60);
/// What a server did while it was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) calls: u32,
    pub(crate) processor: Duration,
    /// Whether there was a moment at which it waited for something that was not there.
    pub(crate) rested: bool,
}

/// A server at work in a circle, or on something that takes no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spin {
    /// What it did in a second in which nobody asked anything of it, if that was measured.
    pub(crate) measured: Option<Circle>,
    /// The process or thread.
    pub(crate) task: i32,
    /// The call that it makes again and again, and on which descriptor; `None` if it makes none that can be seen.
    pub(crate) call: Option<(&'static str, Option<i32>)>,
    /// By which call it is told from others, if it makes any.
    pub(crate) known_by: Option<Last>,
}

impl Foreign {
    /// Takes note of a server at work in a circle, and measures, if asked to, what it does in a second.
    pub(super) fn spins(&mut self, task: i32, call: Option<(&'static str, Option<i32>)>) -> Result<(), KernelError> {
        if self.server.is_limited() {
            // What goes on when the limit is lifted is seen then; what ends with it is no busy loop.
            return Ok(());
        }
        let known = self.spin;
        let known_by = call.and_then(|_| self.history.of_a_loop());
        let mut spin = known.unwrap_or(Spin { measured: None, task, call, known_by });
        if self.measures && spin.measured.is_none() {
            spin.measured = Some(self.measure()?);
        }
        self.spin = Some(spin);
        Ok(())
    }

    /// Lets the server run until it is blocked or has done so much that it never will be. However slow the machine, a busy loop never blocks.
    /// One that neither makes calls nor uses processor time is not busy.
    pub(super) fn measure(&mut self) -> Result<Circle, KernelError> {
        let before = self.server.processor_time();
        let start = Instant::now();
        let (mut calls, mut rested) = (0, false);
        let busy = |server: &Server| server.processor_time().saturating_sub(before) >= MEASURED;
        while !rested
            && !self.is_stopped()
            && (start.elapsed() < self.measured_for || (calls < MEASURED_CALLS && !busy(&self.server)))
        {
            rested = start.elapsed() >= MEASURED_AT_MOST;
            match self.server.step(&mut self.injection)? {
                Some((passed, _)) if passed.gets_on() => calls = 0,
                Some(_) => calls += 1,
                None => rested = self.server.quiet()? == Quiet::Yes,
            }
        }
        Ok(Circle { calls, processor: self.server.processor_time().saturating_sub(before), rested })
    }
}
