//! Recognises and measures busy loops: a server in a busy loop never blocks.

use super::{Foreign, Quiet};
use crate::linux::error::KernelError;
use crate::linux::foreign::history::Last;
use crate::linux::foreign::server::Server;
use std::time::{Duration, Instant};

/// A suspected busy loop is confirmed when the server has used this much processor time, or has made [`MEASURED_CALLS`] calls in a row
/// without progress, and has not blocked meanwhile. If neither happens within [`MEASURED_AT_MOST`] of wall-clock time, it is no busy loop.
const MEASURED: Duration = Duration::from_secs(1);
const MEASURED_CALLS: u32 = 10_000;
const MEASURED_AT_MOST: Duration = Duration::from_secs(60);
/// By how much the clock of a server that is watched for longer is put forward: a server that leaves a client alone for less, in a busy loop,
/// comes to rest then.
const LEAP: Duration = Duration::from_secs(60);

/// What a server did while it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) calls: u32,
    pub(crate) processor: Duration,
    /// Whether the server was blocked at any moment, or [`MEASURED_AT_MOST`] passed.
    pub(crate) rested: bool,
}

/// A suspected busy loop: the server makes calls without progress again and again, or uses processor time without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spin {
    /// What the server did while no client acted, if that was measured.
    pub(crate) measured: Option<Circle>,
    /// The process or thread that is in the loop.
    pub(crate) task: i32,
    /// The call that the task makes again and again, and the call's descriptor; `None` if no call can be seen.
    pub(crate) call: Option<(&'static str, Option<i32>)>,
    /// The call that identifies the loop ([`History::of_a_loop`](super::History::of_a_loop)); `None` if no call can be seen.
    pub(crate) known_by: Option<Last>,
}

impl Foreign {
    /// Records a suspected busy loop, and measures it if `measures` is set.
    pub(super) fn spins(&mut self, task: i32, call: Option<(&'static str, Option<i32>)>) -> Result<(), KernelError> {
        if self.server.is_limited() {
            // A loop that goes on after the limit is lifted is seen then. A loop that ends with the limit is not reported.
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

    /// Lets the server run until it is blocked, or until the suspicion is confirmed ([`MEASURED`]). The result does not depend on the speed
    /// of the machine, because a busy loop never blocks. A server that neither makes calls nor uses processor time is not in a busy loop.
    pub(super) fn measure(&mut self) -> Result<Circle, KernelError> {
        let begun = self.server.processor_time();
        let mut circle = self.circle(Duration::ZERO)?;
        let watched = self.measured_for;
        if !circle.rested && !watched.is_zero() {
            let real = if self.server.leap(LEAP.max(watched))? { Duration::ZERO } else { watched };
            let Circle { calls, rested, .. } = self.circle(real)?;
            circle = Circle { calls: circle.calls + calls, rested, ..circle };
        }
        Ok(Circle { processor: self.server.processor_time().saturating_sub(begun), ..circle })
    }

    /// The same once, for `least` of real time at least.
    fn circle(&mut self, least: Duration) -> Result<Circle, KernelError> {
        let before = self.server.processor_time();
        let start = Instant::now();
        let (mut calls, mut rested) = (0, false);
        let busy = |server: &Server| server.processor_time().saturating_sub(before) >= MEASURED;
        while !rested
            && !self.is_stopped()
            && (start.elapsed() < least || (calls < MEASURED_CALLS && !busy(&self.server)))
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
